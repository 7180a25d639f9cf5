//! System memory: what stays there, against what there is. A coarse sum; the planner knows better.

use super::{Subject, at};
use crate::diagnostic::{Code, Diagnostic};
use crate::preset::placement::LoadMode;
use crate::preset::value;

/// llama-server's own default for `cache_ram`, in MiB.
const CACHE_RAM_MIB: f64 = 8192.0;

pub(super) fn check(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    let ram = subject.host.and_then(|host| host.ram.total);
    let (Some(ram), Some(size)) = (ram, value(&preset.model.size_gib)) else { return };
    let servers = subject.servers() as f64;
    let once = size.value * 1024.0 * share_on_cpu(subject);
    let mode = value(&preset.placement.load_mode).copied().unwrap_or(LoadMode::Auto);
    let holds = matches!(mode, LoadMode::None | LoadMode::Mlock | LoadMode::MmapMlock);
    // A mapped file is in memory once, however many servers read it.
    let held = if mode == LoadMode::MmapMlock || !holds { once } else { once * servers };
    if holds && held > ram.mib() {
        subject.say(
            Code::BeyondRam,
            &preset.placement.load_mode,
            format!(
                "`load_mode = \"{mode}\"` holds about {held:.0} MiB of weights in {:.0} MiB of memory",
                ram.mib()
            ),
            "put more layers on the GPUs, take a smaller quant, or `load_mode = \"mmap\"`",
        );
        return;
    }
    let cache = servers * value(&preset.context.cache_ram).map_or(CACHE_RAM_MIB, |mib| *mib as f64);
    if held + cache > ram.mib() * 0.95 && cache > 0.0 {
        let place = at(&preset.context.cache_ram).or_else(|| at(&preset.model.size_gib));
        let finding = Diagnostic::new(
            Code::MemoryHeavy,
            format!(
                "about {held:.0} MiB of weights and a prompt cache of {cache:.0} MiB in {:.0} MiB of memory",
                ram.mib()
            ),
        )
        .at(place)
        .help("set `cache_ram` lower (8192 is llama-server's default), or move more layers to the GPUs");
        subject.push(finding);
    }
}

/// The part of the weights that system memory holds: all but the layers on GPUs, or at the least what no GPU
/// could hold.
fn share_on_cpu(subject: &Subject<'_>) -> f64 {
    let preset = subject.preset;
    let Some(host) = subject.host else { return 1.0 };
    if !subject.has_devices() {
        return 1.0;
    }
    let size = value(&preset.model.size_gib).map_or(0.0, |size| size.value * 1024.0);
    let vram: f64 = host.gpus.iter().map(|gpu| gpu.free.mib()).sum();
    let beyond = (1.0 - vram / size).max(0.0);
    let layers = value(&preset.model.layers).copied().unwrap_or(0) as f64;
    match value(&preset.placement.layers) {
        Some(placed) if layers > 0.0 => {
            let placed: f64 = placed.iter().copied().map(f64::from).sum();
            (1.0 - placed / layers).max(beyond)
        }
        _ => beyond,
    }
}
