//! A measurement as a run of the ledger: what it is keyed by, as far as it can be found out.

use std::error::Error as _;

use super::Target;
use super::measure::Measured;
use crate::cli::Bench;
use crate::command::{Failure, run_key};
use crate::gguf;
use crate::gpu;
use crate::ledger::{Gguf, Key, Llama, Memory, Run, Source, What};

pub(super) fn run(args: &Bench, target: &Target, measured: Measured) -> Result<Run, Failure> {
    let (props, strategy) = (&target.props, target.strategy.as_ref());
    // Another machine's GPUs are not here to be asked.
    let here = target.server.is_local().then(|| gpu::detect().ok()).flatten();
    let here = here.filter(|here| !here.gpus.is_empty());
    let described = strategy.and_then(|strategy| strategy.host.as_deref());
    let gpus = here.as_ref().map(|here| &here.gpus).or(described.map(|host| &host.gpus));
    let used =
        here.iter().flat_map(|here| &here.gpus).map(|gpu| gpu.memory.saturating_sub(gpu.free));
    Ok(Run {
        at: Some(run_key::now()),
        source: Source::Measured,
        by: format!("composegen {}", env!("CARGO_PKG_VERSION")),
        what: What::Bench,
        key: Key {
            preset: strategy.map(run_key::preset),
            llama: Llama { build: props.build, commit: props.commit.clone() },
            image: None,
            gguf: gguf(args, target)?,
            devices: gpus.into_iter().flatten().map(|gpu| gpu.name.clone()).collect(),
            driver: here.as_ref().and_then(|here| here.driver.clone()),
        },
        args: strategy.map(|strategy| strategy.args_without(&[])).unwrap_or_default(),
        layers: strategy.map(|strategy| strategy.layers.clone()).unwrap_or_default(),
        ctx_size: context(target),
        speeds: measured.speeds,
        answers: measured.answers,
        memory: Memory { vram_mib: used.map(|bytes| bytes.0 >> 20).collect(), ..Memory::default() },
        note: args.note.clone(),
        ..Run::default()
    })
}

/// Over all slots: where there are several, the server does not say whether they share it.
fn context(target: &Target) -> Option<u64> {
    let said = target.strategy.as_ref().and_then(|strategy| strategy.word("--ctx-size"));
    match target.props.slots {
        1 => Some(target.props.n_ctx),
        _ => said.and_then(|word| word.parse().ok()),
    }
}

/// The file as far as the server tells; the header where the file is at hand.
fn gguf(args: &Bench, target: &Target) -> Result<Gguf, Failure> {
    let mut found = Gguf {
        file: Some(target.props.model_file().to_owned()),
        header: None,
        bytes: target.props.model_bytes,
    };
    if let Some(path) = &args.model {
        let files = gguf::open_files(path).map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Failure::File(format!("{error}{cause}"))
        })?;
        let digest = gguf::digest(path, &files.parts);
        found.header = Some(digest.map_err(|error| Failure::File(error.to_string()))?);
        found.bytes = Some(files.parts.iter().map(|part| part.length.0).sum());
    }
    Ok(found)
}
