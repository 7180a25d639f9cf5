//! Two runs side by side: what differs between them, and whether one is faster by more than chance.

use std::io::Write as _;

use serde::Serialize;

use super::{Failure, Row, hold, json, read};
use crate::bench::{Spread, Verdict};
use crate::cli::{Format, LedgerCompare};
use crate::ledger::{Entry, Run, pick};
use crate::terminal::{Align, Terminal, table};

pub(super) fn run(args: &LedgerCompare, terminal: &mut Terminal) -> Result<(), Failure> {
    let ledger = read(&args.file.ledger, terminal)?;
    let find = |name: &str| {
        pick(&ledger, name).map_err(|error| Failure::Usage { message: error.to_string() })
    };
    let (first, second) = (find(&args.first)?, find(&args.second)?);
    let differences = first.run.key.differences(&second.run.key);
    let pairs = pairs(&first.run, &second.run);
    match args.output.format {
        Format::Json => {
            let difference = |(what, first, second): &(&'static str, String, String)| Difference {
                what,
                first: first.clone(),
                second: second.clone(),
            };
            let report = Report {
                first: Row::new(first),
                second: Row::new(second),
                differences: differences.iter().map(difference).collect(),
                speeds: pairs.iter().map(Compared::new).collect(),
            };
            json(&report, terminal)?;
        }
        Format::Text => {
            writeln!(terminal.out, "A  {}\nB  {}\n", name(first), name(second))?;
            for (what, ours, theirs) in &differences {
                writeln!(terminal.out, "{what}: {ours} -> {theirs}")?;
            }
            if !differences.is_empty() {
                writeln!(terminal.out)?;
            }
            write!(terminal.out, "{}", text(&pairs))?;
        }
    }
    match args.fail_below {
        Some(least) => hold(&[second], least, args.depth),
        None => Ok(()),
    }
}

fn name(entry: &Entry) -> String {
    let preset = entry.run.preset().unwrap_or("no preset");
    format!("{}  {preset}, {} by {}", entry.id, entry.run.source, entry.run.by)
}

/// One figure that both runs have.
struct Pair<'a> {
    depth: Option<u64>,
    what: &'static str,
    first: &'a Spread,
    second: &'a Spread,
    verdict: Verdict,
}

fn pairs<'a>(first: &'a Run, second: &'a Run) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for ours in &first.speeds {
        let Some(theirs) = second.speeds.iter().find(|speed| speed.depth == ours.depth) else {
            continue;
        };
        for (what, first, second) in [
            ("prompt t/s", &ours.prompt, &theirs.prompt),
            ("decode t/s", &ours.decode, &theirs.decode),
        ] {
            if let (Some(first), Some(second)) = (first, second) {
                let verdict = Verdict::apart(first, second);
                pairs.push(Pair { depth: ours.depth, what, first, second, verdict });
            }
        }
    }
    pairs
}

fn text(pairs: &[Pair<'_>]) -> String {
    if pairs.is_empty() {
        return "no speed was measured at the same depth in both\n".to_owned();
    }
    let head = [
        ("DEPTH", Align::Right),
        ("FIGURE", Align::Left),
        ("A", Align::Right),
        ("B", Align::Right),
        ("B AGAINST A", Align::Left),
    ];
    let rows = pairs.iter().map(|pair| {
        vec![
            pair.depth.map_or_else(|| "-".to_owned(), |depth| depth.to_string()),
            pair.what.to_owned(),
            format!("{:.1}", pair.first.median()),
            format!("{:.1}", pair.second.median()),
            pair.verdict.to_string(),
        ]
    });
    table(&head, rows.collect())
}

#[derive(Serialize)]
struct Report<'a> {
    first: Row<'a>,
    second: Row<'a>,
    differences: Vec<Difference>,
    speeds: Vec<Compared>,
}

#[derive(Serialize)]
struct Difference {
    what: &'static str,
    first: String,
    second: String,
}

#[derive(Serialize)]
struct Compared {
    depth: Option<u64>,
    figure: &'static str,
    first: f64,
    second: f64,
    change: f64,
    verdict: &'static str,
}

impl Compared {
    fn new(pair: &Pair<'_>) -> Self {
        Self {
            depth: pair.depth,
            figure: pair.what,
            first: pair.first.median(),
            second: pair.second.median(),
            change: pair.verdict.change(),
            verdict: pair.verdict.word(),
        }
    }
}
