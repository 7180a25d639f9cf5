//! The exec form of a Dockerfile's ENTRYPOINT, CMD and HEALTHCHECK: a JSON array of strings on one line.
//! A backslash that JSON does not know turns it silently into shell form, so it is always written by this.

use super::dockerfile::MAX_WORD;
use super::{Malformed, Refused, refuse_longer, refuse_nul};

const SINK: &str = "an exec form";

/// Domain: any number of texts without NUL, up to [`MAX_WORD`] bytes of JSON.
pub fn encode<S: AsRef<str>>(argv: &[S]) -> Result<String, Refused> {
    let mut out = String::from("[");
    for (index, word) in argv.iter().enumerate() {
        refuse_nul(SINK, word.as_ref())?;
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(&serde_json::Value::from(word.as_ref()).to_string());
    }
    out.push(']');
    refuse_longer(SINK, out, MAX_WORD, super::dockerfile::TOO_LONG)
}

/// Reads the array. An error here means that BuildKit would take the line for shell form.
pub fn decode(text: &str) -> Result<Vec<String>, Malformed> {
    serde_json::from_str(text).map_err(|e| Malformed {
        what: "no JSON array of strings",
        at: e.column().saturating_sub(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_on_one_line() {
        let argv = ["/entrypoint.sh", "", "a b", r"blk\.1", "l1\nl2", "\"q\" $x", "é\u{1}"];
        let written = encode(&argv).unwrap();
        assert!(!written.contains('\n'));
        assert_eq!(decode(&written).unwrap(), argv);
        assert_eq!(encode::<&str>(&[]).as_deref(), Ok("[]"));
    }

    #[test]
    fn refuses_what_buildkit_would_not_take() {
        assert!(encode(&["a\0"]).is_err());
        assert!(encode(&["x".repeat(70_000)]).is_err());
        assert!(decode(r#"["blk\.x"]"#).is_err());
    }
}
