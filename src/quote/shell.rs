//! A word for a POSIX shell: for commands we print and for shell text we generate.

pub mod words;

use super::{Malformed, Refused, refuse_nul};

/// The word as it is where no shell sees anything special in it, else in single quotes, in which a `'` is
/// `'\''`. Domain: text without NUL. A line break stays one, inside the quotes.
pub fn encode(word: &str) -> Result<String, Refused> {
    refuse_nul("a shell word", word)?;
    if !word.is_empty() && word.chars().all(is_plain) {
        return Ok(word.to_owned());
    }
    Ok(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Left out on purpose: `=` before a command is an assignment, `~` and `{` expand, `#` starts a comment.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./:,@%+-".contains(c)
}

/// Reads one word of unquoted, single-quoted and backslashed pieces (POSIX.1-2024, XCU 2.2); expansions and
/// double quotes are not among what [`encode`] writes and are rejected.
pub fn decode(text: &str) -> Result<String, Malformed> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' => loop {
                match chars.next() {
                    None => return Err(Malformed { what: "no closing quote", at }),
                    Some((_, '\'')) => break,
                    Some((_, c)) => out.push(c),
                }
            },
            '\\' => match chars.next() {
                Some((_, c)) if c != '\n' => out.push(c),
                _ => return Err(Malformed { what: "a line continuation", at }),
            },
            c if is_plain(c) => out.push(c),
            _ => return Err(Malformed { what: "a character that is special to a shell", at }),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_and_others_are_quoted() {
        for (word, written) in [
            ("--ctx-size", "--ctx-size"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("A=b", "'A=b'"),
            (r"blk\.([0-9])=CPU", r"'blk\.([0-9])=CPU'"),
            ("$x\n", "'$x\n'"),
        ] {
            assert_eq!(encode(word).as_deref(), Ok(written));
            assert_eq!(decode(written).as_deref(), Ok(word));
        }
        assert!(encode("\0").is_err());
    }

    #[test]
    fn decode_takes_no_expansion() {
        for text in ["a b", "$x", "'a", "\"a\"", "a\\", "*"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
