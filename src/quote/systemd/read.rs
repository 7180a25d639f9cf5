//! How systemd reads the arguments of `ExecStart=` (systemd, `extract-word.c`, `specifier.c` and `env-util.c`). Quadlet
//! splits its own keys by a port of the first of these.

use crate::quote::Malformed;

type Specifier<'a> = &'a dyn Fn(char) -> Option<String>;
type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The words of an `ExecStart=`: split, then each with `%` specifiers and `$` variables replaced. What `specifier` does
/// not know is an error, what `variable` does not know is empty.
pub fn decode(
    text: &str,
    specifier: Specifier<'_>,
    variable: Variable<'_>,
) -> Result<Vec<String>, Malformed> {
    let mut out = Vec::new();
    for word in words(text)? {
        let word = specifiers(&word, specifier)?;
        match word.strip_prefix('$').map(split_name) {
            // Alone in its word, a variable is split at blanks.
            Some((name, "")) if !name.is_empty() => {
                let value = variable(name).unwrap_or_default();
                out.extend(value.split_ascii_whitespace().map(str::to_owned));
            }
            _ => out.push(variables(&word, variable)),
        }
    }
    Ok(out)
}

/// Words separated by blanks, in which quotes may begin anywhere and backslashes are those of C.
pub fn words(text: &str) -> Result<Vec<String>, Malformed> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        let inside = quote.is_some();
        match char {
            '\\' => {
                let (char, rest) =
                    escaped(chars.as_str()).ok_or(Malformed { what: "an unknown escape", at })?;
                word.get_or_insert_default().push(char);
                while chars.as_str().len() > rest {
                    chars.next();
                }
            }
            c if quote == Some(c) => quote = None,
            '"' | '\'' if !inside => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            ' ' | '\t' | '\n' | '\r' if !inside => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Malformed { what: "no closing quote", at: text.len() });
    }
    words.extend(word);
    Ok(words)
}

/// The character that stands behind a backslash, and how much text is left then.
fn escaped(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    let rest = text.len() - first.len_utf8();
    let number = |skip: usize, digits: usize, radix: u32| {
        let code = text.get(skip..skip + digits)?;
        let code = u32::from_str_radix(code, radix).ok()?;
        // A byte beyond ASCII is a part of a character, which no text of ours needs.
        let single = skip == 1 && digits == 2 || radix == 8;
        let char = char::from_u32(code).filter(|_| code > 0 && (!single || code < 128))?;
        Some((char, text.len() - skip - digits))
    };
    Some(match first {
        'a' => ('\x07', rest),
        'b' => ('\x08', rest),
        'f' => ('\x0c', rest),
        'n' => ('\n', rest),
        'r' => ('\r', rest),
        't' => ('\t', rest),
        'v' => ('\x0b', rest),
        's' => (' ', rest),
        '\\' | '"' | '\'' => (first, rest),
        'x' => number(1, 2, 16)?,
        'u' => number(1, 4, 16)?,
        'U' => number(1, 8, 16)?,
        '0'..='7' => number(0, 3, 8)?,
        _ => return None,
    })
}

fn specifiers(word: &str, specifier: Specifier<'_>) -> Result<String, Malformed> {
    let mut out = String::with_capacity(word.len());
    let mut chars = word.char_indices();
    while let Some((at, char)) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some((_, '%')) => out.push('%'),
            Some((_, name)) => out
                .push_str(&specifier(name).ok_or(Malformed { what: "an unknown specifier", at })?),
            None => out.push('%'),
        }
    }
    Ok(out)
}

/// `$$` and `${NAME}` anywhere; another dollar stays.
fn variables(word: &str, variable: Variable<'_>) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) =
            after.strip_prefix('{').and_then(|inside| inside.split_once('}'))
        {
            out.push_str(&variable(name).unwrap_or_default());
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn split_name(text: &str) -> (&str, &str) {
    let part = |(at, c): &(usize, char)| {
        *c == '_' || c.is_ascii_alphabetic() || *at > 0 && c.is_ascii_digit()
    };
    let end = text.char_indices().find(|c| !part(c)).map_or(text.len(), |(at, _)| at);
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<String>> {
        let specifier = |c| (c == 'n').then(|| "unit".to_owned());
        let variable = |name: &str| (name == "A").then(|| "x y".to_owned());
        decode(text, &specifier, &variable).ok()
    }

    #[test]
    fn reads_as_systemd_reads() {
        for (text, expected) in [
            ("a  \"b c\" 'd\"' e\"f g\"h ''", &["a", "b c", "d\"", "ef gh", ""][..]),
            (r#""\n\x41\101\u00e9\s""#, &["\nAAé "]),
            ("%n.x 5%% %%n", &["unit.x", "5%", "%n"]),
            ("$A a$A ${A}$$ $$A $1 $", &["x", "y", "a$A", "x y$", "$A", "$1", "$"]),
            ("${NONE} $NONE", &[""]),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for text in [r"\q", "\"a", r"\x4", "%q", r"\xff", r"\000"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
