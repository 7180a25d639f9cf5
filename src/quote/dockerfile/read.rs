//! BuildKit's reader of `NAME=value …` (moby/buildkit, `frontend/dockerfile/parser/line_parsers.go` and
//! `frontend/dockerfile/shell/lex.go`) with the usual escape character, the backslash.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::quote::Malformed;

/// The pairs of an ENV or LABEL line, without the instruction; `lookup` answers for ARG and ENV variables.
/// The modifiers of `${NAME…}` are not modeled and are an error.
pub fn decode(
    line: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Malformed> {
    words(line)
        .into_iter()
        .map(|(at, word)| {
            let (name, value) = word
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or(Malformed { what: "no `=`", at })?;
            let value = process(value, lookup).map_err(|e| Malformed { at, ..e })?;
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// The words with their quotes and backslashes, and where each begins.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = line.char_indices();
    while let Some((at, char)) = chars.next() {
        match quote {
            None if char.is_whitespace() => {
                words.extend(start.take().map(|start| (start, &line[start..at])));
                continue;
            }
            None if matches!(char, '\'' | '"') => quote = Some(char),
            Some(open) if char == open => quote = None,
            _ => {}
        }
        start.get_or_insert(at);
        if char == '\\' && quote != Some('\'') {
            chars.next();
        }
    }
    words.extend(start.map(|start| (start, &line[start..])));
    words
}

type Chars<'a> = Peekable<CharIndices<'a>>;

/// What a word stands for.
fn process(word: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Malformed> {
    let open = |at| Malformed { what: "a quote that does not close", at };
    let mut out = String::with_capacity(word.len());
    let mut chars = word.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' => loop {
                match chars.next().ok_or_else(|| open(at))?.1 {
                    '\'' => break,
                    c => out.push(c),
                }
            },
            '"' => loop {
                match chars.next().ok_or_else(|| open(at))?.1 {
                    '"' => break,
                    '$' => out.push_str(&variable(&mut chars, lookup)?),
                    '\\' => match chars.next_if(|(_, c)| matches!(c, '"' | '$' | '\\')) {
                        Some((_, c)) => out.push(c),
                        None if chars.peek().is_some() => out.push('\\'),
                        None => {}
                    },
                    c => out.push(c),
                }
            },
            '$' => out.push_str(&variable(&mut chars, lookup)?),
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The value of the variable whose name follows a `$`.
fn variable(
    chars: &mut Chars<'_>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Malformed> {
    let at = chars.peek().map_or(0, |(at, _)| *at);
    let braced = chars.next_if(|(_, c)| *c == '{').is_some();
    let mut name = String::new();
    while let Some((_, c)) = chars.next_if(|(_, c)| *c == '_' || c.is_alphanumeric()) {
        name.push(c);
        if name.len() == 1 && c.is_ascii_digit() {
            break;
        }
    }
    match (braced, name.is_empty()) {
        (true, false) if chars.next_if(|(_, c)| *c == '}').is_some() => {}
        (true, _) => return Err(Malformed { what: "a modifier, or no name, in ${…}", at }),
        (false, true) => return Ok("$".to_owned()),
        (false, false) => {}
    }
    Ok(lookup(&name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[(&str, &str)]) {
        let read = decode(line, &|name| (name == "X").then(|| "v".to_owned())).unwrap();
        let read: Vec<_> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(read, expected, "{line}");
    }

    #[test]
    fn reads_as_buildkit_reads() {
        check(r"K=blk\.1 B=a\ b", &[("K", "blk.1"), ("B", "a b")]);
        check(r#"K="a\b\"\\ c" L='$X\'"#, &[("K", r#"a\b"\ c"#), ("L", r"$X\")]);
        check(
            r#"K=$X-${X} L="$X$NONE$" M=\$X N=$"#,
            &[("K", "v-v"), ("L", "v$"), ("M", "$X"), ("N", "$")],
        );
        for line in [r#"K="a"#, "K='a", "K", "=v", "K=${X:-y}", "K=${"] {
            assert!(decode(line, &|_| None).is_err(), "{line}");
        }
    }
}
