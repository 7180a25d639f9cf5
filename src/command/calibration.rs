//! What a probe found, kept in the ledger, and found there again for the same model, machine and flags.

use std::io::Write as _;

use camino::Utf8Path;
use serde::Serialize;

use super::{Failure, ledger};
use crate::artifact::Digest;
use crate::flags;
use crate::gguf::{self, Model};
use crate::hardware::Gpu;
use crate::ledger::{Buffers, Device, Moment, Run, What};
#[cfg(feature = "engine")]
use crate::plan::memory::Room;
use crate::plan::memory::{Estimate, Request};
#[cfg(feature = "engine")]
use crate::probe::{Row, rooms};
use crate::terminal::Terminal;

/// What is computed, and may have been probed.
pub(super) struct Subject<'a> {
    /// The model's first file, of which the header is enough.
    pub(super) file: &'a Utf8Path,
    pub(super) model: &'a Model,
    pub(super) gpus: &'a [Gpu],
    /// llama-server's flags.
    pub(super) words: &'a [String],
    /// `sha256:...`, where only this image's answer counts.
    pub(super) image: Option<&'a str>,
}

/// An answer that is still good.
#[derive(Debug, Serialize)]
pub(super) struct Probed {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<u32>,
    /// Whether the estimate of today says the same, to the MiB.
    equal: bool,
    devices: Vec<Device>,
}

/// The newest probe of this subject; absent where there is no ledger. What is wrong with a ledger's lines is said by
/// the commands that show it.
pub(super) fn find(
    ledger: &Utf8Path,
    subject: &Subject<'_>,
    ours: &Estimate,
) -> Result<Option<Probed>, Failure> {
    let Ok(ledger) = ledger::open(ledger) else { return Ok(None) };
    let mut probes = ledger.entries.iter().map(|entry| &entry.run);
    if !probes.any(|run| run.what == What::Probe) {
        return Ok(None);
    }
    let header = gguf::digest(subject.file, &subject.model.parts)
        .map_err(|error| Failure::File(error.to_string()))?;
    let (gpus, asked) = (described(subject.gpus), memory_of(subject.words));
    let same = |run: &&Run| {
        let image = run.key.image.as_ref().map(Digest::as_str);
        run.what == What::Probe
            && run.key.gguf.header.as_ref() == Some(&header)
            && run.gpus == gpus
            && subject.image.is_none_or(|wanted| image == Some(wanted))
            && asked.is_some()
            && memory_of(&run.args) == asked
    };
    let runs = ledger.entries.iter().rev().map(|entry| &entry.run);
    Ok(runs.into_iter().find(same).map(|run| Probed {
        at: run.at,
        build: run.key.llama.build,
        equal: run.memory.devices.iter().all(|device| {
            let ours = computed(ours, &device.name);
            device.probed.is_none_or(|probed| ours == Some(probed))
        }),
        devices: run.memory.devices.clone(),
    }))
}

/// `TOTAL:FREE:CAPABILITY` of each GPU, memory in MiB.
pub(super) fn described(gpus: &[Gpu]) -> Vec<String> {
    let question = crate::probe::Question::new(gpus, &[], &[]);
    let list = question.gpus().split(',').filter(|gpu| !gpu.is_empty());
    list.map(str::to_owned).collect()
}

/// What the estimate says of one device.
pub(super) fn computed(ours: &Estimate, device: &str) -> Option<Buffers> {
    let host = &ours.host;
    let found = ours.devices.iter().find(|known| known.name == device);
    let [model, context, compute] = match found {
        Some(device) => [device.model, device.context, device.compute],
        None if device == "Host" => [host.model, host.context, host.compute],
        None => return None,
    }
    .map(|bytes| bytes.0 >> 20);
    Some(Buffers { model, context, compute })
}

/// Flags that add memory and are not part of what is computed.
pub(super) const BESIDE: &[&str] =
    &["--mmproj", "--lora", "--lora-scaled", "--spec-draft-model", "--control-vector"];

/// What decides the memory of an argv, however it is spelled.
fn memory_of(words: &[String]) -> Option<(Request, Vec<(&'static str, String)>)> {
    let request = Request::from_args(words).ok()?;
    let given = flags::split(words).ok()?;
    let beside = given.iter().filter(|given| BESIDE.contains(&given.flag.long));
    Some((request, beside.map(|given| (given.flag.long, given.values.join(" "))).collect()))
}

impl Probed {
    /// What llama.cpp allocates beside what is free, without margins.
    #[cfg(feature = "engine")]
    pub(super) fn rooms(&self, gpus: &[Gpu]) -> Vec<Room> {
        let row = |device: &Device| {
            let Buffers { model, context, compute } = device.probed?;
            Some(Row { name: device.name.clone(), model, context, compute })
        };
        let rows: Vec<Row> = self.devices.iter().filter_map(row).collect();
        rooms(&rows, gpus, &[])
    }

    /// One line: what llama.cpp said, where it is not what was computed.
    pub(super) fn line(&self) -> String {
        let build =
            self.build.map_or_else(|| "of this image".to_owned(), |build| format!("b{build}"));
        let at = self.at.map(|at| at.to_string());
        let day = at.as_deref().and_then(|at| at.get(..10)).unwrap_or("some time ago");
        if self.equal {
            return format!("llama.cpp {build} said the same on every device (probed {day})");
        }
        let devices = self.devices.iter().filter_map(|device| {
            let Buffers { model, context, compute } = device.probed?;
            Some(format!("{} {model} + {context} + {compute}", device.name))
        });
        format!(
            "llama.cpp {build} said otherwise (probed {day}): {} MiB of weights, cache and compute",
            devices.collect::<Vec<_>>().join(", ")
        )
    }

    pub(super) fn tell(found: Option<&Self>, terminal: &mut Terminal) -> std::io::Result<()> {
        found.map_or(Ok(()), |found| writeln!(terminal.out, "{}", found.line()))
    }
}
