//! Compose's reader of `.env` files (compose-go, `dotenv/parser.go` and `dotenv/godotenv.go`, as of 2.24).

use std::collections::HashMap;

use crate::quote::{Malformed, interpolation};

/// The variables of a file in its order, later ones after earlier ones of the same name. `lookup` is the
/// process environment: it is asked first for a `$NAME`, and for a name that has no value in the file.
pub fn decode(
    file: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Malformed> {
    let text = file.strip_prefix('\u{feff}').unwrap_or(file);
    let mut reader = Reader { file, at: file.len() - text.len(), seen: HashMap::new() };
    let mut pairs = Vec::new();
    while reader.next_statement() {
        let (name, has_value) = reader.name()?;
        let value = if has_value { Some(reader.value(lookup)?) } else { lookup(name) };
        if let Some(value) = value {
            reader.seen.insert(name.to_owned(), value.clone());
            pairs.push((name.to_owned(), value));
        }
    }
    Ok(pairs)
}

struct Reader<'a> {
    file: &'a str,
    at: usize,
    seen: HashMap<String, String>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.file.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.at = self.file.len() - self.rest().trim_start_matches(skipped).len();
    }

    /// Whether there is another statement, past white space and comments.
    fn next_statement(&mut self) -> bool {
        loop {
            self.skip(char::is_whitespace);
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.skip(|c| c != '\n');
        }
    }

    /// The name, and whether a value follows (else the name is inherited).
    fn name(&mut self) -> Result<(&'a str, bool), Malformed> {
        if let Some(exported) = self.rest().strip_prefix("export") {
            let name = exported.trim_start();
            if name.len() < exported.len() {
                self.at = self.file.len() - name.len();
            }
        }
        let rest = self.rest();
        let end = rest.find(['=', ':', '\n']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.trim_end();
        let fail = |what| Err(Malformed { what, at: self.at });
        if !name.chars().all(|c| c.is_alphanumeric() || "_.-[]".contains(c) || is_blank(c)) {
            return fail("a character that is not for names");
        }
        if name.contains(' ') {
            return fail("a blank in a name");
        }
        let has_value = after.starts_with(['=', ':']);
        self.at += end + usize::from(!after.is_empty());
        self.skip(is_blank);
        Ok((name, has_value))
    }

    fn value(&mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Malformed> {
        let rest = self.rest();
        let start = self.at;
        let seen = &self.seen;
        let lookup = |name: &str| lookup(name).or_else(|| seen.get(name).cloned());
        let interpolate = |text: &str| {
            interpolation::decode(text, &lookup).map_err(|e| Malformed { at: start, ..e })
        };
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            let line = rest.split('\n').next().unwrap_or_default();
            let value = line.split(" #").next().unwrap_or_default().trim_end();
            self.at += line.len();
            return interpolate(value);
        };
        let (text, length) = quoted(rest, quote)
            .ok_or(Malformed { what: "a quote that does not close", at: start })?;
        self.at += length;
        if quote == '\'' { Ok(text) } else { interpolate(&unescape(&text)) }
    }
}

/// White space without the line feed.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The text between the quotes, in which a backslash before the quote is gone and every other pair is kept,
/// and the length with both quotes.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        if char == quote {
            return Some((out, at + 1));
        }
        if char != '\\' {
            out.push(char);
            continue;
        }
        let (_, next) = chars.next()?;
        if next != quote {
            out.push('\\');
        }
        out.push(next);
    }
    None
}

/// The escapes of a double-quoted value. A `\$` becomes `$$`, which interpolation turns into a dollar.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        let plain = match chars.next() {
            Some('a') => "\x07",
            Some('b') => "\x08",
            Some('f') => "\x0c",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\x0b",
            Some('\\') => "\\",
            Some('"') => "\"",
            Some('$') => "$$",
            Some('0') => {
                rest = octal(chars.as_str(), &mut out);
                continue;
            }
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        };
        out.push_str(plain);
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// Up to three digits behind `\0`. Where they are no octal number up to 0377, only the zero is lost.
fn octal<'a>(text: &'a str, out: &mut String) -> &'a str {
    let length = text.bytes().take(3).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(length);
    match u8::from_str_radix(digits, 8) {
        Ok(code) if length == 3 => out.push(char::from(code)),
        _ => {
            out.push('\\');
            out.push_str(digits);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, expected: &[(&str, &str)]) {
        let lookup = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        let read = decode(file, &lookup).unwrap();
        let read: Vec<_> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(read, expected, "{file:?}");
    }

    #[test]
    fn names_and_comments() {
        check("\u{feff}# c\r\n\n export A = 1\r\nB: 2", &[("A", "1"), ("B", "2")]);
        check("HOME\nNONE\nA=1", &[("HOME", "/root"), ("A", "1")]);
        check("K=\"x\"junk\n", &[("K", "x")]);
        check("K='x' # c\nB=\n", &[("K", "x"), ("B", "")]);
        for file in ["a b=1", "é!=1", "K='x", "K=\"x\\\"", "K=a${b"] {
            assert!(decode(file, &|_| None).is_err(), "{file:?}");
        }
    }

    #[test]
    fn values() {
        check("K=#a\nL=a #b\nM=a#b \u{a0}", &[("K", "#a"), ("L", "a"), ("M", "a#b")]);
        check("K=$HOME/x\nL=${K}!\nM=^a$", &[("K", "/root/x"), ("L", "/root/x!"), ("M", "^a$")]);
        check(r"K='it\'s \\ $HOME \n'", &[("K", r"it's \\ $HOME \n")]);
        check(r#"K="\"\\\n\$HOME $HOME\q\c""#, &[("K", "\"\\\n$HOME /root\\q\\c")]);
        check(r#"K="\0101\012\08""#, &[("K", r"A\12\8")]);
        check("K=\"l1\nl2\"", &[("K", "l1\nl2")]);
    }
}
