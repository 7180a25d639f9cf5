//! Takes over what presets say was measured and tried, marked as reported. Running it again adds only what is new.

use std::io::Write as _;

use super::{Failure, append_new};
use camino::Utf8Path;

use crate::bench::Spread;
use crate::cli::LedgerImport;
use crate::command::list::presets;
use crate::command::{load, report, run_key};
use crate::ledger::{
    Answer, Gguf, Key, Ledger, Memory, Outcome, Run, Source, Speed, What, llama_bench,
};
use crate::plan::pattern::override_string;
use crate::preset::record::{self, Attempt, Measured};
use crate::preset::resolve::Library;
use crate::preset::value;
use crate::strategy::{Strategy, devices};
use crate::table::Number;
use crate::terminal::Terminal;

pub(super) fn run(args: &LedgerImport, terminal: &mut Terminal) -> Result<(), Failure> {
    if let Some(path) = &args.llama_bench {
        return printed(path, args, terminal);
    }
    let mut library = Library::new(&load);
    let mut runs = Vec::new();
    for path in presets(&args.dir)? {
        let resolved = library.resolve(&path).map_err(|e| Failure::File(e.to_string()))?;
        let Some(strategy) = Strategy::new(&resolved, None) else { continue };
        runs.extend(
            reported(&strategy)
                .map_err(|why| Failure::Rejected(format!("{path}: `[[measured]]`: {why}")))?,
        );
    }
    report(&library.findings, &library.sources, false, terminal)?;
    let (all, path) = (runs.len(), &args.file.ledger);
    let new = append_new(path, &runs, Ledger::has_reported)?;
    writeln!(terminal.out, "{path}: {new} of {all} reported runs are new")?;
    Ok(())
}

/// What llama-bench printed.
fn printed(path: &Utf8Path, args: &LedgerImport, terminal: &mut Terminal) -> Result<(), Failure> {
    let text = match path.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()),
        _ => load(path),
    };
    let text = text.map_err(|error| Failure::File(error.to_string()))?;
    let runs =
        llama_bench::parse(&text).map_err(|why| Failure::Rejected(format!("{path}: {why}")))?;
    let known = |ledger: &Ledger, run: &Run| ledger.entries.iter().any(|entry| entry.run == *run);
    let (all, ledger) = (runs.len(), &args.file.ledger);
    let new = append_new(ledger, &runs, known)?;
    writeln!(terminal.out, "{ledger}: {new} of {all} runs are new")?;
    Ok(())
}

/// What a preset says was tried and measured, in the order in which it happened: attempts led to the strategy that was
/// measured.
pub(in crate::command) fn reported(strategy: &Strategy) -> Result<Vec<Run>, String> {
    let attempts = strategy.attempts.iter().map(|one| Ok(attempt(strategy, one)));
    attempts.chain(strategy.measured.iter().map(|one| measured(strategy, one))).collect()
}

/// What both kinds of report have in common.
fn of(strategy: &Strategy, what: What) -> Run {
    let gpus = strategy.host.iter().flat_map(|host| &host.gpus);
    Run {
        source: Source::Reported,
        by: "the preset".to_owned(),
        what,
        key: Key {
            preset: Some(run_key::preset(strategy)),
            gguf: Gguf { file: Some(strategy.model.clone()), ..Gguf::default() },
            devices: gpus.map(|gpu| gpu.name.clone()).collect(),
            ..Key::default()
        },
        args: strategy.args_without(&[]),
        layers: strategy.layers.clone(),
        ctx_size: strategy.word("--ctx-size").and_then(|word| word.parse().ok()),
        ..Run::default()
    }
}

fn attempt(strategy: &Strategy, attempt: &Attempt) -> Run {
    let mut run = of(strategy, What::Attempt);
    if let Some(layers) = value(&attempt.layers) {
        run.layers.clone_from(layers);
        // What was tried is the preset's command with this placement.
        run.args = strategy.args_without(&["--override-tensor"]);
        let names = devices(strategy.host.as_deref(), layers.len());
        run.args.extend(["--override-tensor".to_owned(), override_string(layers, &names)]);
    }
    run.outcome = match value(&attempt.outcome) {
        Some(record::Outcome::OutOfMemory) => Outcome::OutOfMemory,
        Some(record::Outcome::Failed) => Outcome::Failed,
        Some(record::Outcome::Ok) | None => Outcome::Ok,
    };
    run.device = value(&attempt.device).cloned();
    run.note = value(&attempt.note).cloned();
    run
}

fn measured(strategy: &Strategy, measured: &Measured) -> Result<Run, String> {
    let number = |field: &crate::table::Field<Number>| value(field).map(|number| number.value);
    let one = |number: Option<f64>| number.and_then(|number| Spread::new(vec![number]));
    let mut run = of(strategy, What::Bench);
    if let Some(source) = value(&measured.source) {
        run.by.clone_from(source);
    }
    run.at = value(&measured.date).map(|date| date.parse()).transpose()?;
    let speed = Speed {
        prompt: one(number(&measured.prompt_tps)),
        decode: one(number(&measured.decode_tps)),
        approximate: value(&measured.approximate) == Some(&true),
        ..Speed::default()
    };
    if speed.prompt.is_some() || speed.decode.is_some() {
        run.speeds.push(speed);
    }
    let answer = Answer {
        tokens: value(&measured.tokens).and_then(|tokens| u64::try_from(*tokens).ok()),
        seconds: number(&measured.seconds),
        self_correction: value(&measured.self_correction).copied(),
        quality: value(&measured.quality).cloned(),
        ..Answer::default()
    };
    if answer != Answer::default() {
        run.answers.push(answer);
    }
    let mib = |field: &crate::table::Field<Vec<u32>>| {
        value(field).into_iter().flatten().map(|mib| u64::from(*mib)).collect()
    };
    run.memory = Memory {
        vram_mib: mib(&measured.vram_mib),
        weights_mib: mib(&measured.weights_mib),
        ram_gb: number(&measured.ram_gb),
        ..Memory::default()
    };
    run.note = value(&measured.note).cloned();
    Ok(run)
}
