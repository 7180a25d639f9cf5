//! An output directory: what its lock says, what is compiled for it, how it is written.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Failure, load, report};
use crate::artifact::Artifact;
use crate::compile::{CompileError, Compiled, Request, compile};
use crate::lock::{self, Lock, Resolved};
use crate::preset::resolve::Library;
use crate::store;
use crate::terminal::Terminal;

/// A directory that is written by `build` and `update` and compared by `check`.
pub(super) struct Directory<'a> {
    pub(super) path: &'a Utf8Path,
    /// Absent where nothing was built yet.
    pub(super) lock: Option<Lock>,
}

impl<'a> Directory<'a> {
    /// Finishes or undoes what an interrupted run left, and reads the lock file.
    pub(super) fn open(path: &'a Utf8Path) -> Result<Self, Failure> {
        store::recover(path).map_err(|error| Failure::File(error.to_string()))?;
        Ok(Self { path, lock: read_lock(path)? })
    }

    /// Writes the set, or refuses where that would overwrite what somebody wrote. Returns how many files changed.
    pub(super) fn write(&self, made: &Compiled, force: bool) -> Result<usize, Failure> {
        let known = self.lock.as_ref().map(|lock| lock.outputs.clone()).unwrap_or_default();
        let mut files = made.artifacts.clone();
        files.push(lock_of(made, self.lock.as_ref()));
        let failure = |error: store::StoreError| Failure::File(error.to_string());
        let edited = store::edited(self.path, &known, &files).map_err(failure)?;
        if !force && !edited.is_empty() {
            let list: Vec<String> = edited.iter().map(|file| format!("  {file}")).collect();
            return Err(Failure::Edited(format!(
                "these files were not written by composegen, or were edited since:\n{}\n\
                 nothing was written; move the change into the preset, or overwrite with --force",
                list.join("\n")
            )));
        }
        let stale: Vec<Utf8PathBuf> =
            known.into_keys().filter(|old| !files.iter().any(|new| new.path == *old)).collect();
        let written = store::commit(self.path, &files, &stale).map_err(failure)?;
        Ok(written.changed)
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

/// Compiles, and prints what there is to say; errors end it.
pub(super) fn compile_into(
    presets: &[Utf8PathBuf],
    out: &Utf8Path,
    here: &Utf8Path,
    pinned: &Resolved,
    deny_warnings: bool,
    terminal: &mut Terminal,
) -> Result<Compiled, Failure> {
    let mut library = Library::new(&load);
    let result = compile(&mut library, Request { presets, out, here, pinned });
    report(&library.findings, &library.sources, deny_warnings, terminal)?;
    match result {
        Ok(Some(compiled)) => Ok(compiled),
        Ok(None) => Err(Failure::Rejected("nothing to build".to_owned())),
        Err(CompileError::Read(error)) => Err(Failure::File(error.to_string())),
        Err(CompileError::Render(error)) => Err(Failure::Rejected(error.to_string())),
    }
}

/// The lock file of what was compiled. `update` is what resolves; building again keeps what it found.
pub(super) fn lock_of(made: &Compiled, before: Option<&Lock>) -> Artifact {
    let resolved = before.map(|lock| lock.resolved.clone()).unwrap_or_default();
    let lock = Lock {
        generator: env!("CARGO_PKG_VERSION").to_owned(),
        presets: made.presets.clone(),
        resolved,
        inputs: made.inputs.iter().cloned().collect(),
        outputs: made.artifacts.iter().map(|a| (a.path.clone(), a.digest())).collect(),
    };
    Artifact::new(lock::FILE, lock.to_string())
}
