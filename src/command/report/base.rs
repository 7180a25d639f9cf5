//! The side before a change: presets and ledger of another commit, or another ledger.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::gather::{Gathered, Place, gather};
use crate::cli;
use crate::command::{Failure, ledger};
use crate::git;
use crate::ledger::Ledger;
use crate::report::{Changes, Side};
use crate::terminal::Terminal;

pub(super) fn changes(
    base: &str,
    args: &cli::Report,
    place: &Place<'_>,
    now: &Gathered,
    known: &Ledger,
    terminal: &mut Terminal,
) -> Result<Changes, Failure> {
    let after = Side { name: "the working tree", subjects: &now.subjects, ledger: known };
    let path = Utf8Path::new(base);
    if path.is_file() {
        let old = ledger::read(path, terminal)?;
        let before = Side { name: base, subjects: &now.subjects, ledger: &old };
        let after = Side { name: args.file.ledger.as_str(), ..after };
        return Ok(Changes::between(before, after));
    }
    let files: Vec<Utf8PathBuf> = git::list(base, args.presets.as_str())
        .map_err(|error| Failure::Unresolved(format!("`--base {base}`: {error}\nhelp: name a ledger's file, or a commit, branch or tag of the repository here")))?
        .into_iter()
        .map(Utf8PathBuf::from)
        .filter(|path| path.extension() == Some("toml"))
        .collect();
    let show = |path: &Utf8Path| -> io::Result<String> {
        git::show(base, path.as_str())
            .map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))
    };
    let then = gather(place, &files, &show, terminal)?;
    // Without a ledger of its own the runs of the old presets are told by their digests.
    let own = git::show(base, args.file.ledger.as_str()).ok();
    let mut old = match own {
        Some(text) => Ledger::parse(&text),
        None => ledger::open(&args.file.ledger).unwrap_or_default(),
    };
    let lines: Vec<String> = then
        .reported
        .iter()
        .filter(|run| !old.has_reported(run))
        .map(|run| format!("{run}\n"))
        .collect();
    let mut all = Ledger::parse(&lines.concat());
    all.entries.append(&mut old.entries);
    let before = Side { name: base, subjects: &then.subjects, ledger: &all };
    Ok(Changes::between(before, after))
}
