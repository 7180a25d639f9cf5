//! What we have to say about a file: plain data, collected and shown all at once. Knows no renderer.

mod code;

use std::ops::Range;

use camino::Utf8PathBuf;

pub use code::{Code, Severity};

/// The files a run has read, in the order of reading; a [`Location`] points into one of them.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

/// A text and the path by which the user knows it.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: Utf8PathBuf,
    pub text: String,
}

/// An index into [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub usize);

impl Sources {
    pub fn add(&mut self, path: impl Into<Utf8PathBuf>, text: impl Into<String>) -> FileId {
        self.0.push(Source { path: path.into(), text: text.into() });
        FileId(self.0.len() - 1)
    }

    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.0.get(file.0)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }
}

/// A byte range of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    pub file: FileId,
    pub span: (usize, usize),
}

impl Location {
    pub fn new(file: FileId, span: &Range<usize>) -> Self {
        Self { file, span: (span.start, span.end) }
    }
}

/// One finding: a fact in lower case, where it is, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub message: String,
    pub at: Option<Location>,
    /// A few words to stand under the marked text.
    pub label: Option<String>,
    /// A second place that belongs to the finding, with what it has to do with it.
    pub related: Vec<(Location, String)>,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            at: None,
            label: None,
            related: Vec::new(),
            help: None,
        }
    }

    #[must_use]
    pub fn at(mut self, at: impl Into<Option<Location>>) -> Self {
        self.at = at.into();
        self
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    #[must_use]
    pub fn related(mut self, at: impl Into<Option<Location>>, label: impl Into<String>) -> Self {
        if let Some(at) = at.into() {
            self.related.push((at, label.into()));
        }
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}
