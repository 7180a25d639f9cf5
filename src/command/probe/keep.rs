//! A probe as a run of the ledger: what llama.cpp said beside what was computed, for this build, model and machine.

use std::io::Write as _;

use super::{Asked, Subject};
use crate::artifact::Digest;
use crate::cli;
use crate::command::{Failure, calibration, ledger, load, run_key};
use crate::gguf;
use crate::ledger::{
    Buffers, Device, Gguf, Key, Ledger, Llama, Memory, PresetKey, Run, Source, What,
};
use crate::plan::memory::{Estimate, Request};
use crate::probe::Row;
use crate::terminal::Terminal;

/// Adds it, unless the same stands there already.
pub(super) fn keep(
    args: &cli::Probe,
    subject: &Subject,
    asked: &Asked,
    rows: &[Row],
    ours: &Estimate,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let path = &args.file.ledger;
    let run = run(args, subject, asked, rows, ours)?;
    let undated = |run: &Run| Run { at: None, ..run.clone() };
    let known = load(path).is_ok_and(|text| {
        Ledger::parse(&text).entries.iter().any(|entry| undated(&entry.run) == undated(&run))
    });
    if !known {
        ledger::append(path, &[run])?;
        writeln!(terminal.err, "kept in {path}")?;
    }
    Ok(())
}

fn run(
    args: &cli::Probe,
    subject: &Subject,
    asked: &Asked,
    rows: &[Row],
    ours: &Estimate,
) -> Result<Run, Failure> {
    let Subject { read, model, file, gpus, words, .. } = subject;
    let header = gguf::digest(file, &model.parts).map_err(|e| Failure::File(e.to_string()))?;
    let preset = run_key::preset(&read.strategy);
    // With more flags it is not what the preset says.
    let preset = if args.flags.is_empty() { preset } else { PresetKey { digest: None, ..preset } };
    let tokens = Request::from_args(words).map(|request| request.ctx_size).ok();
    let device = |row: &Row| Device {
        name: row.name.clone(),
        predicted: calibration::computed(ours, &row.name),
        probed: Some(Buffers { model: row.model, context: row.context, compute: row.compute }),
    };
    let name = |part: &gguf::Part| part.name.clone();
    Ok(Run {
        at: Some(run_key::now()),
        source: Source::Probed,
        by: format!("composegen {}", env!("CARGO_PKG_VERSION")),
        what: What::Probe,
        key: Key {
            preset: Some(preset),
            llama: Llama { build: asked.llama.build, commit: asked.llama.commit.clone() },
            image: asked.image.id.parse::<Digest>().ok(),
            gguf: Gguf {
                file: model.parts.first().map(name),
                header: Some(header),
                bytes: Some(model.parts.iter().map(|part| part.expected_length.0).sum()),
            },
            devices: gpus.iter().map(|gpu| gpu.name.clone()).collect(),
            driver: None,
        },
        args: words.clone(),
        gpus: calibration::described(gpus),
        layers: read.strategy.layers.clone(),
        ctx_size: tokens.filter(|tokens| *tokens > 0),
        memory: Memory { devices: rows.iter().map(device).collect(), ..Memory::default() },
        ..Run::default()
    })
}
