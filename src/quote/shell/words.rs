//! The word language of `EXTRA_ARGS`, which our `entrypoint.sh` reads: many arguments in one string.
//!
//! Space, tab and line feed separate. `'…'` is literal; in `"…"` a `\"` is a quote and a `\\` a backslash,
//! any other backslash stays; outside of quotes a backslash is an ordinary character, so that a regex needs
//! none doubled. Pieces that touch are one word, and nothing is ever expanded.

use crate::quote::{Malformed, NUL, Refused, refuse};

/// With the unit separator the entrypoint ends each word in its list; it is refused.
const END: char = '\u{1f}';

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

/// One string that [`split`] takes apart into `words` again. Domain: texts without NUL and unit separator
/// (U+001F).
pub fn join<S: AsRef<str>>(words: &[S]) -> Result<String, Refused> {
    let written = words.iter().map(|w| encode(w.as_ref())).collect::<Result<Vec<_>, _>>()?;
    Ok(written.join(" "))
}

/// One word: bare where it can be, else in single quotes, else (it holds a single quote) in double quotes.
pub fn encode(word: &str) -> Result<String, Refused> {
    refuse("a word of EXTRA_ARGS", word, |c| match c {
        '\0' => Some(NUL),
        END => Some("the entrypoint keeps it for itself, as the end of a word"),
        _ => None,
    })?;
    let bare = !word.is_empty() && !word.contains(|c| is_blank(c) || matches!(c, '\'' | '"'));
    Ok(if bare {
        word.to_owned()
    } else if word.contains('\'') {
        format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\""))
    } else {
        format!("'{word}'")
    })
}

/// The words of `text`; an error where a quote does not close or a unit separator stands.
pub fn split(text: &str) -> Result<Vec<String>, Malformed> {
    if let Some(at) = text.find(END) {
        return Err(Malformed { what: "a unit separator", at });
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if is_blank(char) {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        if char != '\'' && char != '"' {
            word.push(char);
            continue;
        }
        loop {
            match chars.next() {
                None => return Err(Malformed { what: "a quote that does not close", at }),
                Some((_, c)) if c == char => break,
                Some((_, '\\')) if char == '"' => {
                    let next = chars.clone().next().map(|(_, c)| c);
                    match next {
                        Some(c @ ('"' | '\\')) => {
                            chars.next();
                            word.push(c);
                        }
                        _ => word.push('\\'),
                    }
                }
                Some((_, c)) => word.push(c),
            }
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(split(text).unwrap(), expected, "{text:?}");
    }

    #[test]
    fn reads_the_language() {
        check("", &[]);
        check(" \t\n ", &[]);
        check(
            r"-ot blk\.([0-9]|1[0-2])\.=CUDA0,exps=CPU",
            &["-ot", r"blk\.([0-9]|1[0-2])\.=CUDA0,exps=CPU"],
        );
        check(r#"--kw '{"k": false}' """#, &["--kw", r#"{"k": false}"#, ""]);
        check(r#""a\.b\"c\\d" x"#, &[r#"a\.b"c\d"#, "x"]);
        check("a'b c'd\"e f\"", &["ab cde f"]);
        check(r"trail\ x", &[r"trail\", "x"]);
        check("*.gguf $(id) `id`", &["*.gguf", "$(id)", "`id`"]);
    }

    #[test]
    fn an_open_quote_is_an_error_with_its_place() {
        assert_eq!(split("a 'b").unwrap_err().at, 2);
        assert_eq!(split(r#""a\""#).unwrap_err().at, 0);
        assert_eq!(split("a\u{1f}").unwrap_err().at, 1);
        assert!(join(&["a\u{1f}"]).is_err());
    }

    #[test]
    fn join_is_the_inverse() {
        let words = ["", "a", "a b", "it's", r#"'"\"#, r"\", r#"\""#, "a\tb\nc", r"'\\'", "é'"];
        assert_eq!(split(&join(&words).unwrap()).unwrap(), words);
    }
}
