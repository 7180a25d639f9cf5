//! Compose's `$` language, which runs over the scalars of a compose file and the values of a `.env`.
//!
//! Rules as in compose-go's `template.go`: `$$` is a dollar, `$NAME` and `${NAME}` with the operators
//! `:- - :+ + :? ?` are replaced, a lone `$` stays, a `${` that does not close is an error.

use super::{Malformed, Refused, refuse};

/// The value so that interpolation gives it back: every `$` doubled. Domain: any text.
pub fn double(value: &str) -> String {
    value.replace('$', "$$")
}

/// The text after `:-` in `${NAME:-text}`. The reader has no escape for a brace and none for a line break,
/// and Compose 1 does not undouble a `$` there, so only characters that mean nothing to any reader pass:
/// letters, digits and `_ . / : , @ % + = -`. The rest belongs into the `.env`.
pub fn default_text(value: &str) -> Result<String, Refused> {
    refuse("the default of a ${NAME:-…}", value, |c| {
        let plain = c.is_ascii_alphanumeric() || "_./:,@%+=-".contains(c);
        (!plain).then_some(
            "no escape is understood by every version of Compose; put the value into the .env",
        )
    })?;
    Ok(value.to_owned())
}

/// What Compose makes of `text`, where `lookup` answers for the variables.
pub fn decode(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Malformed> {
    expand(text, 0, lookup)
}

fn expand(
    text: &str,
    base: usize,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Malformed> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let at = base + text.len() - after.len() - 1;
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(braced) = after.strip_prefix('{') {
            let invalid = Malformed { what: "a ${ that is no variable", at };
            let end = closing_brace(braced).ok_or_else(|| invalid.clone())?;
            let (inside, after) = braced.split_at(end);
            out.push_str(&braced_value(inside, at + 2, lookup).ok_or(invalid)??);
            rest = after.strip_prefix('}').unwrap_or(after);
        } else {
            let (name, after) = split_name(after);
            if name.is_empty() {
                out.push('$');
            } else {
                out.push_str(&lookup(name).unwrap_or_default());
            }
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// `None` where the inside of the braces is no substitution at all.
fn braced_value(
    inside: &str,
    base: usize,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Option<Result<String, Malformed>> {
    let (name, rest) = split_name(inside);
    if name.is_empty() || rest.contains('\n') {
        return None;
    }
    let value = lookup(name);
    let (unset_only, operator) = match rest.strip_prefix(':') {
        Some(operator) => (false, operator),
        None => (true, rest),
    };
    let present = value.as_deref().is_some_and(|v| unset_only || !v.is_empty());
    let mut chars = operator.chars();
    let operation = chars.next();
    let argument = || expand(chars.as_str(), base + inside.len() - chars.as_str().len(), lookup);
    Some(match operation {
        None if unset_only => Ok(value.unwrap_or_default()),
        Some('-') if !present => argument(),
        Some('+') if present => argument(),
        Some('+') => Ok(String::new()),
        Some('?') if !present => {
            Err(Malformed { what: "a required variable that is not set", at: base })
        }
        Some('-' | '?') => Ok(value.unwrap_or_default()),
        _ => return None,
    })
}

fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn split_name(text: &str) -> (&str, &str) {
    let end = text
        .char_indices()
        .find(|&(at, c)| !(c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())))
        .map_or(text.len(), |(at, _)| at);
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let lookup = |name: &str| match name {
            "A" => Some("x".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(decode(text, &lookup).ok().as_deref(), expected, "{text:?}");
    }

    #[test]
    fn reads_as_compose_reads() {
        check("a$$b$", Some("a$b$"));
        check("$A $1 $( ${A}y", Some("x $1 $( xy"));
        check("${EMPTY:-d} ${EMPTY-d} ${NONE-d}", Some("d  d"));
        check("${A:+${A}$$} ${NONE:+n}", Some("x$ "));
        check(r#"${U:-{"a":1}}"#, Some(r#"{"a":1}"#));
        check("${U:-a}b}", Some("ab}"));
        check("${NONE?}", None);
        check("a${b", None);
        check("${1}", None);
        check("${U:-a\nb}", None);
    }

    #[test]
    fn doubled_dollars_come_back() {
        for value in ["", "$", "$$", "${a", "a$b$$c${d:-e}", "$$$"] {
            check(&double(value), Some(value));
        }
    }

    #[test]
    fn a_default_is_a_plain_word() {
        assert_eq!(default_text("0.0.0.0:8080").as_deref(), Ok("0.0.0.0:8080"));
        for text in ["a b", "a}b", "$x", "{", "a\n", "é", "'"] {
            assert!(default_text(text).is_err(), "{text:?}");
        }
    }
}
