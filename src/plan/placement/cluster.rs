//! A model over several machines: which of the ways to use another machine's devices is the fastest, and what this one
//! would do alone.
//!
//! A worker's device gets a run of blocks, which costs a token one round trip; or it gets experts alone, with attention,
//! caches and all that every token touches left here, which costs one for each block. The first is faster where the
//! other machine's memory is fast, the second where it is not and the link is.

use super::judge::{Way, settle as judged};
use super::{Placement, Task};
use crate::hardware::{Gpu, Remote};
use crate::plan::memory::EstimateError;
use crate::plan::speed::{Shape, Wire};
use crate::units::Bytes;

pub(super) fn settle(task: &Task<'_>) -> Result<Placement, EstimateError> {
    let all = all_ways(task)?;
    let mut best = all.into_iter().reduce(|a, b| if better(task, &b, &a) { b } else { a });
    let Some(placement) = &mut best else { return judged(task, Way::default()) };
    let notes = notes(task, placement);
    placement.notes.splice(0..0, notes);
    best.map_or_else(|| judged(task, Way::default()), Ok)
}

fn all_ways(task: &Task<'_>) -> Result<Vec<Placement>, EstimateError> {
    let mut found = Vec::new();
    for sparing in [false, true] {
        // Pinned layers are runs of blocks.
        for guests in [false, true].into_iter().take(if task.layers.is_empty() { 2 } else { 1 }) {
            found.push(judged(task, Way { guests, sparing })?);
        }
        if found.iter().any(|placement| placement.fits && holds(task, placement)) {
            break;
        }
    }
    Ok(found)
}

/// Whether what this machine's processor is left with is in memory.
fn holds(task: &Task<'_>, placement: &Placement) -> bool {
    task.ram.is_none_or(|ram| placement.estimate.host.at_start() <= ram)
}

fn better(task: &Task<'_>, one: &Placement, other: &Placement) -> bool {
    let rank = |placement: &Placement| (placement.fits, holds(task, placement));
    let speed = |placement: &Placement| placement.prediction.decode_tps;
    rank(one) > rank(other) || rank(one) == rank(other) && speed(one) > speed(other)
}

/// How it compares with this machine alone.
fn notes(task: &Task<'_>, placement: &Placement) -> Vec<String> {
    let mut hosts: Vec<&str> =
        placement.crossings.iter().map(|crossing| crossing.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let all = task.gpus.iter().filter_map(|gpu| gpu.remote.as_ref());
    let mut unused: Vec<&Remote> =
        all.filter(|remote| !hosts.contains(&remote.host.as_str())).collect();
    unused.dedup_by(|a, b| a.host == b.host);
    let mut notes: Vec<String> = unused
        .into_iter()
        .map(|remote| {
            let wire = Wire { link: remote.link, shape: Shape::of(task.model) };
            format!(
                "nothing is placed on {}: the way there and back takes a token {:.2} ms at the least, and it would be \
                 slower with it; leave its worker out",
                remote.host,
                wire.seconds(wire.run(1.0)) * 1e3
            )
        })
        .collect();
    if !holds(task, placement) {
        notes.push(format!(
            "the machines cannot hold the model together: {:.0} MiB are left for this host's system memory, and it has \
             {:.0}; take a smaller model, context or cache, or add a worker",
            placement.estimate.host.at_start().mib(),
            task.ram.map_or(0.0, Bytes::mib)
        ));
    }
    if hosts.is_empty() {
        return notes;
    }
    let ours = placement.prediction.decode_tps;
    let wait: f64 = placement.crossings.iter().map(|crossing| crossing.seconds).sum();
    let split = format!(
        "split over hosts: {ours:.1} tokens/s predicted, of each token {:.2} ms on the way to {} and back",
        wait * 1e3,
        hosts.join(", ")
    );
    notes.push(match alone(task) {
        None => split,
        Some((alone, holds)) if alone.fits && holds => {
            let theirs = alone.prediction.decode_tps;
            let word = if theirs > ours { "slower" } else { "faster" };
            format!("{split}; that is {word} than this host alone with {theirs:.1}")
        }
        // Nor can all of them, which is said above.
        Some(_) if !holds(task, placement) => split,
        Some((alone, _)) if alone.fits => format!(
            "{split}; this host alone cannot hold the model: {:.0} MiB of system memory, and it has {:.0}",
            alone.estimate.host.at_start().mib(),
            task.ram.map_or(0.0, Bytes::mib)
        ),
        Some(_) => format!("{split}; alone this host's GPUs cannot hold what every token needs"),
    });
    notes
}

/// The same model on this machine's devices only, and whether its memory holds it. `None` where the user's own rules
/// name other machines' devices.
fn alone(task: &Task<'_>) -> Option<(Placement, bool)> {
    let local = |(_, gpu): &(usize, &Gpu)| gpu.remote.is_none();
    let (places, gpus): (Vec<usize>, Vec<Gpu>) =
        task.gpus.iter().enumerate().filter(local).map(|(at, gpu)| (at, gpu.clone())).unzip();
    let margin: Vec<Bytes> = places.iter().map(|at| task.margin(*at)).collect();
    let request = super::Request { devices: None, ..task.request.clone() };
    let task = Task { gpus: &gpus, margin: &margin, request: &request, layers: &[], ..*task };
    let placement = judged(&task, Way::default()).ok()?;
    let holds = holds(&task, &placement);
    Some((placement, holds))
}
