//! The page and the charts on disk: whole or not at all, and never in the place of what somebody else wrote.

use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};

use crate::artifact::Artifact;
use crate::artifact::seal::Seal;
use crate::command::{Failure, load};
use crate::report::chart;
use crate::store::{self, StoreError};

/// What is there already.
enum Found {
    Nothing,
    /// The same text.
    Same,
    /// Of ours, as it was written; or to be overwritten by force.
    Ours,
}

fn look(path: &Utf8Path, text: &str, force: bool) -> Result<Found, Failure> {
    let there = match load(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(_) if force => return Ok(Found::Ours),
        // Not even a text.
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(foreign(path)),
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    if there == text {
        return Ok(Found::Same);
    }
    match Seal::of(&there) {
        _ if force => Ok(Found::Ours),
        Seal::Whole => Ok(Found::Ours),
        Seal::Foreign => Err(foreign(path)),
        Seal::Edited => Err(Failure::Edited(format!(
            "`{path}` was edited since composegen wrote it, and was not overwritten; choose another file, or overwrite \
             with --force"
        ))),
    }
}

fn foreign(path: &Utf8Path) -> Failure {
    Failure::Edited(format!(
        "`{path}` is not from composegen and was not overwritten; choose another file, or overwrite with --force"
    ))
}

/// One file.
pub(in crate::command) fn file(path: &Utf8Path, text: &str, force: bool) -> Result<(), Failure> {
    let replace = match look(path, text, force)? {
        Found::Same => return Ok(()),
        Found::Nothing => false,
        Found::Ours => true,
    };
    store::single(path, text, replace).map_err(|error| match error {
        StoreError::Io(error) if error.kind() == ErrorKind::AlreadyExists => foreign(path),
        error => Failure::File(format!("{error}\nhelp: {}", error.help())),
    })
}

/// All charts of a directory together; a chart of an earlier report that there is no longer goes with them.
pub(super) fn charts(dir: &Utf8Path, files: &[Artifact], force: bool) -> Result<(), Failure> {
    for file in files {
        look(&dir.join(&file.path), &file.text, force)?;
    }
    let gone = chart::IDS.iter().map(|id| Utf8PathBuf::from(format!("{id}.svg")));
    let gone = gone.filter(|path| !files.iter().any(|file| file.path == *path));
    let ours = |path: &Utf8PathBuf| {
        load(&dir.join(path)).is_ok_and(|there| Seal::of(&there) == Seal::Whole)
    };
    let stale: Vec<Utf8PathBuf> = gone.filter(ours).collect();
    store::open(dir)?.commit(files, &stale)?;
    Ok(())
}
