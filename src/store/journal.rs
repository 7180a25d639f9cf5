//! The journal: what is still to be done, as text. Operation N takes its new file from `N` in the stage, and puts what
//! it moves away into `N.old`.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::StoreError;

/// Its name in the stage. It appears under this name complete, or not at all.
pub(super) const NAME: &str = "journal";

const HEAD: &str = "composegen journal 1";
const END: &str = "end";

/// In the order in which the operations were decided, which is not that in which they are carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Journal(pub Vec<Op>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Op {
    pub path: Utf8PathBuf,
    pub kind: Kind,
    /// The digest of what stood at `path` when this was decided; `None` where nothing did.
    pub was: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Put the staged file in place.
    Put,
    /// The file stays as it is, and is away while the others change.
    Keep,
    Delete,
}

impl Journal {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|op| op.kind == Kind::Keep)
    }

    pub(super) fn print(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for op in &self.0 {
            let kind = match op.kind {
                Kind::Put => "put",
                Kind::Keep => "keep",
                Kind::Delete => "delete",
            };
            text.extend([kind, " ", op.was.as_deref().unwrap_or("-"), " ", op.path.as_str(), "\n"]);
        }
        text.extend([END, "\n"]);
        text
    }

    /// `path` is that of the journal, for the error.
    pub(super) fn parse(text: &str, path: &Utf8Path) -> Result<Self, StoreError> {
        let damaged =
            |reason: &str| StoreError::Damaged { path: path.to_owned(), reason: reason.to_owned() };
        let mut lines: Vec<&str> = text.lines().collect();
        if lines.first() != Some(&HEAD) {
            return Err(damaged("it does not begin as a journal does"));
        }
        if lines.pop() != Some(END) || !text.ends_with('\n') {
            return Err(damaged("its end is missing"));
        }
        let read = |line: &&str| {
            let mut words = line.splitn(3, ' ');
            let kind = match words.next()? {
                "put" => Kind::Put,
                "keep" => Kind::Keep,
                "delete" => Kind::Delete,
                _ => return None,
            };
            let was = words.next().map(|was| (was != "-").then(|| was.to_owned()))?;
            Some(Op { kind, was, path: inside(words.next()?.into()).ok()? })
        };
        let operations: Option<Vec<Op>> = lines.iter().skip(1).map(read).collect();
        operations.map(Self).ok_or_else(|| damaged("a line of it is no operation"))
    }
}

/// The path itself, where it names something below the output directory and outside of the stage.
pub(super) fn inside(path: &Utf8Path) -> Result<Utf8PathBuf, StoreError> {
    let normal = path.components().all(|part| matches!(part, Utf8Component::Normal(_)));
    let staged = path.starts_with(super::STAGE);
    if path.file_name().is_some() && normal && !staged && !path.as_str().contains(char::is_control)
    {
        Ok(path.to_owned())
    } else {
        Err(StoreError::Outside { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Journal, Kind, Op, inside};

    #[test]
    fn reads_what_it_prints() {
        let op = |kind, was: Option<&str>, path: &str| Op {
            kind,
            was: was.map(str::to_owned),
            path: path.into(),
        };
        let journal = Journal(vec![
            op(Kind::Put, None, "env/a b.env"),
            op(Kind::Put, Some("sha256:1"), "Dockerfile"),
            op(Kind::Keep, Some("sha256:2"), "docker-compose.yml"),
            op(Kind::Delete, Some("sha256:3"), "end"),
        ]);
        let text = journal.print();
        assert_eq!(Journal::parse(&text, "j".into()).unwrap(), journal);
        // Cut off anywhere it is no journal.
        for end in 0..text.len() {
            assert!(Journal::parse(&text[..end], "j".into()).is_err(), "{end}");
        }
        assert!(Journal::parse(&text.replace("env/", "../"), "j".into()).is_err());
    }

    #[test]
    fn stays_inside() {
        for path in ["a", "a/b", "..a", ".env", "a/.composegen"] {
            assert!(inside(path.into()).is_ok(), "{path}");
        }
        for path in ["", "/a", "..", "a/../b", "a/..", "./", ".composegen/a", ".composegen", "a\nb"]
        {
            assert!(inside(path.into()).is_err(), "{path}");
        }
    }
}
