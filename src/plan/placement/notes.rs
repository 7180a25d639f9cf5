//! What a person should know of a placement: what could not move, and why.

use super::block::Block;
use super::search::Solution;
use super::{Placement, Task};
use crate::plan::memory::Override;
use crate::plan::pattern::Matcher;
use crate::units::Bytes;

pub(super) fn notes(
    task: &Task<'_>,
    blocks: &[Block],
    solution: &Solution,
    placement: &Placement,
) -> Vec<String> {
    let mut notes = Vec::new();
    let start = solution.start;
    if start > 0 {
        let count = blocks.len() - 1;
        let which = if start >= count {
            format!("all {count} blocks are")
        } else {
            format!("the first {start} of {count} blocks are")
        };
        notes.push(format!(
            "{which} computed on the CPU: {}",
            if placement.experts == Bytes::ZERO {
                "the model has no routed experts that could be moved alone"
            } else {
                "the GPUs cannot hold the rest even without any expert"
            }
        ));
    }
    if placement.rules.iter().any(|rule| rule.layers.is_empty()) {
        notes.push(
            "the rule on `output_norm` moves nothing; it keeps llama.cpp from reserving buffers for four \
             batches in flight, which would not fit"
                .to_owned(),
        );
    }
    if !task.request.overrides.is_empty() {
        notes.push("tensors that your own rules claim stay where those say".to_owned());
        notes.extend(idle(task));
    }
    if placement.fits {
        notes.extend(left_over(task, blocks, solution, placement));
    } else {
        notes.push("no placement leaves the margin free on every device".to_owned());
    }
    notes
}

/// The user's rules that are found in no tensor's name.
fn idle(task: &Task<'_>) -> impl Iterator<Item = String> {
    let matches = |rule: &Override| {
        let names = task.model.tensors.iter().map(|tensor| tensor.name.as_str());
        Matcher::new(&rule.pattern)
            .is_ok_and(|rule| names.into_iter().any(|name| rule.is_match(name).unwrap_or(false)))
    };
    let none = task.request.overrides.iter().filter(move |rule| !matches(rule));
    none.map(|rule| format!("your rule `{}={}` matches no tensor", rule.pattern, rule.target))
}

/// Why a device has room for experts that are on the CPU: it has those of its own blocks, and cannot take another block.
fn left_over(
    task: &Task<'_>,
    blocks: &[Block],
    solution: &Solution,
    placement: &Placement,
) -> Vec<String> {
    let away = placement.rules.iter().filter(|rule| rule.buffer == "CPU");
    let layers = away.flat_map(|rule| &rule.layers).filter_map(|layer| blocks.get(*layer as usize));
    let pieces = layers.flat_map(|block| &block.pieces).map(|piece| piece.bytes);
    let Some(least) = pieces.min() else { return Vec::new() };
    let devices = placement.estimate.devices.iter().zip(&solution.slices).enumerate();
    let said = devices.filter_map(|(i, (device, run))| {
        let left = device.free.saturating_sub(device.total() + task.margin(i));
        let next = blocks.get(run.to).map(|block| Bytes(block.fixed))?;
        let full = run.window == (run.from, run.to) && run.from < run.to;
        (full && left.0 >= least && next > left).then(|| {
            format!(
                "{} keeps {:.0} MiB: it has all experts of its layers, and one more layer takes {:.0} MiB without any",
                device.name,
                left.mib(),
                next.mib()
            )
        })
    });
    said.collect()
}
