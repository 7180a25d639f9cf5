//! `composegen ledger`: what was measured so far, two runs side by side, and whether a speed has fallen.

mod compare;
mod evals;
pub(super) mod import;
mod text;

use std::io::Write as _;

use camino::Utf8Path;
use serde::Serialize;

use super::{Failure, load};
use crate::cli::{self, Format, LedgerCommand, LedgerList};
use crate::ledger::{Entry, Filter, Ledger, Run, Source, latest};
use crate::store;
use crate::terminal::Terminal;

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
    let text = match load(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::File(format!(
                "there is no ledger `{path}`\n`composegen bench` begins one, and `composegen ledger import` takes \
                 over what presets say was measured; `--ledger FILE` names another"
            )));
        }
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    let ledger = Ledger::parse(&text);
    for skipped in &ledger.skipped {
        writeln!(terminal.err, "note: {path}:{}: passed over: {}", skipped.line, skipped.why)?;
    }
    Ok(ledger)
}

/// Adds runs to a ledger file.
pub(super) fn append(path: &Utf8Path, runs: &[Run]) -> Result<(), Failure> {
    let lines: Vec<String> = runs.iter().map(ToString::to_string).collect();
    Ok(store::append(path, &lines)?)
}

fn list(args: &LedgerList, terminal: &mut Terminal) -> Result<(), Failure> {
    let ledger = read(&args.file.ledger, terminal)?;
    let filter = Filter {
        preset: args.preset.clone(),
        source: args.source.map(|source| match source {
            cli::LedgerSource::Measured => Source::Measured,
            cli::LedgerSource::Reported => Source::Reported,
            cli::LedgerSource::Probed => Source::Probed,
        }),
    };
    let entries: Vec<&Entry> = ledger.entries.iter().filter(|entry| filter.admits(entry)).collect();
    match args.output.format {
        Format::Json => {
            let rows: Vec<_> = entries.iter().map(|entry| Row::new(entry)).collect();
            json(&rows, terminal)?;
        }
        Format::Text => write!(terminal.out, "{}", text::list(&entries, args.depth))?,
    }
    match args.fail_below {
        Some(least) => hold(&latest(&entries), least, args.depth),
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

/// Holds the newest speeds to a bound. No speed at all is no speed above it.
fn hold(newest: &[&Entry], least: f64, depth: Option<u64>) -> Result<(), Failure> {
    let speeds: Vec<(&Entry, f64)> = newest
        .iter()
        .filter_map(|entry| Some((*entry, entry.run.decode(depth)?.median())))
        .collect();
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
            let name = entry.run.preset().unwrap_or("a server without a preset");
            format!("{name}: {speed:.1} t/s in run {} is below {least} t/s", entry.id)
        })
        .collect();
    if slow.is_empty() { Ok(()) } else { Err(Failure::Regression(slow.join("\n"))) }
}
