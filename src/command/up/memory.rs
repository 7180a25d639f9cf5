//! What the image's llama.cpp said of this strategy's memory when it was probed, told before it is started.

use std::io::Write as _;

use camino::Utf8Path;

use super::super::Failure;
use super::super::calibration::{self, Subject};
use super::super::strategy::Ready;
use crate::engine::image::Image;
use crate::gguf;
use crate::plan::memory::{Request, estimate};
use crate::terminal::Terminal;

/// Silent where this image was not asked about this model with these flags.
pub(super) fn tell(
    ready: &Ready,
    image: &Image,
    ledger: &Utf8Path,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let (Some(file), Some(host)) = (&ready.service.model, &ready.host) else { return Ok(()) };
    // The entrypoint's own words say nothing about memory.
    let words = &ready.flags;
    let (Ok(model), Ok(request)) = (gguf::open(file), Request::from_args(words)) else {
        return Ok(());
    };
    let gpus = if ready.service.gpus.is_some() { host.gpus.as_slice() } else { &[] };
    let Ok(ours) = estimate(&model, gpus, &request) else { return Ok(()) };
    let subject = Subject { file, model: &model, gpus, words, image: Some(&image.id) };
    let Some(probed) = calibration::find(ledger, &subject, &ours)? else { return Ok(()) };
    let rooms = probed.rooms(gpus);
    let devices = rooms.iter().map(|room| {
        format!("{} {} of {} MiB free", room.device, room.used.0 >> 20, room.free.0 >> 20)
    });
    let devices: Vec<String> = devices.collect();
    if !devices.is_empty() {
        writeln!(
            terminal.err,
            "memory, as this llama.cpp said when probed: {}",
            devices.join(", ")
        )?;
    }
    if !crate::plan::memory::fits(&rooms) {
        writeln!(
            terminal.err,
            "warning: by that it does not fit; `composegen plan {} --exact` finds what does",
            ready.service.strategy
        )?;
    }
    Ok(())
}
