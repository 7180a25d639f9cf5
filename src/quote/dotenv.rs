//! A value in a Compose `.env`, `--env-file` or `env_file`. The bare form is preferred, because it means the
//! same to every reader of such files; the quoted form is exact in Compose from 2.20 on.

mod read;

pub use read::decode;

use super::{Refused, refuse_longer, refuse_nul};

const SINK: &str = "a .env value";

/// The kernel takes environment strings of up to 128 KiB with name and NUL; 1 KiB is left for the name.
const MAX_VALUE: usize = (128 << 10) - 1024;

/// Domain: text without NUL, up to 127 KiB. Never single quotes: how a reader takes a backslash in them
/// depends on its version.
pub fn encode(value: &str) -> Result<String, Refused> {
    refuse_nul(SINK, value)?;
    if value.len() > MAX_VALUE {
        let why = "a program cannot be started with an environment string of 128 KiB or more";
        return refuse_longer(SINK, value.to_owned(), MAX_VALUE, why);
    }
    Ok(if is_bare_safe(value) { value.to_owned() } else { quoted(value) })
}

/// Whether the value can stand without quotes and be read alike by Compose 1, 2 and 5, by podman-compose and
/// by `docker run --env-file`. (A shell that sources the file is not among them.)
pub fn is_bare_safe(value: &str) -> bool {
    !value.is_empty()
        && !value.starts_with(['\'', '"'])
        && !value.starts_with(char::is_whitespace)
        && !value.ends_with(char::is_whitespace)
        && !value.contains(|c: char| c == '$' || c.is_control())
        && !value.match_indices('#').any(|(at, _)| {
            value.get(..at).is_some_and(|before| before.ends_with(char::is_whitespace))
        })
}

/// The canonical double-quoted form.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for char in value.chars() {
        match char {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str("\\\""),
            '$' => out.push_str(r"\$"),
            '\n' => out.push_str(r"\n"),
            '\r' => out.push_str(r"\r"),
            '\t' => out.push_str(r"\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, written: &str) {
        assert_eq!(encode(value).as_deref(), Ok(written));
        let file = format!("A=1\nK={written}\nZ=2\n");
        let pairs = [("A", "1"), ("K", value), ("Z", "2")];
        let read = decode(&file, &|_| Some("live".to_owned())).unwrap();
        assert!(read.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(pairs), "{read:?}");
    }

    #[test]
    fn bare_where_every_reader_agrees() {
        for value in [
            r"blk\.([0-9]|1[0-2])\.=CUDA0,exps=CPU",
            "262144",
            "a#b",
            "it's",
            r"trail\",
            r#"{"a": 1}"#,
            "é ☃",
        ] {
            check(value, value);
        }
    }

    #[test]
    fn quoted_otherwise() {
        check("", r#""""#);
        check(" a", r#"" a""#);
        check("a\u{a0}", "\"a\u{a0}\"");
        check("a # b", r#""a # b""#);
        check("'q'", r#""'q'""#);
        check("^a$\\", r#""^a\$\\""#);
        check("$$ ${X}", r#""\$\$ \${X}""#);
        check("l1\nl2\r\t", r#""l1\nl2\r\t""#);
        check(r#""\n""#, r#""\"\\n\"""#);
    }

    #[test]
    fn nul_and_endless_values_are_refused() {
        assert!(encode("\0").is_err());
        assert!(encode(&"x".repeat(MAX_VALUE)).is_ok());
        assert!(encode(&"x".repeat(MAX_VALUE + 1)).is_err());
    }
}
