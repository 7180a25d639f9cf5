//! A value in a Quadlet unit, on its way to podman's arguments: read once by Quadlet, which writes it into an
//! `ExecStart=`, and from there by systemd, which also replaces `%` specifiers and `$` variables.

mod read;

use std::fmt::Write as _;

use super::{Found, NUL, ONE_LINE, Refused, refuse};

pub use read::{decode, words};

const SINK: &str = "a Quadlet unit";
const NO_CHARACTER: &str = "systemd takes lines with code points that are no characters for broken";

const ONE_BYTE: &str = "Quadlet passes it on as one byte, which is no character";

/// One word of a key that holds words, such as `Environment=`. Domain: text without NUL, U+0080, and code points that
/// Unicode has reserved for no character.
pub fn word(value: &str) -> Result<String, Refused> {
    refuse(SINK, value, |c| match c {
        '\0' => Some(NUL),
        '\u{80}' => Some(ONE_BYTE),
        c if is_no_character(c) => Some(NO_CHARACTER),
        _ => None,
    })?;
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for char in value.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '%' => out.push_str("%%"),
            '$' => out.push_str("$$"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_invisible(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

/// The whole value of a key that Quadlet takes as it stands, such as `Volume=`. Domain: one line of visible
/// characters with no blank at either end and no backslash at the last.
pub fn line(value: &str) -> Result<String, Refused> {
    refuse(SINK, value, |c| match c {
        '\0' => Some(NUL),
        '\n' | '\r' => Some(ONE_LINE),
        c if is_no_character(c) => Some(NO_CHARACTER),
        c if c.is_control() || is_invisible(c) => Some("the key knows no escape for it"),
        _ => None,
    })?;
    if value.trim() != value || value.ends_with('\\') {
        let why = "blanks at its ends are dropped, and a backslash there joins the next line to it";
        return Err(Refused { sink: SINK, found: Found::Text(value.to_owned()), why });
    }
    Ok(value.replace('%', "%%").replace('$', "$$"))
}

/// What nobody sees in a file, or takes for the end of a line.
fn is_invisible(c: char) -> bool {
    ('\u{80}'..='\u{a0}').contains(&c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn is_no_character(c: char) -> bool {
    ('\u{fdd0}'..='\u{fdef}').contains(&c) || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_readers_and_their_expansions_are_met() {
        assert_eq!(word(r#"a"b\.c 100% $x"#).as_deref(), Ok(r#""a\"b\\.c 100%% $$x""#));
        assert_eq!(word("l1\nl2\t\u{1b}\u{85}é'").as_deref(), Ok(r#""l1\nl2\t\x1b\u0085é'""#));
        for text in ["\0", "\u{80}", "\u{fffe}", "\u{fdd0}", "\u{10ffff}"] {
            assert!(word(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lines_hold_what_they_can() {
        assert_eq!(line("/a b%c$d:/x:ro").as_deref(), Ok("/a b%%c$$d:/x:ro"));
        assert_eq!(line(r"/a\b").as_deref(), Ok(r"/a\b"));
        for text in [" a", "a ", r"a\", "a\nb", "a\u{85}b", "\u{feff}", "\u{ffff}"] {
            assert!(line(text).is_err(), "{text:?}");
        }
    }
}
