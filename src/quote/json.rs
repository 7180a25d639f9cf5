//! A JSON string (RFC 8259). Readers of JSON with comments and of JSON5 take it as well.

use super::{Malformed, Refused, refuse_nul, yaml};

const SINK: &str = "a JSON string";

/// Domain: text without NUL. The double-quoted scalar of YAML is written in JSON's escapes alone, so it is the same text.
pub fn encode(value: &str) -> Result<String, Refused> {
    refuse_nul(SINK, value)?;
    yaml::scalar(value)
}

/// Reads one string; what it is held against is the parser that reads every other JSON here.
pub fn decode(text: &str) -> Result<String, Malformed> {
    serde_json::from_str(text)
        .map_err(|error| Malformed { what: "no JSON string", at: error.column().saturating_sub(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back() {
        for value in [
            "",
            "a",
            "a\"b\\c",
            "l1\nl2\r\t",
            "${x} {env:Y}",
            "é☃😀\u{2028}\u{7f}\u{1}",
            "</script>",
        ] {
            let written = encode(value).unwrap();
            assert!(!written.contains('\n'), "{written}");
            assert_eq!(decode(&written).as_deref(), Ok(value));
        }
        assert!(encode("\0").unwrap_err().to_string().starts_with("a JSON string cannot hold"));
    }

    #[test]
    fn decode_takes_one_string_only() {
        for text in ["", "a", "\"a", "\"a\" 1", "1", r#""\x""#, "\"\t\""] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
