//! The value of an ENV, LABEL or ARG instruction: a double-quoted word of BuildKit's own shell-like language.

mod read;

pub use read::decode;

use super::{NUL, ONE_LINE, Refused, refuse, refuse_longer};

/// BuildKit reads lines of up to 65,535 bytes; 1 KiB is left for the instruction and the name.
pub(super) const MAX_WORD: usize = 65_535 - 1024;
pub(super) const TOO_LONG: &str = "BuildKit takes lines of up to 65,535 bytes";

const SINK: &str = "a Dockerfile word";

/// Domain: text without NUL and LF, whose written form has up to 63 KiB. Always quoted: outside of quotes a
/// backslash would be eaten.
pub fn encode(value: &str) -> Result<String, Refused> {
    refuse(SINK, value, |c| match c {
        '\0' => Some(NUL),
        '\n' => Some(ONE_LINE),
        _ => None,
    })?;
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for char in value.chars() {
        if matches!(char, '\\' | '"' | '$') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
    refuse_longer(SINK, out, MAX_WORD, TOO_LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_beside_other_words() {
        for (value, written) in [
            ("", r#""""#),
            (r"blk\.1", r#""blk\\.1""#),
            ("a b\"c'", r#""a b\"c'""#),
            ("$HOME ${X:-y} $$", r#""\$HOME \${X:-y} \$\$""#),
            (r"trail\", r#""trail\\""#),
            ("a\rb\r", "\"a\rb\r\""),
        ] {
            assert_eq!(encode(value).as_deref(), Ok(written));
            let read = decode(&format!("A=1 K={written} Z=2"), &|_| Some("live".to_owned()));
            let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
            assert_eq!(read.unwrap(), [pair("A", "1"), pair("K", value), pair("Z", "2")]);
        }
    }

    #[test]
    fn what_the_line_cannot_hold_is_refused() {
        for value in ["\0", "a\nb", &"x".repeat(MAX_WORD - 1), &"$".repeat(MAX_WORD / 2)] {
            assert!(encode(value).is_err());
        }
        assert!(encode(&"x".repeat(MAX_WORD - 2)).is_ok());
    }
}
