//! A basic string of TOML 1.0: double quotes, on one line.

use std::fmt::Write as _;

use super::{Malformed, Refused, refuse_nul};

const SINK: &str = "a TOML string";

/// Domain: text without NUL.
pub fn encode(value: &str) -> Result<String, Refused> {
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
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

/// Reads one basic string, by the parser that reads the presets.
pub fn decode(text: &str) -> Result<String, Malformed> {
    let malformed = |what| Malformed { what, at: 0 };
    let one_line = text.starts_with('"') && !text.starts_with("\"\"\"") && !text.contains('\n');
    if !one_line {
        return Err(malformed("no basic string of TOML"));
    }
    let document: toml::Table = toml::from_str(&["v = ", text].concat())
        .map_err(|_| malformed("no basic string of TOML"))?;
    match document.get("v") {
        Some(toml::Value::String(value)) => Ok(value.clone()),
        _ => Err(malformed("no string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back() {
        for (value, written) in [
            ("", r#""""#),
            ("qwen3-coder-next", r#""qwen3-coder-next""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("l1\nl2\r\t", r#""l1\nl2\r\t""#),
            ("é☃😀 ${x} # '", "\"é☃😀 ${x} # '\""),
            ("\u{1}\u{7f}\u{85}\u{2028}", r#""\u0001\u007F\u0085\u2028""#),
        ] {
            assert_eq!(encode(value).as_deref(), Ok(written));
            assert_eq!(decode(written).as_deref(), Ok(value));
        }
        assert!(encode("\0").is_err());
    }

    #[test]
    fn decode_takes_one_basic_string_only() {
        for text in ["", "a", "'a'", "\"a", "\"a\"\nb = 1", "\"\"\"a\"\"\"", r#""\x""#, "1"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
