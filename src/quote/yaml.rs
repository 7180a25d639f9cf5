//! A YAML double-quoted scalar. It uses only the escapes that JSON has too, so that every YAML reader
//! (1.1, 1.2, and those that stop at the JSON subset) agrees about it, and so that no value is retyped.

use std::fmt::Write as _;

use super::{Malformed, Refused, interpolation, refuse_nul};

const SINK: &str = "a YAML scalar";

/// For a compose file, whose scalars are interpolated: `$` becomes `$$`. Domain: text without NUL.
pub fn compose(value: &str) -> Result<String, Refused> {
    scalar(&interpolation::double(value))
}

/// For YAML that nobody interpolates. Domain: text without NUL.
pub fn scalar(value: &str) -> Result<String, Refused> {
    refuse_nul(SINK, value)?;
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for char in value.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unprintable(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

/// Words that a reader of YAML 1.1, as Docker and Kubernetes have, takes for something other than text.
const RETYPED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// A name as a key or a value, for files that people read: bare where no reader can take it for anything but text. What
/// begins with a letter is no number and no date. Domain: text without NUL.
pub fn word(value: &str) -> Result<String, Refused> {
    let bare = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !RETYPED.contains(&value.to_ascii_lowercase().as_str());
    if bare { Ok(value.to_owned()) } else { scalar(value) }
}

/// What YAML calls not printable or takes for a line break, and NBSP, which no reader of the file can see.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Reads a double-quoted scalar that stands on one line, with all escapes of YAML 1.2 (section 5.7).
pub fn decode(text: &str) -> Result<String, Malformed> {
    let fail = |what, at| Err(Malformed { what, at });
    let mut chars = text.char_indices();
    if chars.next().is_none_or(|(_, c)| c != '"') {
        return fail("no double quote", 0);
    }
    let mut out = String::with_capacity(text.len());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' if chars.as_str().is_empty() => return Ok(out),
            '"' => return fail("text behind the closing quote", at),
            '\\' => out.push(escaped(&mut chars, at)?),
            '\t' => out.push(char),
            c if is_unprintable(c) && c != '\u{a0}' => {
                return fail("a character that is not printable", at);
            }
            c => out.push(c),
        }
    }
    fail("no closing quote", text.len())
}

fn escaped(chars: &mut std::str::CharIndices<'_>, at: usize) -> Result<char, Malformed> {
    let unknown = Malformed { what: "an unknown escape", at };
    let digits = match chars.next().ok_or_else(|| unknown.clone())?.1 {
        '0' => return Ok('\0'),
        'a' => return Ok('\x07'),
        'b' => return Ok('\x08'),
        't' | '\t' => return Ok('\t'),
        'n' => return Ok('\n'),
        'v' => return Ok('\x0b'),
        'f' => return Ok('\x0c'),
        'r' => return Ok('\r'),
        'e' => return Ok('\x1b'),
        'N' => return Ok('\u{85}'),
        '_' => return Ok('\u{a0}'),
        'L' => return Ok('\u{2028}'),
        'P' => return Ok('\u{2029}'),
        c @ (' ' | '"' | '/' | '\\') => return Ok(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(unknown),
    };
    let mut code = 0;
    for _ in 0..digits {
        let digit =
            chars.next().and_then(|(_, c)| c.to_digit(16)).ok_or_else(|| unknown.clone())?;
        code = code * 16 + digit;
    }
    char::from_u32(code).ok_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_json_escapes_only() {
        let text = "a\"\\\n\r\t\u{1}\u{7f}\u{85}\u{a0}\u{2028}\u{feff}\u{ffff}é☃😀$x";
        let written = scalar(text).unwrap();
        assert_eq!(written, r#""a\"\\\n\r\t\u0001\u007f\u0085\u00a0\u2028\ufeff\uffffé☃😀$x""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        assert_eq!(decode(&written).as_deref(), Ok(text));
    }

    #[test]
    fn a_word_is_bare_where_it_is_text_to_everybody() {
        for text in ["llama", "CTX_SIZE", "llama-true", "e1", "a.b"] {
            assert_eq!(word(text).as_deref(), Ok(text));
        }
        for text in
            ["true", "Null", "NO", "y", "010", "1e3", "2024-01-02", "_1", "", ".inf", "a b", "a:"]
        {
            assert_eq!(word(text), Ok(format!("\"{text}\"")));
        }
    }

    #[test]
    fn compose_doubles_the_dollar() {
        assert_eq!(compose("^blk$").as_deref(), Ok(r#""^blk$$""#));
        assert_eq!(compose(r"blk\.1").as_deref(), Ok(r#""blk\\.1""#));
    }

    #[test]
    fn decodes_what_yaml_allows_and_refuses_the_rest() {
        assert_eq!(decode(r#""\x41\U0001F600\_\e\/""#).as_deref(), Ok("A😀\u{a0}\x1b/"));
        for text in [r#""blk\.x""#, r#""a"#, r#""a"b"#, "a", r#""\x4""#, r#""\ud800""#, "\"\u{1}\""]
        {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
