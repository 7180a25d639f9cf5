//! A value in the file of `docker run --env-file` and of `env_file` in `docker stack deploy`: no quotes, no
//! escapes, nothing interpolated (docker/cli, `pkg/kvfile`).

use super::{Malformed, NUL, ONE_LINE, Refused, refuse, refuse_longer};

const SINK: &str = "a line of `docker run --env-file`";

/// The scanner's line limit of 64 KiB, less 1 KiB for the name.
const MAX_VALUE: usize = (64 << 10) - 1024;

/// Domain: text without NUL, LF and CR, up to 63 KiB. Written as it is; a value that is empty or ends in
/// blanks arrives like that.
pub fn encode(value: &str) -> Result<String, Refused> {
    refuse(SINK, value, |c| match c {
        '\0' => Some(NUL),
        '\n' | '\r' => Some(ONE_LINE),
        _ => None,
    })?;
    refuse_longer(SINK, value.to_owned(), MAX_VALUE, "the reader takes lines of up to 64 KiB")
}

/// Reads a whole file. A name without `=` would be taken from the environment; it is left out here.
pub fn decode(file: &str) -> Result<Vec<(String, String)>, Malformed> {
    let text = file.strip_prefix('\u{feff}').unwrap_or(file);
    let mut at = file.len() - text.len();
    let mut pairs = Vec::new();
    for line in text.split_inclusive('\n') {
        let here = at;
        at += line.len();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(Malformed { what: "no name before the `=`", at: here });
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_verbatim() {
        for value in ["", "\"q\"", "a # b  ", "$HOME", r"blk\.1", "\u{85}x"] {
            let file = format!("# c\n\nK={}\n", encode(value).unwrap());
            assert_eq!(decode(&file).unwrap(), [("K".to_owned(), value.to_owned())]);
        }
    }

    #[test]
    fn a_line_break_and_a_long_line_are_refused() {
        for value in ["a\nb", "a\r", "\0", &"x".repeat(65_000)] {
            assert!(encode(value).is_err());
        }
        assert!(decode("a b=c").is_err());
    }
}
