//! `--dry-run`: where it would begin, what the estimate says of that, and what would come of the first outcome.

use std::io::Write as _;

use serde::Serialize;

use super::subject::{LeftOut, Subject};
use crate::cli::Format;
use crate::command::Failure;
use crate::plan::counted::Counted;
use crate::terminal::{Align, Terminal, table};
use crate::tune::{Candidate, Figures, Observation, State, Step, next};

#[derive(Serialize)]
struct Begin {
    ctx_size: u64,
    layers: Vec<u32>,
    /// What each card would hold, and has free, in MiB, by the estimate.
    mib: Vec<u64>,
    free_mib: Vec<u64>,
}

#[derive(Serialize)]
struct After {
    outcome: String,
    step: String,
}

#[derive(Serialize)]
struct Report {
    starts: Vec<Begin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Candidate>,
    step: String,
    args: Vec<String>,
    then: Vec<After>,
}

pub(super) fn run(
    subject: &Subject,
    counted: Option<&Counted<'_>>,
    mut state: State,
    left_out: &[LeftOut],
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    for context in left_out {
        writeln!(terminal.err, "note: {} tokens: {}", context.ctx_size, context.why)?;
    }
    let devices = state.task().devices.clone();
    let starts =
        state.task().starts.iter().map(|start| begin(counted, start.ctx_size, &start.layers));
    let starts: Vec<Begin> = starts.collect();
    let step = next(&mut state, None);
    let first = match &step {
        Step::Try { candidate, .. } => Some(candidate.clone()),
        _ => None,
    };
    let mut outcomes: Vec<(String, Observation)> = devices
        .iter()
        .map(|name| {
            let device = Some(name.clone());
            (format!("out of memory on {name}"), Observation::OutOfMemory { device })
        })
        .collect();
    outcomes.push(("no memory on the machine".to_owned(), Observation::HostMemory));
    outcomes.push((
        "it goes well and fills all".to_owned(),
        Observation::Good(Figures { free_mib: vec![0; devices.len()], ..Figures::default() }),
    ));
    let after = |(outcome, observation): (String, Observation)| {
        let step = says(&next(&mut state.clone(), Some(observation)));
        After { outcome, step }
    };
    let then = if first.is_some() { outcomes.into_iter().map(after).collect() } else { Vec::new() };
    let args = first.as_ref().map(|first| subject.args(counted, first)).unwrap_or_default();
    let report = Report { starts, first, step: says(&step), args, then };
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => write!(terminal.out, "{}", text(&report, &devices))?,
    }
    Ok(())
}

fn begin(counted: Option<&Counted<'_>>, ctx_size: u64, layers: &[u32]) -> Begin {
    let estimate = counted.and_then(|counted| counted.estimate(layers, ctx_size).ok());
    let devices = estimate.map(|estimate| estimate.devices).unwrap_or_default();
    Begin {
        ctx_size,
        layers: layers.to_vec(),
        mib: devices.iter().map(|device| device.total().0 >> 20).collect(),
        free_mib: devices.iter().map(|device| device.free.0 >> 20).collect(),
    }
}

fn says(step: &Step) -> String {
    match step {
        Step::Try { candidate, reason } => format!("{candidate}: {reason}"),
        Step::Done { reason, .. } => format!("done, with {reason}"),
        Step::Spent { reason } => format!("nothing is left to try: {reason}"),
        Step::Failed { reason } => format!("it ends: {reason}"),
    }
}

fn text(report: &Report, devices: &[String]) -> String {
    let mut head = vec![("CONTEXT", Align::Right)];
    if !devices.is_empty() {
        head.push(("BEGIN WITH", Align::Left));
    }
    head.extend(devices.iter().map(|name| (name.as_str(), Align::Left)));
    let row = |begin: &Begin| {
        let mut row = vec![begin.ctx_size.to_string()];
        if !devices.is_empty() {
            let layers: Vec<String> = begin.layers.iter().map(ToString::to_string).collect();
            row.push(layers.join("+"));
        }
        let cards = begin.mib.iter().zip(&begin.free_mib);
        row.extend(cards.map(|(mib, free)| format!("{mib} of {free} MiB")));
        row
    };
    let starts = table(&head, report.starts.iter().map(row).collect());
    let mut text = format!("{starts}\nfirst: {}\n", report.step);
    if !report.args.is_empty() {
        text = [text, format!("  {}\n", report.args.join(" "))].concat();
    }
    for After { outcome, step } in &report.then {
        text = [text, format!("{outcome}:\n  {step}\n")].concat();
    }
    text
}
