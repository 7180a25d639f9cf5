//! A measurement as a run of the ledger: what it is keyed by, as far as it can be found out.

use std::error::Error as _;

use camino::Utf8Path;

use super::case::Case;
use super::measure::Measured;
use crate::cli::Bench;
use crate::command::{Failure, run_key};
use crate::gguf;
use crate::gpu::Detected;
use crate::hardware::Gpu;
use crate::ledger::{Gguf, Key, Llama, Memory, Run, Source, What};

/// `model` is of the file that the command line names, `alone` whether no other server was up at the same time on this
/// machine.
pub(super) fn run(
    args: &Bench,
    case: &Case,
    measured: Measured,
    model: &Option<Gguf>,
    machine: Option<&Detected>,
    alone: bool,
) -> Run {
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
    Run {
        at: Some(run_key::now()),
        source: Source::Measured,
        by: format!("composegen {}", env!("CARGO_PKG_VERSION")),
        what: What::Bench,
        key: Key {
            preset: strategy.map(run_key::preset),
            llama: Llama { build: props.build, commit: props.commit.clone() },
            image: case.image.clone(),
            gguf: gguf(case, model),
            devices,
            driver: machine.filter(|_| case.gpus.is_some()).and_then(|here| here.driver.clone()),
        },
        url: (!args.url.is_empty()).then(|| address(case.server.url())),
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
    }
}

/// Without a name and a password, which are nobody else's business.
fn address(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)))
    {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => url.to_owned(),
    }
}

/// Over all slots: where there are several, the server does not say whether they share it.
fn context(case: &Case) -> Option<u64> {
    let said = case.strategy.as_ref().and_then(|strategy| strategy.word("--ctx-size"));
    match &case.props {
        Some(props) if props.slots == 1 => Some(props.n_ctx),
        _ => said.and_then(|word| word.parse().ok()),
    }
}

/// The file as far as the server tells; the header where the file is at hand. One that is gone by now costs no
/// measurement.
fn gguf(case: &Case, model: &Option<Gguf>) -> Gguf {
    let props = case.props.as_ref();
    let known = model.clone().or_else(|| header(case.model.as_deref()?).ok()).unwrap_or_default();
    Gguf {
        file: props.map(|props| props.model_file().to_owned()),
        header: known.header,
        bytes: known.bytes.or(props.and_then(|props| props.model_bytes)),
    }
}

/// Digest and bytes of a model's files.
pub(super) fn header(path: &Utf8Path) -> Result<Gguf, Failure> {
    let files = gguf::open_files(path).map_err(|error| {
        let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
        Failure::File(format!("{error}{why}"))
    })?;
    let digest = gguf::digest(path, &files.parts);
    Ok(Gguf {
        file: None,
        header: Some(digest.map_err(|error| Failure::File(error.to_string()))?),
        bytes: Some(files.parts.iter().map(|part| part.length.0).sum()),
    })
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_without_a_password() {
        assert_eq!(address("http://me:secret@box:8080"), "http://box:8080");
        assert_eq!(address("http://box:8080"), "http://box:8080");
    }
}
