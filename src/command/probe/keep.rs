//! Probes as runs of the ledger: what llama.cpp said beside what was computed, for this build, model and machine.

use std::io::Write as _;

use camino::Utf8Path;

use super::Asked;
use crate::artifact::Digest;
use crate::command::{Failure, calibration, ledger, run_key};
use crate::gguf::{self, Model};
use crate::hardware::Gpu;
use crate::ledger::{
    Buffers, Device, Gguf, Key, Ledger, Llama, Memory, PresetKey, Run, Source, What,
};
use crate::plan::memory::{Estimate, Request};
use crate::probe::Row;
use crate::terminal::Terminal;

/// What all questions to an image were about.
pub(in crate::command) struct About<'a> {
    /// Absent where no preset was named; its digest where all is as the preset says.
    pub(in crate::command) preset: Option<PresetKey>,
    /// The model's first file.
    pub(in crate::command) file: &'a Utf8Path,
    pub(in crate::command) model: &'a Model,
    pub(in crate::command) gpus: &'a [Gpu],
}

/// One question that llama.cpp answered.
pub(in crate::command) struct Answered<'a> {
    /// llama-server's flags.
    pub(in crate::command) words: &'a [String],
    /// Whole layers with experts per GPU, where the placement is one of whole layers.
    pub(in crate::command) layers: Vec<u32>,
    pub(in crate::command) rows: &'a [Row],
    pub(in crate::command) ours: &'a Estimate,
}

/// Adds those that do not stand there already.
pub(in crate::command) fn keep(
    path: &Utf8Path,
    about: &About<'_>,
    asked: &Asked,
    answered: &[Answered<'_>],
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let undated = |run: &Run| Run { at: None, ..run.clone() };
    let known = |ledger: &Ledger, run: &Run| {
        ledger.entries.iter().any(|entry| undated(&entry.run) == undated(run))
    };
    let header = gguf::digest(about.file, &about.model.parts)
        .map_err(|error| Failure::File(error.to_string()))?;
    let runs = answered.iter().map(|answered| run(about, &header, asked, answered));
    if ledger::append_new(path, &runs.collect::<Vec<_>>(), known)? > 0 {
        writeln!(terminal.err, "kept in {path}")?;
    }
    Ok(())
}

fn run(about: &About<'_>, header: &Digest, asked: &Asked, answered: &Answered<'_>) -> Run {
    let About { preset, model, gpus, .. } = about;
    let Answered { words, layers, rows, ours } = answered;
    let tokens = Request::from_args(words).map(|request| request.ctx_size).ok();
    let device = |row: &Row| Device {
        name: row.name.clone(),
        predicted: calibration::computed(ours, &row.name),
        probed: Some(Buffers { model: row.model, context: row.context, compute: row.compute }),
    };
    let name = |part: &gguf::Part| part.name.clone();
    Run {
        at: Some(run_key::now()),
        source: Source::Probed,
        by: format!("composegen {}", env!("CARGO_PKG_VERSION")),
        what: What::Probe,
        key: Key {
            preset: preset.clone(),
            llama: Llama { build: asked.llama.build, commit: asked.llama.commit.clone() },
            image: asked.image.id.parse::<Digest>().ok(),
            gguf: Gguf {
                file: model.parts.first().map(name),
                header: Some(header.clone()),
                bytes: Some(model.parts.iter().map(|part| part.expected_length.0).sum()),
            },
            devices: gpus.iter().map(|gpu| gpu.name.clone()).collect(),
            driver: None,
        },
        args: words.to_vec(),
        gpus: calibration::described(gpus),
        layers: layers.clone(),
        ctx_size: tokens.filter(|tokens| *tokens > 0),
        memory: Memory { devices: rows.iter().map(device).collect(), ..Memory::default() },
        ..Run::default()
    }
}
