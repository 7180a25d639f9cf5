//! Two runs side by side: what differs between them, and whether one is faster by more than chance.

use std::io::Write as _;

use serde::Serialize;

use super::{Failure, Row, filter, hold, json, read};
use crate::bench::Verdict;
use crate::cli::{Format, LedgerCompare};
use crate::command::speeds::{self, Compared};
use crate::ledger::{Entry, pick};
use crate::terminal::{Terminal, plain};

pub(super) fn run(args: &LedgerCompare, terminal: &mut Terminal) -> Result<(), Failure> {
    let ledger = read(&args.file.ledger, terminal)?;
    let filter = filter(&args.which, None);
    let find = |name: &str| {
        let entries = ledger.entries.iter().filter(|entry| filter.admits(entry));
        pick(entries, name).map_err(|error| Failure::Usage { message: error.to_string() })
    };
    let (first, second) = (find(&args.first)?, find(&args.second)?);
    let differences = first.run.key.differences(&second.run.key);
    let pairs = speeds::pairs(&first.run, &second.run, Verdict::apart);
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
                writeln!(terminal.out, "{what}: {} -> {}", plain(ours), plain(theirs))?;
            }
            if !differences.is_empty() {
                writeln!(terminal.out)?;
            }
            write!(terminal.out, "{}", speeds::text(&pairs, ["A", "B"]))?;
        }
    }
    match args.fail_below {
        Some(least) => hold(&[(second, Some(second))], least, args.depth, terminal),
        None => Ok(()),
    }
}

fn name(entry: &Entry) -> String {
    let preset = plain(entry.run.preset().unwrap_or("no preset"));
    format!("{}  {preset}, {} by {}", entry.id, entry.run.source, plain(&entry.run.by))
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
