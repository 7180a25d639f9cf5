//! A measurement as a run of the ledger: what it is keyed by, as far as it can be found out.

use std::error::Error as _;

use super::case::Case;
use super::measure::Measured;
use crate::cli::Bench;
use crate::command::{Failure, run_key};
use crate::gguf;
use crate::gpu::Detected;
use crate::hardware::Gpu;
use crate::ledger::{Gguf, Key, Llama, Memory, Run, Source, What};

/// `alone` is whether no other server was up at the same time on this machine.
pub(super) fn run(
    args: &Bench,
    case: &Case,
    measured: Measured,
    machine: Option<&Detected>,
    alone: bool,
) -> Result<Run, Failure> {
    let strategy = case.strategy.as_ref();
    let props = case.props.clone().unwrap_or_default();
    // Another machine's GPUs are not here to be asked.
    let machine = machine.filter(|_| case.here);
    let here: Vec<&Gpu> = machine.map(|here| case.of(&here.gpus)).unwrap_or_default();
    let described = strategy.and_then(|strategy| strategy.host.as_deref());
    let described_gpus = || described.into_iter().flat_map(|host| &host.gpus).collect();
    let used: Vec<&Gpu> = match &case.gpus {
        None => Vec::new(),
        Some(_) if here.is_empty() => described_gpus(),
        Some(_) => here.clone(),
    };
    let mut devices: Vec<String> = used.iter().map(|gpu| gpu.name.clone()).collect();
    if devices.is_empty() {
        // The processor is what works.
        let cpu = machine.map(|here| &here.cpu).or(described.map(|host| &host.cpu));
        devices.extend(cpu.and_then(|cpu| cpu.name.clone()));
    }
    // Of two servers on the same cards nobody knows which has what.
    let own = alone || case.gpus.as_ref().is_some_and(|gpus| !gpus.is_empty());
    let used = here.iter().filter(|_| own).map(|gpu| {
        gpu.uuid.as_ref().and_then(|uuid| measured.vram.get(uuid)).map(|bytes| bytes.0 >> 20)
    });
    Ok(Run {
        at: Some(run_key::now()),
        source: Source::Measured,
        by: format!("composegen {}", env!("CARGO_PKG_VERSION")),
        what: What::Bench,
        key: Key {
            preset: strategy.map(run_key::preset),
            llama: Llama { build: props.build, commit: props.commit.clone() },
            image: case.image.clone(),
            gguf: gguf(case)?,
            devices,
            driver: machine.filter(|_| case.gpus.is_some()).and_then(|here| here.driver.clone()),
        },
        args: strategy.map(|strategy| strategy.args_without(&[])).unwrap_or_default(),
        layers: strategy.map(|strategy| strategy.layers.clone()).unwrap_or_default(),
        ctx_size: context(case),
        speeds: measured.speeds(),
        memory: Memory {
            vram_mib: used.collect::<Option<_>>().unwrap_or_default(),
            ram_gb: measured.ram.map(|bytes| (bytes.0 as f64 / 1e6).round() / 1e3),
            ..Memory::default()
        },
        answers: measured.answers,
        note: args.note.clone(),
        ..Run::default()
    })
}

/// Over all slots: where there are several, the server does not say whether they share it.
fn context(case: &Case) -> Option<u64> {
    let said = case.strategy.as_ref().and_then(|strategy| strategy.word("--ctx-size"));
    match &case.props {
        Some(props) if props.slots == 1 => Some(props.n_ctx),
        _ => said.and_then(|word| word.parse().ok()),
    }
}

/// The file as far as the server tells; the header where the file is at hand.
fn gguf(case: &Case) -> Result<Gguf, Failure> {
    let props = case.props.as_ref();
    let mut found = Gguf {
        file: props.map(|props| props.model_file().to_owned()),
        header: None,
        bytes: props.and_then(|props| props.model_bytes),
    };
    if let Some(path) = &case.model {
        let files = gguf::open_files(path).map_err(|error| {
            let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
            Failure::File(format!("{error}{why}"))
        })?;
        let digest = gguf::digest(path, &files.parts);
        found.header = Some(digest.map_err(|error| Failure::File(error.to_string()))?);
        found.bytes = Some(files.parts.iter().map(|part| part.length.0).sum());
    }
    Ok(found)
}
