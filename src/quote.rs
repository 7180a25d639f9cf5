//! How a value is written so that its reader gets back the same bytes: one module per reader ("sink").
//!
//! Every encoder is total over its documented domain and refuses the rest by name; it never drops or
//! replaces a character. Beside it stands `decode`, a port of the reader's own rules, which the tests
//! (and whoever reads a file that a user has edited) hold the encoder against.

pub mod comment;
pub mod dockerfile;
pub mod dotenv;
pub mod exec;
pub mod interpolation;
pub mod json;
pub mod kubernetes;
pub mod kvfile;
pub mod markdown;
pub mod shell;
pub mod systemd;
pub mod toml;
pub mod variable;
pub mod yaml;

use std::fmt;

/// A value that a sink cannot carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sink} cannot hold {found}: {why}")]
pub struct Refused {
    /// The sink, with its article: "a Dockerfile word".
    pub sink: &'static str,
    pub found: Found,
    pub why: &'static str,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A character, and the byte offset at which it stands in the value.
    Char { char: char, at: usize },
    /// The written form would have this many bytes.
    Bytes(usize),
    /// The value as a whole, quoted.
    Text(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char { char: '\n', at } => write!(f, "the line break at byte {at}"),
            Self::Char { char, at } => {
                write!(f, "U+{:04X} ({char:?}) at byte {at}", u32::from(*char))
            }
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// A text that its reader would reject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    pub what: &'static str,
    /// Offset into the text that was read.
    pub at: usize,
}

const NUL: &str = "no environment variable and no argument can contain NUL";
const ONE_LINE: &str = "it is written on one line, and the reader knows no escape for a line break";

/// Refuses the first character for which `reason` has one.
fn refuse(
    sink: &'static str,
    value: &str,
    reason: impl Fn(char) -> Option<&'static str>,
) -> Result<(), Refused> {
    match value.char_indices().find_map(|(at, char)| Some((at, char, reason(char)?))) {
        None => Ok(()),
        Some((at, char, why)) => Err(Refused { sink, found: Found::Char { char, at }, why }),
    }
}

fn refuse_nul(sink: &'static str, value: &str) -> Result<(), Refused> {
    refuse(sink, value, |c| (c == '\0').then_some(NUL))
}

fn refuse_longer(
    sink: &'static str,
    written: String,
    limit: usize,
    why: &'static str,
) -> Result<String, Refused> {
    if written.len() > limit {
        return Err(Refused { sink, found: Found::Bytes(written.len()), why });
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_sink_the_character_and_the_reason() {
        let line = kvfile::encode("a\nb").unwrap_err().to_string();
        assert_eq!(
            line,
            format!(
                "a line of `docker run --env-file` cannot hold the line break at byte 1: {ONE_LINE}"
            )
        );
        let nul = yaml::compose("é\0").unwrap_err().to_string();
        assert_eq!(nul, format!("a YAML scalar cannot hold U+0000 ('\\0') at byte 2: {NUL}"));
    }
}
