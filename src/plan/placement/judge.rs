//! Searches, asks the memory estimate, and searches again with what it learned, until the two agree.
//!
//! What a device takes besides blocks and experts (its compute buffer above all) depends on the placement, but little.
//! So it is taken from the last estimate, and two or three estimates are usually enough.

use super::block::{Block, blocks};
use super::goal::Goal;
use super::rules;
use super::search::{Search, Solution};
use super::{Placement, Task};
use crate::plan::memory::{Estimate, EstimateError, Override, Request, estimate};
use crate::plan::speed::{self, Rates};
use crate::units::Bytes;

const ROUNDS: u32 = 14;

struct Judged {
    solution: Solution,
    request: Request,
    split: Vec<u32>,
    rules: Vec<rules::Rule>,
    estimate: Estimate,
    fits: bool,
    /// Bytes per device beyond blocks and experts.
    rest: Vec<u64>,
    /// By how much the worst device is over.
    over: u64,
}

pub(super) fn settle(task: &Task<'_>) -> Result<Placement, EstimateError> {
    let blocks = blocks(task.model, task.request)?;
    let used = task.used();
    let gpus: Vec<&crate::hardware::Gpu> = used.iter().filter_map(|i| task.gpus.get(*i)).collect();
    let goal = Goal::new(&blocks, Rates::new(&gpus, task.ram_gbs));
    let search =
        Search { blocks: &blocks, goal: &goal, granularity: task.granularity, layers: task.layers };
    let room = |rest: &[u64]| -> Vec<u64> {
        let left = |(i, gpu): (usize, &&crate::hardware::Gpu)| {
            let taken = task.margin(i).0 + rest.get(i).copied().unwrap_or(0);
            gpu.free.0.saturating_sub(taken)
        };
        gpus.iter().enumerate().map(left).collect()
    };
    let mut rest = vec![guess(task, &blocks); gpus.len()];
    let (mut fit, mut unfit): (Option<Judged>, Option<Judged>) = (None, None);
    let mut tried: Vec<Solution> = Vec::new();
    let mut estimates = 0;
    // How far between what fitted (0) and what did not (1) to look next, once they alternate.
    let mut halves = [0.5, 0.25, 0.75, 0.125, 0.875, 0.0625].into_iter();
    for _ in 0..ROUNDS {
        let found = search.best(&room(&rest));
        let new = found.filter(|solution| !tried.contains(solution));
        let Some(solution) = new else {
            let (Some(low), Some(high), Some(part)) = (&fit, &unfit, halves.next()) else { break };
            rest = mix(&low.rest, &high.rest, part);
            continue;
        };
        tried.push(solution.clone());
        let mut judged = judge(task, &blocks, &goal, solution)?;
        estimates += 1;
        if !judged.fits && let Some(single) = one_in_flight(task, &blocks, &goal, &judged)? {
            estimates += 1;
            judged = single;
        }
        if judged.fits {
            let settled = judged.rest == rest;
            rest.clone_from(&judged.rest);
            if fit.as_ref().is_none_or(|best| judged.solution.seconds < best.solution.seconds) {
                fit = Some(judged);
            }
            if settled {
                break;
            }
        } else {
            rest = match &unfit {
                // What keeps failing asks for more each time.
                Some(before) if fit.is_none() => largest(&rest, &largest(&before.rest, &judged.rest)),
                _ => judged.rest.clone(),
            };
            if unfit.as_ref().is_none_or(|best| judged.over <= best.over) {
                unfit = Some(judged);
            }
        }
    }
    let Some(judged) = fit.or(unfit) else {
        // Not even an empty GPU has room for a pin; show what was asked for on no GPU at all.
        let none = Solution { start: blocks.len(), slices: Vec::new(), seconds: f64::INFINITY };
        let judged = judge(task, &blocks, &goal, none)?;
        return Ok(finish(task, &blocks, &goal, judged, estimates + 1));
    };
    Ok(finish(task, &blocks, &goal, judged, estimates))
}

fn judge(
    task: &Task<'_>,
    blocks: &[Block],
    goal: &Goal,
    solution: Solution,
) -> Result<Judged, EstimateError> {
    let (request, split, rules) = rules::request(task, blocks, &solution);
    weigh(task, blocks, goal, solution, request, split, rules)
}

fn weigh(
    task: &Task<'_>,
    blocks: &[Block],
    goal: &Goal,
    solution: Solution,
    request: Request,
    split: Vec<u32>,
    rules: Vec<rules::Rule>,
) -> Result<Judged, EstimateError> {
    let estimate = estimate(task.model, task.gpus, &request)?;
    let mut over = 0;
    let mut rest = Vec::new();
    for (i, device) in estimate.devices.iter().enumerate() {
        let total = device.total().0;
        over = over.max((total + task.margin(i).0).saturating_sub(device.free.0));
        rest.push(total.saturating_sub(solution.bytes(blocks, goal, i)));
    }
    Ok(Judged { solution, request, split, rules, estimate, fits: over == 0, rest, over })
}

/// With everything on several GPUs llama.cpp keeps four batches in flight, and four copies of some buffers. Any rule
/// prevents that; this one moves nothing. `None` where it does not help.
fn one_in_flight(
    task: &Task<'_>,
    blocks: &[Block],
    goal: &Goal,
    judged: &Judged,
) -> Result<Option<Judged>, EstimateError> {
    let devices = judged.split.iter().filter(|count| **count > 0).count();
    if devices < 2 || judged.solution.start > 0 || !judged.request.overrides.is_empty() {
        return Ok(None);
    }
    let names = &judged.estimate.devices;
    let last = judged.split.iter().zip(names).rev().find(|(count, _)| **count > 0);
    let Some((_, device)) = last else { return Ok(None) };
    let pattern = r"^output_norm\.weight".to_owned();
    let mut request = judged.request.clone();
    request.overrides.push(Override { pattern: pattern.clone(), target: device.name.clone() });
    let rule = rules::Rule {
        pattern,
        buffer: device.name.clone(),
        layers: Vec::new(),
        bytes: Bytes::ZERO,
    };
    let solution = judged.solution.clone();
    let single = weigh(task, blocks, goal, solution, request, judged.split.clone(), vec![rule])?;
    Ok(Some(single).filter(|single| single.fits))
}

fn mix(low: &[u64], high: &[u64], part: f64) -> Vec<u64> {
    let between = |(low, high): (&u64, &u64)| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
        let mixed = (*low as f64 * (1.0 - part) + *high as f64 * part) as u64;
        mixed
    };
    low.iter().zip(high).map(between).collect()
}

fn largest(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| *a.max(b)).collect()
}

/// A first idea of the compute buffer, so that the first estimate is asked about the right kind of placement.
fn guess(task: &Task<'_>, blocks: &[Block]) -> u64 {
    let (model, request) = (task.model, task.request);
    let context = if request.ctx_size == 0 { model.context_length } else { request.ctx_size };
    let (slots, shared) = request.slots();
    let cells = if shared { context } else { context / slots.max(1) };
    let batch = request.ubatch_size.min(request.batch_size).min(cells.max(1));
    let widest = model.layers.iter().filter_map(|layer| layer.cache);
    let width = widest.map(|cache| cache.key + cache.value).max().unwrap_or(0);
    let copies = if request.cache_type_k.is_quantized() { 2 * cells * width } else { 0 };
    let experts = model.experts.map_or(0, |e| e.used * (2 * e.feed_forward_length + model.embedding_length));
    let streams = batch * (2 * cells + 16 * model.embedding_length + 8 * experts);
    let pieces = blocks.iter().flat_map(|block| &block.pieces);
    let expert = pieces.map(|piece| piece.bytes).max().unwrap_or(0);
    streams + copies.max(expert)
}

fn finish(
    task: &Task<'_>,
    blocks: &[Block],
    goal: &Goal,
    judged: Judged,
    estimates: u32,
) -> Placement {
    let traffic = goal.traffic(blocks, &judged.solution);
    let assumed = task.ram_gbs.is_none() || task.gpus.iter().any(|gpu| gpu.bandwidth_gbs.is_none());
    let names: Vec<String> = judged.estimate.devices.iter().map(|d| d.name.clone()).collect();
    let experts: u64 = blocks.iter().map(Block::experts).sum();
    let away: u64 = judged.rules.iter().map(|rule| rule.bytes.0).sum();
    let before: u64 = blocks.iter().take(judged.solution.start).map(Block::experts).sum();
    let mut placement = Placement {
        tensor_split: judged.split,
        slices: rules::slices(blocks, &judged.solution, &names),
        fits: judged.fits,
        prediction: speed::predict(&goal.rates, &traffic, task.request.ubatch_size, assumed),
        experts_placed: Bytes(experts.saturating_sub(away + before)),
        experts: Bytes(experts),
        notes: Vec::new(),
        request: judged.request,
        rules: judged.rules,
        estimate: judged.estimate,
        estimates,
    };
    placement.notes = notes(task, blocks, judged.solution.start, &placement);
    placement
}

fn notes(task: &Task<'_>, blocks: &[Block], start: usize, placement: &Placement) -> Vec<String> {
    let mut notes = Vec::new();
    if start > 0 {
        notes.push(format!(
            "the first {start} of {} blocks are computed on the CPU: {}",
            blocks.len() - 1,
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
    }
    if !placement.fits {
        notes.push("no placement leaves the margin free on every device".to_owned());
    }
    notes
}
