//! Writes the files of a client, and touches none that it has not written itself: a lock file beside them keeps their
//! digests.

use std::collections::HashSet;
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::artifact::{Artifact, Digest};
use crate::client::Client;
use crate::command::{Failure, load};
use crate::lock::{self, Lock};
use crate::store::{self, Edited, Recovery};
use crate::terminal::Terminal;

/// A file that had a say.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// Relative to where the files go.
    pub(super) path: Utf8PathBuf,
    pub(super) digest: Digest,
}

/// Returns how many files changed.
pub(super) fn write(
    client: Client,
    out: &Utf8Path,
    files: &[Artifact],
    inputs: &[Input],
    terminal: &mut Terminal,
) -> Result<usize, Failure> {
    let name = lock::client_file(client.name());
    let directory = store::open(out)?;
    if let Recovery::Finished { saved } = directory.recovery() {
        writeln!(terminal.err, "note: {out}: finished what an interrupted run had begun")?;
        for file in saved {
            writeln!(terminal.err, "note: {out}: your edit is kept in {file}")?;
        }
    }
    let known = read(&out.join(&name))?.map(|lock| lock.outputs).unwrap_or_default();
    let edited = store::edited(out, &known, files)?;
    if !edited.is_empty() {
        return Err(refuse(out, &edited));
    }
    let lock = Lock {
        generator: env!("CARGO_PKG_VERSION").to_owned(),
        presets: inputs.first().map(|input| input.path.clone()).into_iter().collect(),
        inputs: inputs.iter().map(|i| (i.path.clone(), i.digest.clone())).collect(),
        outputs: files.iter().map(|file| (file.path.clone(), file.digest())).collect(),
        ..Lock::default()
    };
    let mut all = files.to_vec();
    all.push(Artifact::new(name, lock.client_text()));
    let new: HashSet<&Utf8PathBuf> = files.iter().map(|file| &file.path).collect();
    let stale: Vec<Utf8PathBuf> = known.into_keys().filter(|old| !new.contains(old)).collect();
    let written = directory.commit(&all, &stale)?;
    Ok(written.written.len() + written.removed.len())
}

fn read(path: &Utf8Path) -> Result<Option<Lock>, Failure> {
    match load(path) {
        Ok(text) => text.parse().map(Some).map_err(|error| {
            Failure::File(format!(
                "`{path}` is no lock file of this composegen: {error}\nmove it away and run this again"
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::File(error.to_string())),
    }
}

fn refuse(out: &Utf8Path, edited: &[Edited]) -> Failure {
    let list = edited.iter().map(|file| {
        let why = if file.foreign { "not written by this command" } else { "edited since" };
        format!("  {} ({why})", out.join(&file.path))
    });
    Failure::Edited(format!(
        "these files are not overwritten:\n{}\nnothing was written; choose another directory with `--out`, or print \
         with `--dry-run` and take over by hand what you want; one that you no longer want, move away",
        list.collect::<Vec<_>>().join("\n")
    ))
}
