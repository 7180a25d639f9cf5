//! Carries a journal out. Every operation may have been done already, so that it can be begun again after any step.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use super::journal::{self, Journal, Kind, Op};
use super::stage::read;
use super::{Recovery, Run, STAGE, StoreError, is_gate};

/// What to do with files that are no longer what they were when the journal was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edits {
    /// It was written a moment ago.
    Overwrite,
    Save,
}

/// Finishes a change that was decided, drops one that was not.
pub(super) fn recover(out: &Utf8Path, run: &mut Run<'_>) -> Result<Recovery, StoreError> {
    let stage = out.join(STAGE);
    match fs::symlink_metadata(&stage) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recovery::Clean),
        Err(error) => return Err(error.into()),
        Ok(metadata) if !metadata.is_dir() => return Err(StoreError::Foreign { path: stage }),
        Ok(_) => {}
    }
    let path = stage.join(journal::NAME);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let journal = Journal::parse(&text, &path)?;
            let saved = carry_out(out, &journal, Edits::Save, run)?;
            Ok(Recovery::Finished { saved })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            drop_stage(out, run)?;
            Ok(Recovery::Dropped)
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts the files in place and clears the stage away. Returns under which names edited files were saved.
pub(super) fn carry_out(
    out: &Utf8Path,
    journal: &Journal,
    edits: Edits,
    run: &mut Run<'_>,
) -> Result<Vec<Utf8PathBuf>, StoreError> {
    put_in_place(out, journal, edits, run)
        .map_err(|cause| StoreError::Unfinished { path: out.to_owned(), cause: Box::new(cause) })
}

fn put_in_place(
    out: &Utf8Path,
    journal: &Journal,
    edits: Edits,
    run: &mut Run<'_>,
) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let stage = out.join(STAGE);
    let operations: Vec<Step<'_>> = journal
        .0
        .iter()
        .enumerate()
        .map(|(index, op)| Step {
            op,
            live: out.join(&op.path),
            new: stage.join(index.to_string()),
            old: stage.join(format!("{index}.old")),
        })
        .collect();
    let (gates, others): (Vec<_>, Vec<_>) =
        operations.iter().partition(|step| is_gate(&step.op.path));
    let mut saved = Vec::new();
    let mut save = |step: &Step<'_>| -> Result<(), StoreError> {
        if edits == Edits::Save
            && let Some(current) = read(out, &step.op.path)?
            && step.op.was.as_ref() != Some(&current.digest)
        {
            let beside = free_name(out, &step.op.path);
            fs::rename(&step.live, out.join(&beside))?;
            saved.push(beside);
        }
        Ok(())
    };

    let pending = operations.iter().any(Step::is_pending);
    for gate in &gates {
        let goes = gate.is_pending() || pending && gate.op.kind == Kind::Keep;
        if goes && gate.op.kind != Kind::Keep {
            save(gate)?;
        }
        if goes && gate.is_there() {
            fs::rename(&gate.live, &gate.old)?;
            run.step("gate moved away");
        }
    }
    for step in others.iter().filter(|step| step.is_pending()) {
        save(step)?;
        match step.op.kind {
            Kind::Put => fs::rename(&step.new, &step.live)?,
            Kind::Delete if step.is_there() => fs::remove_file(&step.live)?,
            Kind::Delete | Kind::Keep => {}
        }
        run.step("file in place");
    }
    for gate in &gates {
        let from = match gate.op.kind {
            Kind::Put => &gate.new,
            // One that stands here by now was put there by somebody, after an interruption.
            Kind::Keep if !gate.is_there() => &gate.old,
            Kind::Keep | Kind::Delete => continue,
        };
        if from.exists() {
            fs::rename(from, &gate.live)?;
            run.step("gate in place");
        }
    }
    for step in operations.iter().filter(|step| step.op.kind == Kind::Delete) {
        prune(out, &step.op.path);
    }
    drop_stage(out, run)?;
    Ok(saved)
}

/// An operation with the full paths that it moves between.
struct Step<'a> {
    op: &'a Op,
    live: Utf8PathBuf,
    new: Utf8PathBuf,
    old: Utf8PathBuf,
}

impl Step<'_> {
    fn is_there(&self) -> bool {
        self.live.symlink_metadata().is_ok()
    }

    fn is_pending(&self) -> bool {
        match self.op.kind {
            Kind::Put => self.new.exists(),
            Kind::Delete => self.is_there(),
            Kind::Keep => false,
        }
    }
}

/// Removes the stage with what is left in it: the journal first, since without the rest it would ask for what is gone.
pub(super) fn drop_stage(out: &Utf8Path, run: &mut Run<'_>) -> Result<(), StoreError> {
    let stage = out.join(STAGE);
    if !stage.exists() {
        return Ok(());
    }
    let journal = stage.join(journal::NAME);
    if journal.exists() {
        fs::remove_file(journal)?;
        run.step("journal gone");
    }
    for entry in fs::read_dir(&stage)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_suffix(".old").unwrap_or(name);
        let ours = name == "journal.half" || number.bytes().all(|byte| byte.is_ascii_digit());
        if !ours || path.is_dir() {
            return Err(StoreError::Foreign { path: stage.join(name) });
        }
        fs::remove_file(path)?;
        run.step("leftover gone");
    }
    fs::remove_dir(&stage)?;
    run.step("stage gone");
    Ok(())
}

/// Removes the directories that a deleted file leaves empty. One that cannot be removed harms nobody.
fn prune(out: &Utf8Path, path: &Utf8Path) {
    let parents = path.ancestors().skip(1).take_while(|parent| !parent.as_str().is_empty());
    for parent in parents {
        if fs::remove_dir(out.join(parent)).is_err() {
            return;
        }
    }
}

/// `NAME.saved`, or the first of `NAME.saved.2`, … that is free.
fn free_name(out: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    let plain = Utf8PathBuf::from(format!("{path}.saved"));
    let numbered = (2_u32..).map(|number| Utf8PathBuf::from(format!("{path}.saved.{number}")));
    let mut names = [plain.clone()].into_iter().chain(numbered);
    names.find(|name| out.join(name).symlink_metadata().is_err()).unwrap_or(plain)
}
