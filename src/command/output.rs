//! An output directory: what its lock says, what is compiled for it, how it is written.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::auto::{self, Planning};
use super::{Failure, load, report};
use crate::artifact::Artifact;
use crate::compile::{CompileError, Compiled, Request, compile};
use crate::lock::{self, Lock};
use crate::preset::resolve::Library;
use crate::preset::target::Target;
use crate::store::{self, Recovery};
use crate::terminal::Terminal;

/// What was written, and the directory, which stays locked while this lives.
pub(super) struct Written {
    pub(super) files: usize,
    #[cfg_attr(
        not(feature = "engine"),
        expect(dead_code, reason = "held by what runs a strategy")
    )]
    pub(super) held: store::Directory,
}

/// A directory that is written by `build` and `update`.
pub(super) struct Directory<'a> {
    pub(super) path: &'a Utf8Path,
    /// Absent where nothing was built yet.
    pub(super) lock: Option<Lock>,
}

impl<'a> Directory<'a> {
    /// Finishes what an interrupted run left, and reads the lock file. Creates nothing.
    pub(super) fn read(path: &'a Utf8Path, terminal: &mut Terminal) -> Result<Self, Failure> {
        if store::interrupted(path) {
            let directory = store::open(path)?;
            if let Recovery::Finished { saved } = directory.recovery() {
                writeln!(terminal.err, "note: {path}: finished an interrupted build")?;
                for file in saved {
                    writeln!(terminal.err, "note: {path}: your edit is kept in {file}")?;
                }
            }
        }
        Ok(Self { path, lock: read_lock(path)? })
    }

    /// Refuses where writing the set would overwrite what somebody wrote.
    pub(super) fn unedited(&self, made: &Compiled, force: bool) -> Result<(), Failure> {
        let known = self.lock.as_ref().map(|lock| &lock.outputs);
        let edited = store::edited(self.path, known.unwrap_or(&BTreeMap::new()), &made.artifacts)?;
        if force || edited.is_empty() {
            return Ok(());
        }
        let list = edited.iter().map(|file| {
            let why = if file.foreign { "not written by composegen" } else { "edited since" };
            format!("  {} ({why})", self.path.join(&file.path))
        });
        Err(Failure::Edited(format!(
            "these files would be overwritten:\n{}\nnothing was written; move the change into \
             the preset, or overwrite with --force",
            list.collect::<Vec<_>>().join("\n")
        )))
    }

    /// Writes the set, or refuses as [`Self::unedited`] does. Says how many files changed.
    pub(super) fn write(
        &self,
        made: &Compiled,
        target: Option<Target>,
        force: bool,
    ) -> Result<Written, Failure> {
        let directory = store::open(self.path)?;
        self.unedited(made, force)?;
        let known = self.lock.as_ref().map(|lock| lock.outputs.clone()).unwrap_or_default();
        let mut files = made.artifacts.clone();
        files.push(lock_of(made, target, self.lock.as_ref()));
        let new: HashSet<&Utf8PathBuf> = files.iter().map(|file| &file.path).collect();
        let stale: Vec<Utf8PathBuf> = known.into_keys().filter(|old| !new.contains(old)).collect();
        let written = directory.commit(&files, &stale)?;
        Ok(Written { files: written.written.len() + written.removed.len(), held: directory })
    }
}

/// The lock file of a directory, if there is one.
pub(super) fn read_lock(dir: &Utf8Path) -> Result<Option<Lock>, Failure> {
    let path = dir.join(lock::FILE);
    let text = match load(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    text.parse().map(Some).map_err(|error| {
        Failure::File(format!(
            "`{path}` is no lock file of this composegen: {error}\nremove it and build again with --force"
        ))
    })
}

/// The target that the lock file of `dir` says the command line had named.
pub(super) fn target_of(dir: &Utf8Path, lock: &Lock) -> Result<Option<Target>, Failure> {
    let Some(word) = &lock.target else { return Ok(None) };
    Target::from_word(word).map(Some).ok_or_else(|| {
        let known = Target::WORDS.join(", ");
        Failure::File(format!(
            "`{}` names the target `{word}`; this composegen knows {known}",
            dir.join(lock::FILE)
        ))
    })
}

/// Compiles, and prints what there is to say; errors end it.
///
/// The request's placements are those that are locked.
pub(super) fn compile_into(
    request: Request<'_>,
    planning: Planning<'_>,
    deny_warnings: bool,
    terminal: &mut Terminal,
) -> Result<Compiled, Failure> {
    let mut library = Library::new(&load);
    let placements = auto::placements(&mut library, request, planning, terminal)?;
    let result = compile(&mut library, Request { placements: &placements, ..request });
    report(&library.findings, &library.sources, deny_warnings, terminal)?;
    match result {
        Ok(Some(compiled)) => Ok(compiled),
        Ok(None) => Err(Failure::Rejected("nothing to build".to_owned())),
        Err(CompileError::Read(error)) => Err(Failure::File(error.to_string())),
        Err(CompileError::Render(error)) => Err(Failure::Rejected(error.to_string())),
    }
}

/// The lock file of what was compiled. `update` is what resolves; building again keeps what it found.
pub(super) fn lock_of(made: &Compiled, target: Option<Target>, before: Option<&Lock>) -> Artifact {
    let resolved = before.map(|lock| lock.resolved.clone()).unwrap_or_default();
    let lock = Lock {
        generator: env!("CARGO_PKG_VERSION").to_owned(),
        presets: made.presets.clone(),
        target: target.map(|target| target.as_str().to_owned()),
        resolved,
        placements: made.placements.clone(),
        inputs: made.inputs.iter().cloned().collect(),
        outputs: made.artifacts.iter().map(|a| (a.path.clone(), a.digest())).collect(),
    };
    Artifact::new(lock::FILE, lock.to_string())
}
