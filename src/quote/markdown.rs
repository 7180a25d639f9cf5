//! Words within a line of GitHub's Markdown, or within a cell of its tables: they mean themselves, and name nobody.

use super::{Refused, refuse_nul};

/// Escapes whatever could begin markup, a mention, a link to an issue, or end a cell. A line break becomes `<br>`.
pub fn encode(value: &str) -> Result<String, Refused> {
    refuse_nul("Markdown", value)?;
    let mut written = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match c {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            // A backslash does not keep these from being found.
            '@' => written.push_str("&#64;"),
            '#' => written.push_str("&#35;"),
            '\n' => written.push_str("<br>"),
            '\r' => written.push_str("&#13;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => {
                written.push('\\');
                written.push(c);
            }
            c => written.push(c),
        }
    }
    Ok(written)
}

/// What a reader sees: backslashes and the entities that are written here, undone.
#[cfg(test)]
fn decode(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    'next: while let Some(c) = rest.chars().next() {
        for (written, shown) in [
            ("&amp;", "&"),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&#64;", "@"),
            ("&#35;", "#"),
            ("&#13;", "\r"),
            ("<br>", "\n"),
        ] {
            if let Some(after) = rest.strip_prefix(written) {
                out.push_str(shown);
                rest = after;
                continue 'next;
            }
        }
        rest = &rest[c.len_utf8()..];
        match (c, rest.chars().next()) {
            ('\\', Some(next)) if next.is_ascii_punctuation() => {
                out.push(next);
                rest = &rest[1..];
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn markup_and_mentions_are_words() {
        assert_eq!(encode("a|b *c* @d #1 <e>").unwrap(), r"a\|b \*c\* &#64;d &#35;1 &lt;e&gt;");
        assert_eq!(encode("blk\\.1\n`x`").unwrap(), r"blk\\.1<br>\`x\`");
        assert!(encode("a\0").is_err());
    }

    proptest! {
        #[test]
        fn a_reader_sees_what_was_written(value in "[^\0]*") {
            let written = encode(&value).unwrap();
            prop_assert!(!written.contains(['\n', '\r', '@', '\0']));
            prop_assert_eq!(decode(&written), value);
        }
    }
}
