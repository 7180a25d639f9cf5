//! Finds out what has to change, and gets everything ready for it beside the old files.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::journal::{self, Journal, Kind, Op, inside};
use super::{Directory, Run, STAGE, StoreError, Written, is_gate};
use crate::artifact::{Artifact, Digest};

/// What has to be done so that the directory holds `files` and nothing of `remove`, and what will then have been done.
pub(super) fn compare(
    out: &Utf8Path,
    files: &[Artifact],
    remove: &[Utf8PathBuf],
) -> Result<(Journal, Written), StoreError> {
    let mut journal = Journal::default();
    let mut written = Written::default();
    let mut paths = BTreeSet::new();
    for file in files {
        let path = inside(&file.path)?;
        if !paths.insert(path.clone()) {
            return Err(StoreError::Twice { path });
        }
        let current = read(out, &path)?;
        let was = current.as_ref().map(|current| current.digest.clone());
        // An executable bit too many is no reason to write: some file systems set it on everything.
        let right = current.is_some_and(|current| {
            (current.executable || !file.executable) && current.digest == file.digest().as_str()
        });
        if right {
            written.unchanged.push(path.clone());
            if is_gate(&path) {
                journal.0.push(Op { path, kind: Kind::Keep, was });
            }
        } else {
            written.written.push(path.clone());
            journal.0.push(Op { path, kind: Kind::Put, was });
        }
    }
    for path in remove {
        let path = inside(path)?;
        if paths.insert(path.clone())
            && let Some(current) = read(out, &path)?
        {
            written.removed.push(path.clone());
            journal.0.push(Op { path, kind: Kind::Delete, was: Some(current.digest) });
        }
    }
    Ok((journal, written))
}

/// A file as it stands.
pub(super) struct Current {
    pub digest: String,
    pub executable: bool,
}

/// `None` where there is no such file.
pub(super) fn read(out: &Utf8Path, path: &Utf8Path) -> Result<Option<Current>, StoreError> {
    let full = out.join(path);
    let missing = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    };
    let metadata = match fs::metadata(&full) {
        Ok(metadata) if metadata.is_dir() => return Err(StoreError::Occupied { path: full }),
        Ok(metadata) => metadata,
        Err(error) if missing(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let digest = Digest::of(&fs::read(&full)?).as_str().to_owned();
    Ok(Some(Current { digest, executable: metadata.permissions().mode() & 0o100 != 0 }))
}

/// Writes the new files and the journal into the stage. When this returns, the change is decided: it outlives the
/// process, and what `durable` asks for, the machine.
pub(super) fn stage(
    directory: &Directory,
    files: &[Artifact],
    journal: &Journal,
    run: &mut Run<'_>,
) -> Result<(), StoreError> {
    let out = directory.path();
    make_parents(directory, journal)?;
    let stage = out.join(STAGE);
    fs::create_dir(&stage)?;
    run.step("stage made");
    let mut files = files.iter();
    for (index, op) in journal.0.iter().enumerate().filter(|(_, op)| op.kind == Kind::Put) {
        // The operations stand in the order of the files.
        let Some(file) = files.by_ref().find(|file| file.path == op.path) else { continue };
        let mode = if file.executable { 0o755 } else { 0o644 };
        let path = stage.join(index.to_string());
        let mut staged =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        run.step("file made");
        staged.write_all(file.text.as_bytes())?;
        run.step("file written");
    }
    let half = stage.join("journal.half");
    let mut file = fs::File::create(&half)?;
    run.step("journal made");
    file.write_all(journal.print().as_bytes())?;
    run.step("journal written");
    if run.durable {
        flush(&directory.handle)?;
    }
    fs::rename(half, stage.join(journal::NAME))?;
    run.step("journal named");
    Ok(())
}

/// Everything that would stop the files from being put in place is met here, while nothing has been decided.
fn make_parents(directory: &Directory, journal: &Journal) -> Result<(), StoreError> {
    let device = fs::metadata(directory.path())?.dev();
    let parents: BTreeSet<Utf8PathBuf> = journal
        .0
        .iter()
        .filter_map(|op| directory.path().join(&op.path).parent().map(Utf8Path::to_owned))
        .collect();
    for path in parents {
        fs::create_dir_all(&path)?;
        let unwritable = |reason: &str| {
            Err(StoreError::Unwritable { path: path.clone(), reason: reason.to_owned() })
        };
        if fs::metadata(&path)?.dev() != device {
            return unwritable("it is on another file system");
        }
        let needed = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        if let Err(error) = rustix::fs::access(path.as_std_path(), needed) {
            return unwritable(&io::Error::from(error).to_string());
        }
    }
    Ok(())
}

/// Once for all files: thousands of single flushes would take minutes.
#[cfg(target_os = "linux")]
fn flush(directory: &fs::File) -> Result<(), StoreError> {
    rustix::fs::syncfs(directory.file()).map_err(|error| StoreError::Io(error.into()))
}

#[cfg(not(target_os = "linux"))]
fn flush(directory: &fs::File) -> Result<(), StoreError> {
    Ok(directory.sync_all()?)
}
