//! `composegen ledger`: what was measured so far, two runs side by side, and whether a speed has fallen.

mod compare;
mod evals;
pub(super) mod import;
mod text;

use std::io::Write as _;

use camino::Utf8Path;
use serde::Serialize;

use super::Failure;
use crate::cli::{self, Format, LedgerCommand, LedgerList, LedgerWhich};
use crate::ledger::{Entry, Filter, Ledger, Run, Source, latest};
use crate::store;
use crate::terminal::{Terminal, plain};

#[cfg(feature = "eval")]
pub(super) use evals::sampling;

pub(super) fn run(args: &cli::Ledger, terminal: &mut Terminal) -> Result<(), Failure> {
    match &args.command {
        None => list(&args.list, terminal),
        Some(LedgerCommand::List(args)) => list(args, terminal),
        Some(LedgerCommand::Compare(args)) => compare::run(args, terminal),
        Some(LedgerCommand::Import(args)) => import::run(args, terminal),
        Some(LedgerCommand::Evals(args)) => evals::run(args, terminal),
    }
}

/// The ledger of a file, after naming the lines that could not be used.
pub(super) fn read(path: &Utf8Path, terminal: &mut Terminal) -> Result<Ledger, Failure> {
    let ledger = match open(path) {
        Ok(ledger) => ledger,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::File(format!(
                "there is no ledger `{path}`\n`composegen bench` begins one, and `composegen ledger import` takes \
                 over what presets say was measured; `--ledger FILE` names another"
            )));
        }
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    for skipped in &ledger.skipped {
        let why = plain(&skipped.why);
        writeln!(terminal.err, "note: {path}:{}: passed over: {why}", skipped.line)?;
    }
    Ok(ledger)
}

/// The ledger of a file, whatever is wrong with its lines.
pub(super) fn open(path: &Utf8Path) -> std::io::Result<Ledger> {
    Ok(Ledger::read(&fs_err::read(path)?))
}

/// Adds runs to a ledger file.
#[cfg(any(feature = "engine", feature = "bench"))]
pub(super) fn append(path: &Utf8Path, runs: &[Run]) -> Result<(), Failure> {
    let lines: Vec<String> = runs.iter().map(ToString::to_string).collect();
    Ok(store::append(path, &lines)?)
}

/// Adds those that the file does not have already, and says how many. Others may be adding the same at the same time, so
/// what is there is looked at under the lock.
pub(super) fn append_new(
    path: &Utf8Path,
    runs: &[Run],
    known: impl Fn(&Ledger, &Run) -> bool,
) -> Result<usize, Failure> {
    if runs.is_empty() {
        return Ok(0);
    }
    append_from(path, |ledger| runs.iter().filter(|run| !known(ledger, run)).cloned().collect())
}

/// Adds what is made of the ledger as it is, and says how much.
pub(super) fn append_from(
    path: &Utf8Path,
    runs: impl FnOnce(&Ledger) -> Vec<Run>,
) -> Result<usize, Failure> {
    let mut count = 0;
    store::append_with(path, |there| {
        let lines: Vec<String> =
            runs(&Ledger::read(there)).iter().map(ToString::to_string).collect();
        count = lines.len();
        lines
    })?;
    Ok(count)
}

/// What the command line says of it.
fn filter(which: &LedgerWhich, preset: Option<&str>) -> Filter {
    Filter {
        preset: preset.map(str::to_owned),
        source: which.source.map(|source| match source {
            cli::LedgerSource::Measured => Source::Measured,
            cli::LedgerSource::Reported => Source::Reported,
            cli::LedgerSource::Probed => Source::Probed,
        }),
        build: which.build,
        image: which.image.clone(),
        model: which.model.clone(),
        device: which.device.clone(),
        driver: which.driver.clone(),
    }
}

fn list(args: &LedgerList, terminal: &mut Terminal) -> Result<(), Failure> {
    let ledger = read(&args.file.ledger, terminal)?;
    let filter = filter(&args.which, args.preset.as_deref());
    let entries: Vec<&Entry> = ledger.entries.iter().filter(|entry| filter.admits(entry)).collect();
    match args.output.format {
        Format::Json => {
            let rows: Vec<_> = entries.iter().map(|entry| Row::new(entry)).collect();
            json(&rows, terminal)?;
        }
        Format::Text => write!(terminal.out, "{}", text::list(&entries, args.depth))?,
    }
    match args.fail_below {
        Some(least) => hold(&latest(&entries, args.depth), least, args.depth, terminal),
        None => Ok(()),
    }
}

/// An entry as JSON: the run with its id in front.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    line: usize,
    run: &'a Run,
}

impl<'a> Row<'a> {
    fn new(entry: &'a Entry) -> Self {
        Self { id: &entry.id, line: entry.line, run: &entry.run }
    }
}

fn json<T: Serialize>(value: &T, terminal: &mut Terminal) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    Ok(writeln!(terminal.out, "{text}")?)
}

/// Holds the newest speeds to a bound. No speed at all is no speed above it, and what has none at this depth is named.
fn hold(
    newest: &[(&Entry, Option<&Entry>)],
    least: f64,
    depth: Option<u64>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut speeds: Vec<(&Entry, f64)> = Vec::new();
    for (any, entry) in newest {
        let speed = entry.and_then(|entry| Some((entry, entry.run.decode(depth)?.median())));
        if speed.is_none() && newest.len() > 1 {
            let at = depth.map(|depth| format!(" at depth {depth}")).unwrap_or_default();
            writeln!(terminal.err, "note: {} was not checked: no run has a speed{at}", name(any))?;
        }
        speeds.extend(speed);
    }
    if speeds.is_empty() {
        return Err(Failure::Rejected(
            "no run with a speed is left to hold `--fail-below` against: widen the filter, or measure first"
                .to_owned(),
        ));
    }
    let slow: Vec<String> = speeds
        .iter()
        .filter(|(_, speed)| *speed < least)
        .map(|(entry, speed)| {
            format!("{}: {speed:.1} t/s in run {} is below {least} t/s", name(entry), entry.id)
        })
        .collect();
    if slow.is_empty() { Ok(()) } else { Err(Failure::Regression(slow.join("\n"))) }
}

/// What a run is of: its preset, else where the server answered, or its model.
fn name(entry: &Entry) -> String {
    let run = &entry.run;
    let known = run.preset().or(run.url.as_deref()).or(run.key.gguf.file.as_deref());
    known.map_or_else(|| "a server without a preset".to_owned(), plain)
}
