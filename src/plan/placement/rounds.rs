//! Searches, asks the memory estimate, and searches again with what it learned, until the two agree.
//!
//! What a device takes besides blocks and experts (its compute buffer above all) depends on the placement, but little.
//! So it is taken from the last estimate, and a few estimates are usually enough.

use super::Task;
use super::block::Block;
use super::judge::{Desk, Judged, judge, one_in_flight};
use super::search::{Run, Search, Solution};
use crate::hardware::Gpu;
use crate::plan::memory::EstimateError;

const ROUNDS: u32 = 14;

/// The best placement of one kind, with the number of estimates that it took.
pub(super) fn rounds(
    desk: &Desk<'_>,
    search: &Search<'_>,
    gpus: &[&Gpu],
    known: Option<&Judged>,
) -> Result<(Option<Judged>, u32), EstimateError> {
    let (best, estimates) = agreed(desk, search, gpus, known, true)?;
    let Some(Tried { solution, judged, .. }) = best else { return Ok((None, estimates)) };
    if judged.is_some() {
        return Ok((judged, estimates));
    }
    let judged = judge(desk, search.blocks, search.goal, solution)?;
    if judged.fits {
        return Ok((Some(judged), estimates + 1));
    }
    let (best, more) = agreed(desk, search, gpus, known, false)?;
    Ok((best.and_then(|best| best.judged), estimates + 1 + more))
}

/// A solution and what it takes: by the estimate, or as one of the same traits took by it.
struct Tried {
    solution: Solution,
    /// Bytes per device beyond blocks and experts.
    rest: Vec<u64>,
    /// By how much the worst device is over.
    over: u64,
    judged: Option<Judged>,
}

/// What decides a device's buffers, as far as it shows in a solution. How many blocks there are does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Traits {
    blocks: bool,
    /// Whether whole blocks' experts are on the CPU, before those that stay and behind them.
    away: [bool; 2],
    /// The largest tensors' bytes among those: what is copied to a GPU for a large batch.
    largest: u64,
    /// Which of a block's are here if the others are not, and whether that block comes before the whole ones.
    part: Option<(u8, bool)>,
    spill: bool,
}

/// Nothing where every expert is at home: llama.cpp then keeps several batches in flight, and the size of each counts.
fn traits(blocks: &[Block], solution: &Solution) -> Option<Vec<Traits>> {
    let of = |run: &Run| {
        let whole = |at: usize| {
            let split = run.partial.is_some_and(|(part, _)| part == at);
            !split && blocks.get(at).is_some_and(|block| !block.pieces.is_empty())
        };
        let (from, to) = run.window;
        let (before, behind) = (run.from..from, to..run.to);
        let away = [before.clone().any(whole), behind.clone().any(whole)];
        let gone = before.chain(behind).filter(|at| whole(*at)).filter_map(|at| blocks.get(at));
        Traits {
            blocks: run.from < run.to,
            away,
            largest: gone
                .flat_map(|block| &block.pieces)
                .map(|piece| piece.bytes)
                .max()
                .unwrap_or(0),
            part: run.partial.map(|(at, mask)| (mask, at < from)),
            spill: run.spill.is_some(),
        }
    };
    let all: Vec<Traits> = solution.slices.iter().map(of).collect();
    let away = all.iter().any(|traits| traits.away != [false; 2]);
    (away && solution.start == 0).then_some(all)
}

/// What was learned of placements by their traits.
#[derive(Default)]
struct Learned(Vec<(Vec<Traits>, Vec<u64>)>);

impl Learned {
    fn keep(&mut self, traits: Vec<Traits>, rest: &[u64]) {
        self.0.retain(|(known, _)| *known != traits);
        self.0.push((traits, rest.to_vec()));
    }

    fn rest(&self, traits: &[Traits]) -> Option<Vec<u64>> {
        self.0.iter().find(|(known, _)| known == traits).map(|(_, rest)| rest.clone())
    }
}

/// By how much the worst device is over.
fn over(
    desk: &Desk<'_>,
    search: &Search<'_>,
    gpus: &[&Gpu],
    solution: &Solution,
    rest: &[u64],
) -> u64 {
    let of = |(i, (gpu, rest)): (usize, (&&Gpu, &u64))| {
        let held = solution.bytes(search.blocks, search.goal, i) + rest;
        (held + desk.task.margin(i).0).saturating_sub(gpu.free.0)
    };
    gpus.iter().zip(rest).enumerate().map(of).max().unwrap_or(0)
}

/// With `supposing`, a solution that fits by what is known of its traits is not estimated again; for the best one that
/// is made good later.
fn agreed(
    desk: &Desk<'_>,
    search: &Search<'_>,
    gpus: &[&Gpu],
    known: Option<&Judged>,
    supposing: bool,
) -> Result<(Option<Tried>, u32), EstimateError> {
    let (task, blocks, goal) = (desk.task, search.blocks, search.goal);
    let room = |rest: &[u64]| -> Vec<u64> {
        let left = |(i, gpu): (usize, &&Gpu)| {
            let taken = task.margin(i).0 + rest.get(i).copied().unwrap_or(0);
            gpu.free.0.saturating_sub(taken)
        };
        gpus.iter().enumerate().map(left).collect()
    };
    let mut rest =
        known.map_or_else(|| vec![guess(task, blocks); gpus.len()], |known| known.rest.clone());
    let mut floor: Option<Vec<u64>> = None;
    let (mut fit, mut unfit): (Option<Tried>, Option<Tried>) = (None, None);
    let mut learned = Learned::default();
    let mut tried: Vec<Solution> = Vec::new();
    let mut estimates = 0;
    // How far between what fitted (0) and what did not (1) to look next, once they alternate.
    let mut halving = false;
    let mut halves = [0.5, 0.25, 0.75, 0.125].into_iter();
    for _ in 0..ROUNDS {
        let found = search.best(&room(&rest));
        // Between what fitted and what did not only something better is worth an estimate.
        let better = |solution: &Solution| {
            !halving || fit.as_ref().is_none_or(|best| solution.seconds < best.solution.seconds)
        };
        let new = found.filter(|solution| !tried.contains(solution) && better(solution));
        let Some(solution) = new else {
            // Even with the least that the devices ever asked for there is nothing to win.
            let least = floor.as_ref().and_then(|floor| search.best(&room(floor)));
            if let (Some(least), Some(fit)) = (&least, &fit)
                && fit.solution.seconds <= least.seconds + 1e-9
            {
                break;
            }
            let (Some(low), Some(high), Some(part)) = (&fit, &unfit, halves.next()) else { break };
            rest = mix(&low.rest, &high.rest, part);
            halving = true;
            continue;
        };
        tried.push(solution.clone());
        let traits = traits(blocks, &solution).filter(|_| supposing);
        let supposed = traits.as_ref().and_then(|traits| learned.rest(traits));
        let this = if let Some(rest) = supposed
            && over(desk, search, gpus, &solution, &rest) == 0
        {
            Tried { solution, rest, over: 0, judged: None }
        } else {
            let mut judged = judge(desk, blocks, goal, solution)?;
            estimates += 1;
            if !judged.fits
                && let Some(single) = one_in_flight(desk, blocks, goal, &judged)?
            {
                estimates += 1;
                judged = single;
            }
            if let Some(traits) = traits {
                learned.keep(traits, &judged.rest);
            }
            let (solution, rest) = (judged.solution.clone(), judged.rest.clone());
            Tried { solution, rest, over: judged.over, judged: Some(judged) }
        };
        floor = Some(floor.map_or_else(
            || this.rest.clone(),
            |floor| floor.iter().zip(&this.rest).map(|(a, b)| *a.min(b)).collect(),
        ));
        if this.over == 0 {
            let settled = this.rest == rest;
            rest.clone_from(&this.rest);
            if fit.as_ref().is_none_or(|best| this.solution.seconds < best.solution.seconds) {
                fit = Some(this);
            }
            if settled {
                break;
            }
        } else {
            rest = match &unfit {
                // What keeps failing asks for more each time.
                Some(before) if fit.is_none() => largest(&rest, &largest(&before.rest, &this.rest)),
                _ => this.rest.clone(),
            };
            if unfit.as_ref().is_none_or(|best| this.over <= best.over) {
                unfit = Some(this);
            }
        }
    }
    Ok((fit.or(unfit), estimates))
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
    let experts =
        model.experts.map_or(0, |e| e.used * (2 * e.feed_forward_length + model.embedding_length));
    let streams = batch * (2 * cells + 16 * model.embedding_length + 8 * experts);
    let pieces = blocks.iter().flat_map(|block| &block.pieces);
    let expert = pieces.map(|piece| piece.bytes).max().unwrap_or(0);
    streams + copies.max(expert)
}
