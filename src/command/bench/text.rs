//! What was measured, as tables.

use super::case::Case;
use crate::bench::Spread;
use crate::ledger::{Answer, Run};
use crate::terminal::{Align, table};

/// What a run is called where there are several.
pub(super) fn letter(place: usize) -> &'static str {
    const ALL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    ALL.get(place..=place).unwrap_or("Z")
}

pub(super) fn runs(cases: &[Case], runs: &[Run]) -> String {
    let block = |(place, (case, run)): (usize, (&Case, &Run))| {
        let name = if runs.len() > 1 { [letter(place), "  "].concat() } else { String::new() };
        block(case, run, &name)
    };
    cases.iter().zip(runs).enumerate().map(block).collect::<Vec<_>>().join("\n")
}

fn block(case: &Case, run: &Run, name: &str) -> String {
    let build =
        run.key.llama.build.map_or_else(String::new, |build| format!(", llama.cpp b{build}"));
    let preset = run.preset().map_or_else(String::new, |preset| format!(", {preset}"));
    let file = run.key.gguf.file.as_deref().unwrap_or_default();
    let head = [name, case.server.url(), &preset, ": ", file, &build, "\n\n"].concat();
    let mut lines: String = run.answers.iter().map(line).collect();
    lines.push_str(&memory(run));
    let gap = if lines.is_empty() { "" } else { "\n" };
    [head, speeds(run), gap.to_owned(), lines].concat()
}

/// The most that was in use.
fn memory(run: &Run) -> String {
    let mut parts: Vec<String> = Vec::new();
    let gpus = run.key.devices.iter().zip(&run.memory.vram_mib);
    parts.extend(gpus.map(|(name, mib)| format!("{mib} MiB on {name}")));
    parts.extend(run.memory.ram_gb.map(|gb| format!("{gb:.1} GB of RAM")));
    if parts.is_empty() { String::new() } else { format!("memory: {}\n", parts.join(", ")) }
}

fn speeds(run: &Run) -> String {
    let head = [
        ("DEPTH", Align::Right),
        ("FIGURE", Align::Left),
        ("MEDIAN", Align::Right),
        ("MIN", Align::Right),
        ("MAX", Align::Right),
        ("MAD", Align::Right),
        ("N", Align::Right),
    ];
    let mut rows = Vec::new();
    for speed in &run.speeds {
        let depth = speed.depth.map_or_else(|| "-".to_owned(), |depth| depth.to_string());
        for (figure, spread) in [
            ("prompt t/s", &speed.prompt),
            ("decode t/s", &speed.decode),
            ("first token ms", &speed.first_token_ms),
        ] {
            rows.extend(spread.as_ref().map(|spread| row(&depth, figure, spread)));
        }
    }
    table(&head, rows)
}

fn row(depth: &str, figure: &str, spread: &Spread) -> Vec<String> {
    let number = |number: f64| format!("{number:.1}");
    vec![
        depth.to_owned(),
        figure.to_owned(),
        number(spread.median()),
        number(spread.min()),
        number(spread.max()),
        number(spread.mad()),
        spread.samples().len().to_string(),
    ]
}

fn line(answer: &Answer) -> String {
    let tokens = answer.tokens.unwrap_or_default();
    let seconds = answer.seconds.unwrap_or_default();
    let end = if answer.finished == Some(false) { ", cut off" } else { "" };
    let doubts = if answer.doubts.is_empty() {
        "no sign of self-correction".to_owned()
    } else {
        let list: Vec<String> = answer.doubts.iter().map(|doubt| format!("\"{doubt}\"")).collect();
        format!("self-correction: {}", list.join(", "))
    };
    let sampling: Vec<String> =
        answer.sampling.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let at =
        if sampling.is_empty() { String::new() } else { format!(" at {}", sampling.join(", ")) };
    format!("answer{at}: {tokens} tokens in {seconds:.1} s{end}, {doubts}\n")
}
