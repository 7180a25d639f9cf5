//! `composegen check`: compiles again and compares.

use std::collections::HashSet;
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use similar::TextDiff;

use super::auto::{Planning, When};
use super::output::{compile_into, lock_of, read_lock, target_of};
use super::{Failure, here, load};
use crate::cli::Check;
use crate::compile::Request;
use crate::lock;
use crate::preset::resolve::clean;
use crate::store;
use crate::terminal::Terminal;

pub(super) fn run(args: &Check, terminal: &mut Terminal) -> Result<(), Failure> {
    let dirs = directories(&args.dirs)?;
    let mut outdated = Vec::new();
    let mut rejected = None;
    for dir in &dirs {
        match check(dir, args, terminal) {
            Ok(0) => writeln!(terminal.err, "{dir}: current")?,
            Ok(n) => {
                writeln!(terminal.err, "{dir}: {n} files differ")?;
                outdated.push(dir.as_str());
            }
            // Look at the other directories, too, before giving up.
            Err(failure @ Failure::Rejected(_)) => {
                writeln!(terminal.err, "{dir}: {failure}")?;
                rejected.get_or_insert(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    match (rejected, outdated.is_empty()) {
        (Some(failure), _) => Err(failure),
        (None, true) => Ok(()),
        (None, false) => Err(Failure::OutOfDate(format!(
            "out of date: {}; `composegen build` with the presets in its composegen.lock writes it anew",
            outdated.join(", ")
        ))),
    }
}

/// How many files differ; the differences go to standard output.
fn check(dir: &Utf8Path, args: &Check, terminal: &mut Terminal) -> Result<usize, Failure> {
    if store::interrupted(dir) {
        return Err(Failure::OutOfDate(format!(
            "`{dir}` was left in the middle of being written; `composegen build` finishes it"
        )));
    }
    let lock = read_lock(dir)?.ok_or_else(|| {
        Failure::File(format!("`{dir}` has no {}: nothing was built there", lock::FILE))
    })?;
    let presets: Vec<Utf8PathBuf> = lock.presets.iter().map(|p| clean(&dir.join(p))).collect();
    let target = target_of(dir, &lock)?;
    let request = Request {
        presets: &presets,
        out: dir,
        target,
        here: &here()?,
        pinned: &lock.resolved,
        placements: &lock.placements,
        builds_image: false,
    };
    let planning = Planning { models: args.models.dir.as_deref(), when: When::Looking };
    let made = compile_into(request, planning, args.deny.deny.is_some(), terminal)?;
    let mut expected = made.artifacts.clone();
    expected.push(lock_of(&made, target, Some(&lock)));
    let mut differ = 0;
    for artifact in &expected {
        let path = dir.join(&artifact.path);
        let found = match load(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::File(error.to_string())),
        };
        if found != artifact.text || !path.exists() {
            differ += 1;
            let diff = TextDiff::from_lines(&found, &artifact.text);
            let diff = diff
                .unified_diff()
                .header(path.as_str(), &format!("{path} (generated)"))
                .to_string();
            write!(terminal.out, "{diff}")?;
        }
    }
    let made: HashSet<&Utf8PathBuf> = expected.iter().map(|artifact| &artifact.path).collect();
    for stale in lock.outputs.keys().filter(|path| !made.contains(path) && dir.join(path).exists())
    {
        differ += 1;
        writeln!(terminal.out, "{} is no longer generated", dir.join(stale))?;
    }
    Ok(differ)
}

/// The directories given, else every one below the current directory that has a lock file.
pub(super) fn directories(given: &[Utf8PathBuf]) -> Result<Vec<Utf8PathBuf>, Failure> {
    let roots = if given.is_empty() { vec![Utf8PathBuf::from(".")] } else { given.to_vec() };
    let mut found = Vec::new();
    for root in &roots {
        let before = found.len();
        walk(root, &mut found).map_err(|error| Failure::File(error.to_string()))?;
        if found.len() == before {
            return Err(Failure::File(format!("no {} in `{root}` or below", lock::FILE)));
        }
    }
    Ok(found.into_iter().map(|dir| clean(&dir)).collect())
}

/// Depth first, in the order of names; not into hidden directories or Cargo's.
fn walk(dir: &Utf8Path, found: &mut Vec<Utf8PathBuf>) -> std::io::Result<()> {
    if dir.join(lock::FILE).is_file() {
        found.push(dir.to_owned());
        return Ok(());
    }
    let mut below = Vec::new();
    for entry in fs_err::read_dir(dir.as_std_path())? {
        let entry = entry?;
        let Ok(path) = Utf8PathBuf::from_path_buf(entry.path()) else { continue };
        let name = path.file_name().unwrap_or_default();
        if entry.file_type()?.is_dir() && !name.starts_with('.') && name != "target" {
            below.push(path);
        }
    }
    below.sort();
    below.iter().try_for_each(|path| walk(path, found))
}
