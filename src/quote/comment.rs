//! The text behind `# ` in a YAML, `.env`, shell or Dockerfile comment. It has no escapes: what would end
//! the comment early, or make a reader stop, is refused.

use super::{Found, Refused, refuse};

const SINK: &str = "a comment";

/// Domain: one line of printable characters and tabs, which is not a Dockerfile parser directive.
/// Returned as it is; an empty text is fine.
pub fn encode(text: &str) -> Result<String, Refused> {
    refuse(SINK, text, |c| match c {
        '\t' => None,
        '\n' | '\r' | '\x0b' | '\x0c' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
            Some("the rest would no longer be part of the comment")
        }
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => Some("a YAML reader stops at it"),
        c if c.is_control() => Some("a YAML reader stops at it"),
        _ => None,
    })?;
    if is_directive(text) {
        return Err(Refused {
            sink: SINK,
            found: Found::Text(text.to_owned()),
            why: "at the top of a Dockerfile it is a directive and changes how the rest is read",
        });
    }
    Ok(text.to_owned())
}

/// `syntax=`, `escape=` and `check=`, in any case and with blanks, as BuildKit recognizes them.
fn is_directive(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        ["syntax", "escape", "check"].iter().any(|d| name.trim().eq_ignore_ascii_case(d))
    })
}

/// The text of a comment line; `None` where the line is no comment.
pub fn decode(line: &str) -> Option<&str> {
    let text = line.strip_prefix('#')?;
    Some(text.strip_prefix(' ').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_printable_line_passes_as_it_is() {
        for text in ["", "made by composegen; do not edit", "a # b $c \\", "é\t☃", "ctx=262144"]
        {
            assert_eq!(encode(text).as_deref(), Ok(text));
            assert_eq!(decode(&format!("# {text}")), Some(text));
        }
    }

    #[test]
    fn whatever_ends_the_line_is_refused() {
        for text in ["a\nRUN x", "a\rb", "a\u{85}b", "a\u{2028}b", "a\x0cb", "\u{feff}", "\x1b[31m"]
        {
            assert!(encode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_dockerfile_directive_is_refused() {
        for text in ["escape=`", "Syntax = docker/dockerfile:1", "  check=skip=all"] {
            assert!(encode(text).is_err(), "{text:?}");
        }
    }
}
