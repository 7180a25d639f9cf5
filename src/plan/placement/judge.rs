//! Settles on a placement: solutions of the search, weighed by the memory estimate, which has the last word.

use std::cmp::Reverse;

use super::block::{Block, blocks};
use super::goal::Goal;
use super::notes::notes;
use super::rounds::rounds;
use super::rules;
use super::search::{Search, Shape, Solution};
use super::{Placement, Task};
use crate::hardware::Gpu;
use crate::plan::memory::{
    Estimate, EstimateError, Override, Prepared, Request, Spot, Trial, estimate,
};
use crate::plan::pattern::Matcher;
use crate::plan::speed::{self, Rates};
use crate::units::Bytes;

/// What stays the same for all placements of one task.
pub(super) struct Desk<'a> {
    pub(super) task: &'a Task<'a>,
    prepared: &'a Prepared<'a>,
    /// Tensors that the user's rules claim, and where those put them.
    claimed: Vec<(usize, Option<Spot>)>,
}

fn claimed(
    task: &Task<'_>,
    prepared: &Prepared<'_>,
) -> Result<Vec<(usize, Option<Spot>)>, EstimateError> {
    let mut rules = Vec::new();
    for rule in &task.request.overrides {
        rules.push(
            Matcher::new(&rule.pattern)
                .map_err(|_| EstimateError::Pattern { pattern: rule.pattern.clone() })?,
        );
    }
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let requested = prepared.requested()?;
    let found = |name: &str| rules.iter().any(|rule| rule.is_match(name).unwrap_or(false));
    let tensors = task.model.tensors.iter().zip(requested.tensors).enumerate();
    Ok(tensors
        .filter(|(_, (tensor, _))| found(&tensor.name))
        .map(|(index, (_, spot))| (index, spot))
        .collect())
}

impl Desk<'_> {
    /// The solution with every block on a GPU, as the estimate takes it.
    fn trial(
        &self,
        blocks: &[Block],
        solution: &Solution,
        split: &[u32],
        request: &Request,
    ) -> Trial {
        let mut trial = self.prepared.by_counts(split);
        for (device, run) in solution.slices.iter().enumerate() {
            for at in run.from..run.to {
                let pieces = blocks.get(at).map(|block| block.pieces.as_slice());
                for (i, piece) in pieces.unwrap_or_default().iter().enumerate() {
                    let spot = match solution.home(device, at, i) {
                        Some(home) if home == device => continue,
                        Some(home) => Spot::Gpu(u8::try_from(home).unwrap_or(u8::MAX)),
                        None => Spot::Host,
                    };
                    for tensor in &piece.tensors {
                        if let Some(slot) = trial.tensors.get_mut(*tensor) {
                            *slot = Some(spot);
                        }
                    }
                }
            }
        }
        for (tensor, claimed) in &self.claimed {
            if let Some(spot) = trial.tensors.get_mut(*tensor) {
                *spot = *claimed;
            }
        }
        trial.overridden = !request.overrides.is_empty();
        trial
    }
}

pub(super) struct Judged {
    pub(super) solution: Solution,
    request: Request,
    split: Vec<u32>,
    rules: Vec<rules::Rule>,
    estimate: Estimate,
    pub(super) fits: bool,
    /// Bytes per device beyond blocks and experts.
    pub(super) rest: Vec<u64>,
    /// By how much the worst device is over.
    pub(super) over: u64,
}

/// How other machines' devices are used, where there are some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    /// They hold experts alone.
    pub(super) guests: bool,
    /// As little as can be is left to this machine's processor, whatever it costs.
    pub(super) sparing: bool,
}

/// How much slower the processor is made to look where it is to be spared.
const SPARING: f64 = 1e4;

pub(super) fn settle(task: &Task<'_>, way: Way) -> Result<Placement, EstimateError> {
    let prepared = Prepared::new(task.model, task.gpus, task.request)?;
    let blocks = blocks(task.model, task.request, &prepared)?;
    let desk = Desk { task, prepared: &prepared, claimed: claimed(task, &prepared)? };
    let used = task.used();
    let gpus: Vec<&Gpu> = used.iter().filter_map(|i| task.gpus.get(*i)).collect();
    let rates = Rates::new(
        &gpus,
        task.system.on(task.request.threads),
        speed::Shape::of(task.model),
        task.costs(),
    );
    let sought =
        Rates { cpu: if way.sparing { rates.cpu / SPARING } else { rates.cpu }, ..rates.clone() };
    let (goal, sought) = (Goal::new(&blocks, rates), Goal::new(&blocks, sought));
    let mut search = Search {
        blocks: &blocks,
        goal: &sought,
        guests: way.guests,
        granularity: task.granularity,
        layers: task.layers,
        shape: Shape::Any,
    };
    let (best, mut estimates) = rounds(&desk, &search, &gpus, None)?;
    let Some(best) = best else {
        // Not even an empty GPU has room for a pin; show what was asked for on no GPU at all.
        let none = Solution {
            start: blocks.len(),
            slices: Vec::new(),
            guests: Vec::new(),
            seconds: f64::INFINITY,
        };
        let mut judged = judge(&desk, &blocks, &goal, none)?;
        judged.fits &= task.layers.iter().all(Option::is_none);
        return Ok(finish(task, &blocks, &goal, judged, estimates + 1));
    };
    let away = best.rules.iter().any(|rule| !rule.layers.is_empty());
    let mut found = vec![best];
    let free = task.layers.iter().all(Option::is_none);
    if let (true, Some(best)) = (away && free, found.first()) {
        let inside = best.solution.slices.iter().any(|run| run.window.0 > run.from);
        let first = goal.rates.first_local().and_then(|at| best.solution.slices.get(at));
        let mixed = first.is_some_and(|run| run.window != (run.from, run.to));
        let shapes = [
            Some(Shape::Front).filter(|_| inside),
            Some(Shape::Pure).filter(|_| mixed && gpus.len() > 1),
        ];
        let mut others = Vec::new();
        for shape in shapes.into_iter().flatten() {
            search.shape = shape;
            let (other, more) = rounds(&desk, &search, &gpus, Some(best))?;
            estimates += more;
            others.extend(other.filter(|other| other.fits));
        }
        found.extend(others);
    }
    Ok(finish(task, &blocks, &goal, fullest(task, &blocks, found), estimates))
}

/// Times that are closer than this the prediction does not tell apart: it is off by more.
const ALIKE: f64 = 1.01;

/// Of those that fit and are about as fast as the fastest, the one with the most weights on GPUs: that is known, the times
/// are predicted. One that leaves a device room for another tensor comes behind. The first, where none fits.
fn fullest(task: &Task<'_>, blocks: &[Block], mut found: Vec<Judged>) -> Judged {
    let fits = found.iter().filter(|judged| judged.fits);
    let alike = fits.map(|one| one.solution.seconds).fold(f64::INFINITY, f64::min) * ALIKE;
    let least = blocks.iter().flat_map(|block| &block.pieces).map(|piece| piece.bytes).min();
    let idle = |judged: &Judged| {
        let devices = judged.estimate.devices.iter().enumerate();
        let left = devices.map(|(i, d)| d.free.saturating_sub(d.total() + task.margin(i)));
        left.filter(|left| left.0 >= least.unwrap_or(u64::MAX)).count()
    };
    let weights = |judged: &Judged| -> u64 {
        judged.estimate.devices.iter().map(|device| device.model.0).sum()
    };
    let all = found.iter().enumerate();
    let good = all.filter(|(_, one)| one.fits && one.solution.seconds <= alike);
    // Of equals the first: the simplest kind of placement.
    let best = good.max_by_key(|(at, one)| (Reverse(idle(one)), weights(one), Reverse(*at)));
    let at = best.map_or(0, |(at, _)| at);
    found.swap_remove(at)
}

pub(super) fn judge(
    desk: &Desk<'_>,
    blocks: &[Block],
    goal: &Goal,
    solution: Solution,
) -> Result<Judged, EstimateError> {
    let (request, split, rules) = rules::request(desk.task, blocks, &solution);
    weigh(desk, blocks, goal, solution, request, split, rules)
}

fn weigh(
    desk: &Desk<'_>,
    blocks: &[Block],
    goal: &Goal,
    solution: Solution,
    request: Request,
    split: Vec<u32>,
    rules: Vec<rules::Rule>,
) -> Result<Judged, EstimateError> {
    let task = desk.task;
    let estimate = if solution.start == 0 && split.iter().any(|count| *count > 0) {
        desk.prepared.estimate(&desk.trial(blocks, &solution, &split, &request))?
    } else {
        estimate(task.model, task.gpus, &request)?
    };
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
pub(super) fn one_in_flight(
    desk: &Desk<'_>,
    blocks: &[Block],
    goal: &Goal,
    judged: &Judged,
) -> Result<Option<Judged>, EstimateError> {
    let devices = judged.split.iter().filter(|count| **count > 0).count();
    let names = &judged.estimate.devices;
    if names.len() < 2
        || devices == 0
        || judged.solution.start > 0
        || !judged.request.overrides.is_empty()
    {
        return Ok(None);
    }
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
    let single = weigh(desk, blocks, goal, solution, request, judged.split.clone(), vec![rule])?;
    Ok(Some(single).filter(|single| single.fits))
}

fn finish(
    task: &Task<'_>,
    blocks: &[Block],
    goal: &Goal,
    judged: Judged,
    estimates: u32,
) -> Placement {
    let hosts = task.used().into_iter().filter_map(|at| task.gpus.get(at));
    let hosts = hosts.map(|gpu| gpu.remote.as_ref().map(|remote| remote.host.clone()));
    let devices = hosts.map(Option::unwrap_or_default).zip(task.buffers()).collect::<Vec<_>>();
    let traffic = goal.traffic(blocks, &judged.solution, &devices);
    let assumed =
        task.system.ram_gbs.is_none() || task.gpus.iter().any(|gpu| gpu.bandwidth_gbs.is_none());
    let names: Vec<String> = judged.estimate.devices.iter().map(|d| d.name.clone()).collect();
    let experts: u64 = blocks.iter().map(Block::experts).sum();
    let to_cpu = |rule: &&rules::Rule| rule.buffer == "CPU";
    let away: u64 = judged.rules.iter().filter(to_cpu).map(|rule| rule.bytes.0).sum();
    let before: u64 = blocks.iter().take(judged.solution.start).map(Block::experts).sum();
    let mut placement = Placement {
        tensor_split: judged.split,
        slices: rules::slices(blocks, &judged.solution, &names),
        fits: judged.fits,
        prediction: speed::predict(&goal.rates, &traffic, task.request, assumed),
        crossings: traffic.crossings,
        experts_placed: Bytes(experts.saturating_sub(away + before)),
        experts: Bytes(experts),
        notes: Vec::new(),
        request: judged.request,
        rules: judged.rules,
        estimate: judged.estimate,
        estimates,
    };
    placement.notes = notes(task, blocks, &judged.solution, &placement);
    placement
}
