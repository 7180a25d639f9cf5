//! Runs as a table.

use crate::ledger::{Entry, Outcome, Source};
use crate::terminal::{Align, table};

pub(super) fn list(entries: &[&Entry], depth: Option<u64>) -> String {
    let head = [
        ("ID", Align::Left),
        ("WHEN", Align::Left),
        ("SOURCE", Align::Left),
        ("PRESET", Align::Left),
        ("LAYERS", Align::Right),
        ("CONTEXT", Align::Right),
        ("OUTCOME", Align::Left),
        ("DEPTH", Align::Right),
        ("PROMPT", Align::Right),
        ("DECODE", Align::Right),
        ("ANSWER", Align::Left),
        ("LLAMA.CPP", Align::Left),
    ];
    table(&head, entries.iter().map(|entry| row(entry, depth)).collect())
}

fn row(entry: &Entry, depth: Option<u64>) -> Vec<String> {
    let dash = || "-".to_owned();
    let run = &entry.run;
    let when = run.at.map(|at| at.to_string());
    let source = match run.source {
        Source::Measured | Source::Probed => run.source.to_string(),
        Source::Reported => format!("{} by {}", run.source, run.by),
    };
    let outcome = match (&run.device, run.outcome) {
        (Some(device), Outcome::OutOfMemory) => format!("out of memory on {device}"),
        (None, Outcome::OutOfMemory) => "out of memory".to_owned(),
        (_, Outcome::Ok) if run.trial.as_ref().is_some_and(|trial| trial.best) => {
            "the best".to_owned()
        }
        (_, other) => other.to_string(),
    };
    let speed = run.speed(depth);
    let about = if speed.is_some_and(|speed| speed.approximate) { "~" } else { "" };
    let rate = |spread: Option<&crate::bench::Spread>| {
        spread.map_or_else(dash, |spread| {
            let many = spread.samples().len() > 1;
            let around = if many { format!(" ±{:.1}", spread.mad()) } else { String::new() };
            format!("{about}{:.1}{around} t/s", spread.median())
        })
    };
    let layers: Vec<String> = run.layers.iter().map(ToString::to_string).collect();
    vec![
        entry.id.clone(),
        when.map_or_else(dash, |when| when.get(..16).unwrap_or(&when).replace('T', " ")),
        source,
        run.preset()
            .or(run.url.as_deref())
            .or(run.eval.as_ref().and_then(|eval| eval.model.as_deref()))
            .map_or_else(dash, str::to_owned),
        if layers.is_empty() { dash() } else { layers.join("+") },
        run.ctx_size.map_or_else(dash, |tokens| tokens.to_string()),
        outcome,
        speed.and_then(|speed| speed.depth).map_or_else(dash, |depth| depth.to_string()),
        rate(speed.and_then(|speed| speed.prompt.as_ref())),
        rate(speed.and_then(|speed| speed.decode.as_ref())),
        answer(entry).unwrap_or_else(dash),
        run.key.llama.build.map_or_else(dash, |build| format!("b{build}")),
    ]
}

/// `871 tokens`, and what speaks against the answer; of a benchmark its score.
fn answer(entry: &Entry) -> Option<String> {
    if let Some(eval) = &entry.run.eval {
        return Some(format!("{} {:.1} %", eval.suite, eval.pass_at_1 * 100.0));
    }
    let answers = &entry.run.answers;
    let last = answers.last()?;
    let doubted = answers.iter().filter(|answer| answer.self_correction == Some(true)).count();
    let mut words: Vec<String> = last.tokens.map(|n| format!("{n} tokens")).into_iter().collect();
    if doubted > 0 {
        words.push("self-correction".to_owned());
    }
    if last.finished == Some(false) {
        words.push("cut off".to_owned());
    }
    (!words.is_empty()).then(|| words.join(", "))
}
