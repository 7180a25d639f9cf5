//! What a running strategy was planned to take, computed from the files that it was built from. It adds to a picture:
//! where something is not at hand, the picture goes without.

use camino::{Utf8Path, Utf8PathBuf};

use super::super::output::read_lock;
use super::super::strategy::shell;
use super::super::{here, load};
use super::Memory;
use crate::compile::{Request as Compile, compile};
use crate::gguf;
use crate::plan::memory::{LoadMode, Request, estimate};
use crate::plan::service::Service;
use crate::preset::resolve::{Library, clean};
use crate::units::Bytes;

pub(super) fn memory(directory: &Utf8Path, strategy: &str) -> Vec<Memory> {
    find(directory, strategy).unwrap_or_default()
}

fn find(directory: &Utf8Path, strategy: &str) -> Option<Vec<Memory>> {
    let lock = read_lock(directory).ok()??;
    let presets: Vec<Utf8PathBuf> =
        lock.presets.iter().map(|p| clean(&directory.join(p))).collect();
    let mut library = Library::new(&load);
    let here = here().ok()?;
    let request = Compile {
        presets: &presets,
        out: directory,
        // A container of an engine: that is what Compose would start.
        target: Some(crate::plan::Target::Compose),
        here: &here,
        pinned: &lock.resolved,
        placements: &lock.placements,
        builds_image: false,
    };
    let made = compile(&mut library, request).ok()??;
    let service = Service::new(&made.plan, strategy, directory, &shell).ok()?;
    let strategy = made.plan.strategies.iter().find(|known| known.name == strategy)?;
    let model = gguf::open(&service.model?).ok()?;
    let request = Request::from_args(&strategy.args_without(&[])).ok()?;
    let host = strategy.host.as_ref()?;
    let gpus = if service.gpus.is_some() { host.gpus.as_slice() } else { &[] };
    let found = estimate(&model, gpus, &request).ok()?;
    let devices = found
        .devices
        .iter()
        .map(|device| Memory { device: device.name.clone(), mib: device.total().mib() });
    // Weights that are mapped from their file are not counted: they give way.
    let host = &found.host;
    let weights = if request.load_mode == LoadMode::Copied { host.model } else { Bytes::ZERO };
    let mib = (weights + host.context + host.compute + host.output).mib();
    let own = Memory { device: "Host".to_owned(), mib };
    Some(devices.chain([own]).collect())
}
