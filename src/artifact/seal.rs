//! A single generated file that belongs to no output directory says itself that it was generated: its last line names
//! a digest of all that stands before. So it can be told from a file of somebody else's, and from one that was edited.

use super::Digest;

const MARK: &str = "made by composegen, ";

/// How a kind of file writes a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comment {
    /// `<!-- ... -->`: HTML, SVG, Markdown.
    Markup,
    /// `# ...`: TOML.
    Hash,
}

/// What a file's text says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// As it was generated.
    Whole,
    /// Generated, and changed since.
    Edited,
    /// Not generated here.
    Foreign,
}

/// The text with the line that says so behind it.
pub fn seal(text: &str, comment: Comment) -> String {
    let body = format!("{}\n", text.trim_end_matches('\n'));
    let digest = Digest::of(body.as_bytes());
    let line = match comment {
        Comment::Markup => format!("<!-- {MARK}{} -->\n", digest.as_str()),
        Comment::Hash => format!("# {MARK}{}\n", digest.as_str()),
    };
    body + &line
}

impl Seal {
    /// Reads the last line.
    pub fn of(text: &str) -> Self {
        let whole = text.trim_end_matches('\n');
        let start = whole.rfind('\n').map_or(0, |at| at + 1);
        let (body, last) = whole.split_at_checked(start).unwrap_or((whole, ""));
        let Some((_, rest)) = last.split_once(MARK) else { return Self::Foreign };
        let said = rest.split_whitespace().next().unwrap_or_default();
        if Digest::of(body.as_bytes()).as_str() == said { Self::Whole } else { Self::Edited }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comment, Seal, seal};

    #[test]
    fn knows_its_own_from_what_was_edited_and_what_is_foreign() {
        for comment in [Comment::Markup, Comment::Hash] {
            for text in ["", "a", "a\nb\n", "a\n\n\n"] {
                let sealed = seal(text, comment);
                assert_eq!(Seal::of(&sealed), Seal::Whole, "{sealed:?}");
                assert_eq!(Seal::of(&format!("x{sealed}")), Seal::Edited);
                assert_eq!(seal(&sealed, comment).lines().count(), sealed.lines().count() + 1);
            }
        }
        for text in ["", "\n", "mine\n", "sha256:0\n"] {
            assert_eq!(Seal::of(text), Seal::Foreign, "{text:?}");
        }
    }
}
