//! The nearest other choices, each planned in full, and what to do when memory runs out or is left over.

use serde::Serialize;

use super::{Case, type_name};
use crate::gguf::DType;
use crate::plan::memory::{LoadMode, Request, devices};
use crate::plan::placement::{Granularity, Placement, Task, place};
use crate::units::Bytes;

/// One other choice and what comes of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Alternative {
    pub(super) change: String,
    pub(super) fits: bool,
    /// Blocks whose experts are on each device.
    pub(super) layers: Vec<u32>,
    pub(super) experts_mib: f64,
    pub(super) decode_tps: f64,
    pub(super) prompt_tps: f64,
    /// What is left on each device beyond the margin; less than nothing where it does not fit.
    pub(super) left_mib: Vec<f64>,
    #[serde(skip)]
    #[cfg(feature = "engine")]
    pub(super) placement: Placement,
}

#[cfg(feature = "engine")]
impl Alternative {
    /// Whether it is this plan with one layer more or less on a device.
    pub(super) fn is_neighbour(&self) -> bool {
        self.change.starts_with("one layer")
    }
}

const CONTEXTS: [u64; 4] = [262_144, 196_608, 131_072, 65_536];
const UBATCHES: [u64; 4] = [512, 1024, 2048, 4096];
const MARGINS: [u64; 3] = [512, 1024, 2048];
const TYPES: [DType; 4] = [DType::F16, DType::Q8_0, DType::Q5_0, DType::Q4_0];

pub(super) fn residents(placement: &Placement) -> Vec<u32> {
    placement.slices.iter().map(|slice| slice.resident).collect()
}

pub(super) fn left(placement: &Placement, margin: &[Bytes]) -> Vec<f64> {
    let devices = placement.estimate.devices.iter().enumerate();
    let kept = |i: usize| margin.get(i).or(margin.last()).map_or(0.0, |margin| margin.mib());
    devices.map(|(i, d)| d.free.mib() - d.total().mib() - kept(i)).collect()
}

fn planned(change: String, task: &Task<'_>) -> Option<Alternative> {
    let placement = place(task).ok()?;
    Some(Alternative {
        change,
        fits: placement.fits,
        layers: residents(&placement),
        experts_mib: placement.experts_placed.mib(),
        decode_tps: placement.prediction.decode_tps,
        prompt_tps: placement.prediction.prompt_tps,
        left_mib: left(&placement, task.margin),
        #[cfg(feature = "engine")]
        placement,
    })
}

pub(super) fn all(case: &Case, placement: &Placement) -> Vec<Alternative> {
    let mut found = Vec::new();
    let base = &case.request;
    let moved = residents(placement);
    let has_experts = placement.experts > Bytes::ZERO;
    let with_experts = case.layers_with_experts() as u64;
    for (i, count) in moved.iter().enumerate().filter(|_| has_experts) {
        for (more, other) in
            [("one layer less", count.checked_sub(1)), ("one layer more", Some(count + 1))]
        {
            let Some(other) = other else { continue };
            let mut layers: Vec<Option<u32>> = moved.iter().copied().map(Some).collect();
            if let Some(slot) = layers.get_mut(i) {
                *slot = Some(other);
            }
            // Of layers that are not there none can be moved.
            let asked: u64 = layers.iter().flatten().copied().map(u64::from).sum();
            if asked > with_experts {
                continue;
            }
            let task = Task {
                layers: &layers,
                granularity: Granularity::Layer,
                ..case.task(base, &case.margin)
            };
            let device = placement.slices.get(i).map_or("", |slice| slice.device.as_str());
            found.extend(planned(format!("{more} on {device}"), &task));
        }
    }
    let mut with = |change: String, request: &Request| {
        found.extend(planned(change, &case.task(request, &case.margin)));
    };
    for ctx_size in CONTEXTS {
        if ctx_size != base.ctx_size && ctx_size <= case.model.context_length {
            let request = Request { ctx_size, ..base.clone() };
            with(format!("context {}K", ctx_size / 1024), &request);
        }
    }
    for ty in TYPES {
        if (ty, ty) != (base.cache_type_k, base.cache_type_v) {
            let request = Request { cache_type_k: ty, cache_type_v: ty, ..base.clone() };
            with(format!("{} cache", type_name(ty)), &request);
        }
    }
    for ubatch_size in UBATCHES {
        if ubatch_size != base.ubatch_size {
            let batch_size = base.batch_size.max(ubatch_size);
            let request = Request { batch_size, ubatch_size, ..base.clone() };
            with(format!("ubatch {ubatch_size}"), &request);
        }
    }
    // A driver copies pages of a mapped file before it sends them; pinned memory goes as it is.
    let away = placement.experts_placed < placement.experts;
    if away && base.load_mode == LoadMode::Mmap && base.op_offload {
        let request = Request { load_mode: LoadMode::Copied, ..base.clone() };
        with("load mode none".to_owned(), &request);
    }
    for mib in MARGINS {
        let reserve = |i: usize| case.reserve.get(i).copied().unwrap_or(Bytes::ZERO);
        let count = case.host.gpus.len();
        let margin: Vec<Bytes> = (0..count).map(|i| Bytes::from_mib(mib) + reserve(i)).collect();
        if margin != case.margin {
            found.extend(planned(format!("margin {mib} MiB"), &case.task(base, &margin)));
        }
    }
    found
}

/// What is missing where nothing fits; what to do when a device runs out of memory after all; and what is left over.
pub(super) fn advice(case: &Case, placement: &Placement, others: &[Alternative]) -> Vec<String> {
    let left = left(placement, &case.margin);
    let device = |i: usize| placement.slices.get(i).map_or("", |slice| slice.device.as_str());
    let mut advice = Vec::new();
    if !placement.fits {
        let lacks = left.iter().enumerate().filter(|(_, left)| **left < 0.0);
        let lacks: Vec<String> = lacks
            .map(|(i, left)| format!("{} lacks {:.0} MiB", device(i), -left.floor()))
            .collect();
        let lacks =
            if lacks.is_empty() { "the layers asked for".to_owned() } else { lacks.join(", ") };
        let ways = others.iter().filter(|other| other.fits).map(|other| other.change.as_str());
        let ways = ways.collect::<Vec<_>>().join(", or ");
        let pinned = case.layers.iter().any(Option::is_some);
        let ways = match (ways.is_empty(), pinned) {
            (false, _) => format!("; this fits: {ways}"),
            (true, true) => "; leave the layers to planning (`--layers auto`)".to_owned(),
            (true, false) => "; take a smaller context, cache, batch or model".to_owned(),
        };
        advice.push(format!("does not fit: {lacks}{ways}"));
        return advice;
    }
    let moved = residents(placement);
    if moved.iter().any(|count| *count > 0) {
        let fewer: Vec<String> = moved
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(i, count)| format!("{} on {}", count - 1, device(i)))
            .collect();
        advice.push(format!(
            "out of memory: one layer less on the card that failed ({})",
            fewer.join(", or ")
        ));
    }
    let smaller: Vec<String> = CONTEXTS
        .iter()
        .filter(|context| **context < case.request.ctx_size)
        .take(2)
        .map(|context| format!("{}K", context / 1024))
        .collect();
    if !smaller.is_empty() {
        advice.push(format!("still out of memory: context {}", smaller.join(", then ")));
    }
    if placement.experts_placed < placement.experts {
        let layer = placement.experts.mib() / f64::from(case.model.trunk().max(1));
        let used = devices::used(&case.host.gpus, &case.request);
        for (i, left) in left.iter().enumerate().filter(|(_, left)| **left > layer) {
            let gpu = used.get(i).and_then(|at| case.host.gpus.get(*at));
            let empty = placement.slices.get(i).is_none_or(|slice| slice.count == 0);
            // The notes say why nothing is there.
            if empty && gpu.is_some_and(|gpu| gpu.remote.is_some()) {
                continue;
            }
            advice.push(format!(
                "{} has {left:.0} MiB left over: add layers (one takes {layer:.0} MiB)",
                device(i)
            ));
        }
        let more =
            others.iter().filter(|other| other.change.starts_with("one layer more") && other.fits);
        advice.extend(more.map(|other| format!("{} fits", other.change)));
    }
    advice
}
