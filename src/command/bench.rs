//! `composegen bench`: how fast servers are, by their own clock, and whether one is faster than another. Presets that
//! do not run are started for it, and gone again afterwards.

mod case;
#[cfg(feature = "engine")]
mod crew;
#[cfg(feature = "engine")]
mod hosted;
mod key;
mod measure;
mod stage;
mod sweep;
mod text;
mod watch;

use std::io::Write as _;

use serde::Serialize;

use super::speeds::{self, Compared, Pair};
use super::{Failure, ledger};
use crate::bench::Verdict;
use crate::cli::{Bench, Format};
use crate::ledger::Run;
use crate::server::ServerError;
use crate::store;
use crate::terminal::Terminal;

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::NoAnswer(format!("{error}\n{}", error.help()))
    }
}

pub(super) fn run(args: &Bench, terminal: &mut Terminal) -> Result<(), Failure> {
    let swept = sweep::read(args)?;
    // An hour of measurements is not to end at a file that cannot be written or read.
    if !args.no_ledger {
        store::appendable(&args.file.ledger)?;
    }
    let model = args.model.as_deref().map(key::header).transpose()?;
    let (mut cases, mut stage) = case::all(args, &swept.starts, terminal)?;
    let turns = stage.takes_turns();
    let result = measure::all(args, &mut cases, &swept.requests, &mut stage, terminal);
    let closed = stage.close(terminal);
    let measured = match (result, closed) {
        (Ok(measured), Ok(())) => measured,
        (Ok(_), Err(failure)) => return Err(failure),
        (Err(failure), closed) => {
            if let Err(error) = closed {
                writeln!(terminal.err, "warning: {error}")?;
            }
            return Err(failure);
        }
    };
    let machine = case::machine(&cases);
    let alone = turns || cases.iter().filter(|case| case.here).count() < 2;
    let (mut runs, mut judged) = (Vec::new(), Vec::new());
    for (case, measured) in cases.iter().zip(measured) {
        // What was taken in turns, is compared sample by sample; else each start counts once.
        let speeds = if turns { measured.by_start() } else { measured.speeds() };
        judged.push(Run { speeds, ..Run::default() });
        runs.push(key::run(args, case, measured, &model, machine.as_ref(), alone));
    }
    let judge = if turns { Verdict::apart } else { Verdict::paired };
    let against: Vec<Against<'_>> = match judged.split_first() {
        None => Vec::new(),
        Some((first, others)) => {
            let all = others.iter().zip(1..);
            all.map(|(other, run)| Against { run, pairs: speeds::pairs(first, other, judge) })
                .collect()
        }
    };
    match args.output.format {
        Format::Json => {
            let verdicts = against.iter().flat_map(|against| {
                let of = |pair| Judged { run: against.run, compared: Compared::new(pair) };
                against.pairs.iter().map(of)
            });
            let report = Report { runs: &runs, verdicts: verdicts.collect() };
            let text = serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            write!(terminal.out, "{}", text::runs(&cases, &runs))?;
            for Against { run, pairs } in &against {
                write!(terminal.out, "\n{}", speeds::text(pairs, ["A", text::letter(*run)]))?;
            }
        }
    }
    if args.no_ledger { Ok(()) } else { keep(args, &runs, terminal) }
}

/// Into the ledger. The tables have no samples, so what cannot be written is shown line by line: it can still be added.
fn keep(args: &Bench, runs: &[Run], terminal: &mut Terminal) -> Result<(), Failure> {
    terminal.out.flush()?;
    if let Err(failure) = ledger::append(&args.file.ledger, runs) {
        writeln!(terminal.err, "not written to `{}`:", args.file.ledger)?;
        for run in runs {
            writeln!(terminal.err, "{run}")?;
        }
        return Err(failure);
    }
    Ok(writeln!(terminal.err, "written to `{}`", args.file.ledger)?)
}

/// One run beside the first.
struct Against<'a> {
    run: usize,
    pairs: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct Report<'a> {
    runs: &'a [Run],
    verdicts: Vec<Judged>,
}

#[derive(Serialize)]
struct Judged {
    /// Its place in the list of runs; the other one is the first.
    run: usize,
    #[serde(flatten)]
    compared: Compared,
}
