//! A suite's file: read once for what its problems ask, and again, line by line, for their tests.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};

use crate::artifact::Digest;
use crate::command::{Failure, load};
use crate::eval::{Filter, Format, Problem, SuiteError, Tests, format};

pub(super) struct Suite {
    /// What the file says, else its name.
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) format: Format,
    /// In words; empty where all problems are meant.
    pub(super) filter: String,
    /// How many problems there are, whatever the filter.
    pub(super) all: usize,
    pub(super) entries: Vec<Entry>,
    source: Source,
}

/// A problem that is meant, and where it stands.
pub(super) struct Entry {
    pub(super) problem: Problem,
    /// Of its line.
    pub(super) digest: Digest,
    at: At,
}

enum At {
    Bytes { start: u64, length: u64 },
    Line(usize),
}

enum Source {
    /// Files of this kind are larger than what one would like to hold in memory.
    File(Utf8PathBuf),
    Lines(Vec<String>),
}

impl Suite {
    pub(super) fn tests(&self, entry: &Entry) -> Result<Tests, Failure> {
        let line = match (&self.source, &entry.at) {
            (Source::File(path), At::Bytes { start, length }) => part(path, *start, *length)?,
            (Source::Lines(lines), At::Line(i)) => lines.get(*i).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        if Digest::of(line.trim().as_bytes()) != entry.digest {
            return Err(Failure::File(
                "the suite's file has changed meanwhile: run this again".to_owned(),
            ));
        }
        self.format.tests(&line).map_err(|error| Failure::File(error.to_string()))
    }
}

fn part(path: &Utf8Path, start: u64, length: u64) -> Result<String, Failure> {
    let error = |error: std::io::Error| Failure::File(format!("{path}: {error}"));
    let mut file = fs_err::File::open(path).map_err(error)?;
    file.seek(SeekFrom::Start(start)).map_err(error)?;
    let mut text = String::new();
    file.take(length).read_to_string(&mut text).map_err(error)?;
    Ok(text)
}

/// Reads all of it; the tests of what is meant, too, so that no error in them comes up after hours.
pub(super) fn open(path: &Utf8Path, filter: &Filter) -> Result<Suite, Failure> {
    let stem = path.file_stem().unwrap_or("suite").to_owned();
    let file = |error: std::io::Error| Failure::File(error.to_string());
    let mut reading =
        Reading { path, filter, format: None, seen: HashSet::new(), all: 0, entries: Vec::new() };
    let (name, digest, source) = if path.extension() == Some("toml") {
        let text = load(path).map_err(file)?;
        let (name, lines) = format::lines(&text)
            .map_err(|error| Failure::Rejected(format!("`{path}` is no suite: {error}\n{HELP}")))?;
        for (i, line) in lines.iter().enumerate() {
            reading.line(line, i + 1, At::Line(i))?;
        }
        (name, Digest::of(text.as_bytes()), Source::Lines(lines))
    } else {
        let digest = Digest::read(&mut fs_err::File::open(path).map_err(file)?).map_err(file)?;
        let mut reader = BufReader::new(fs_err::File::open(path).map_err(file)?);
        let (mut start, mut number) = (0, 0);
        loop {
            let mut line = String::new();
            let length = reader.read_line(&mut line).map_err(file)? as u64;
            if length == 0 {
                break;
            }
            number += 1;
            if !line.trim().is_empty() {
                reading.line(&line, number, At::Bytes { start, length })?;
            }
            start += length;
        }
        (None, digest, Source::File(path.to_owned()))
    };
    let Reading { all, mut entries, format, .. } = reading;
    let Some(format) = format else {
        return Err(Failure::Rejected(format!("`{path}` is empty\n{HELP}")));
    };
    entries.truncate(filter.limit.unwrap_or(usize::MAX));
    if entries.is_empty() {
        return Err(Failure::Usage {
            message: format!("none of the {all} problems of `{path}` is one of: {filter}"),
        });
    }
    let name = name.unwrap_or(stem);
    Ok(Suite { name, digest, format, filter: filter.to_string(), all, entries, source })
}

const HELP: &str = "docs/eval.md shows what a suite looks like";

struct Reading<'a> {
    path: &'a Utf8Path,
    filter: &'a Filter,
    format: Option<Format>,
    seen: HashSet<String>,
    all: usize,
    entries: Vec<Entry>,
}

impl Reading<'_> {
    fn line(&mut self, line: &str, number: usize, at: At) -> Result<(), Failure> {
        let path = self.path;
        let place = match at {
            At::Bytes { .. } => format!("{path}:{number}"),
            At::Line(_) => format!("{path}, problem {number}"),
        };
        let wrong = |error: SuiteError| Failure::Rejected(format!("{place}: {error}\n{HELP}"));
        let format = match self.format {
            Some(format) => format,
            None => *self.format.insert(Format::of(line).map_err(wrong)?),
        };
        let problem = format.problem(line).map_err(wrong)?;
        self.all += 1;
        if !self.seen.insert(problem.id.clone()) {
            return Err(Failure::Rejected(format!(
                "{place}: another problem is called `{}`",
                problem.id
            )));
        }
        let enough = self.entries.len() >= self.filter.limit.unwrap_or(usize::MAX);
        if self.filter.admits(&problem) && !enough {
            format.tests(line).map_err(wrong)?;
            let digest = Digest::of(line.trim().as_bytes());
            self.entries.push(Entry { problem, digest, at });
        }
        Ok(())
    }
}
