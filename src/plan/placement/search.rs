//! The best cut of the blocks into one run per device, each with the experts that fit: exact for given room.
//!
//! Knows sizes, rooms and seconds only; what takes the rest of a device's memory was subtracted before.

use super::Granularity;
use super::block::Block;
use super::goal::Goal;

/// Above this many blocks times devices, a device's experts begin where its run begins, or end where it ends.
const WINDOWS: usize = 150;

/// What one device gets: blocks, and the experts of some of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Run {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The blocks whose experts are here.
    pub(super) window: (usize, usize),
    /// A further block, and which of its pieces are here.
    pub(super) partial: Option<(usize, u8)>,
    seconds: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Solution {
    /// Blocks before it are on the CPU.
    pub(super) start: usize,
    pub(super) slices: Vec<Run>,
    pub(super) seconds: f64,
}

impl Solution {
    /// Whether the piece of the block is on the device.
    pub(super) fn keeps(&self, device: usize, block: usize, piece: usize) -> bool {
        self.slices.get(device).is_some_and(|run| {
            (run.window.0..run.window.1).contains(&block)
                || run.partial.is_some_and(|(at, mask)| at == block && mask >> piece & 1 == 1)
        })
    }

    /// Bytes on the device, of blocks and experts.
    pub(super) fn bytes(&self, blocks: &[Block], goal: &Goal, device: usize) -> u64 {
        let Some(run) = self.slices.get(device) else { return 0 };
        let partial = run.partial.and_then(|(at, mask)| {
            let pieces = &blocks.get(at)?.pieces;
            let kept = pieces.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
            Some(kept.map(|(_, piece)| piece.bytes).sum::<u64>())
        });
        goal.fixed(run.from, run.to)
            + goal.experts(run.window.0, run.window.1)
            + partial.unwrap_or(0)
    }
}

/// What the search works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    pub(super) blocks: &'a [Block],
    pub(super) goal: &'a Goal,
    pub(super) granularity: Granularity,
    /// Blocks with experts per device, where fixed.
    pub(super) layers: &'a [Option<u32>],
    /// The first device keeps all experts of its blocks: then it needs no room for those of a block that it computes
    /// from system memory.
    pub(super) pure: bool,
}

impl Search<'_> {
    /// The fastest placement within these rooms. Blocks leave the GPUs only where it cannot be otherwise.
    pub(super) fn best(&self, rooms: &[u64]) -> Option<Solution> {
        self.from(rooms, 0..=0).or_else(|| self.from(rooms, 1..=self.blocks.len()))
    }

    fn from(&self, rooms: &[u64], starts: std::ops::RangeInclusive<usize>) -> Option<Solution> {
        let all = self.blocks.len();
        let never = f64::INFINITY;
        let mut costs = vec![never; all + 1];
        for start in starts {
            if let Some(cost) = costs.get_mut(start) {
                *cost = self.goal.prefix(start);
            }
        }
        let mut choices: Vec<Vec<Option<Run>>> = Vec::new();
        for (device, room) in rooms.iter().enumerate() {
            let mut next = vec![never; all + 1];
            let mut runs: Vec<Option<Run>> = vec![None; all + 1];
            for (from, cost) in costs.iter().enumerate().filter(|(_, cost)| cost.is_finite()) {
                for to in from..=all {
                    let Some(run) = self.run(device, from, to, *room) else { break };
                    let total = cost + run.seconds;
                    if let (Some(best), Some(slot)) = (next.get_mut(to), runs.get_mut(to))
                        && total < *best - 1e-12
                    {
                        *best = total;
                        *slot = Some(run);
                    }
                }
            }
            costs = next;
            choices.push(runs);
        }
        let seconds = costs.last().copied().filter(|cost| cost.is_finite())?;
        let mut to = all;
        let mut slices = Vec::new();
        for runs in choices.iter().rev() {
            let run = runs.get(to).cloned().flatten()?;
            to = run.from;
            slices.push(run);
        }
        slices.reverse();
        Some(Solution { start: to, slices, seconds })
    }

    /// The best use of a device for these blocks; `None` where they do not fit, nor more of them.
    fn run(&self, device: usize, from: usize, to: usize, room: u64) -> Option<Run> {
        let pinned = self.layers.get(device).copied().flatten();
        if from == to {
            let run = Run { from, to, window: (from, from), ..Run::default() };
            return Some(Run {
                seconds: if pinned.is_some_and(|n| n > 0) { f64::INFINITY } else { 0.0 },
                ..run
            });
        }
        let room = room.checked_sub(self.goal.fixed(from, to))?;
        let base = self.goal.slice(device, from, to);
        let mut best = Run { from, to, window: (from, from), partial: None, seconds: base };
        if let Some(count) = pinned {
            let end = self.reach(from, to, count);
            let fits = end.is_some_and(|end| self.goal.experts(from, end) <= room);
            let end = end.unwrap_or(from);
            let seconds =
                if fits { base - self.goal.gain(device, from, end) } else { f64::INFINITY };
            return Some(Run { window: (from, end), seconds, ..best });
        }
        if self.pure && device == 0 {
            let all = self.goal.experts(from, to) <= room;
            let gain = self.goal.gain(device, from, to);
            let seconds = if all { base - gain } else { f64::INFINITY };
            return Some(Run { window: (from, to), seconds, ..best });
        }
        let mut consider = |a: usize, b: usize| {
            let left = room - self.goal.experts(a, b);
            let seconds = base - self.goal.gain(device, a, b);
            let mut offer = |partial: Option<(usize, u8)>, seconds: f64| {
                if seconds < best.seconds - 1e-12 {
                    best = Run { from, to, window: (a, b), partial, seconds };
                }
            };
            offer(None, seconds);
            if self.granularity == Granularity::Tensor {
                let before = a.checked_sub(1).filter(|at| *at >= from);
                for at in [Some(b).filter(|at| *at < to), before].into_iter().flatten() {
                    let pieces = self.blocks.get(at).map(|block| block.pieces.as_slice());
                    let kept = self.goal.partial(pieces.unwrap_or_default(), device, left);
                    if let Some((mask, _, gain)) = kept {
                        offer(Some((at, mask)), seconds - gain);
                    }
                }
            }
        };
        let sums = self.goal.experts.get(..=to).unwrap_or_default();
        let sum = |i: usize| sums.get(i).copied().unwrap_or(0);
        let end_of = |a: usize| sums.partition_point(|s| *s <= sum(a) + room).saturating_sub(1);
        if self.blocks.len() * self.layers.len().max(self.goal.rates.gpus.len()) <= WINDOWS {
            let mut last = 0;
            for a in from..to {
                let b = end_of(a).clamp(a, to);
                // A window inside of the one before is no better.
                if b > last || a == from {
                    consider(a, b);
                }
                last = b;
            }
        } else {
            consider(from, end_of(from).clamp(from, to));
            let least = sum(to).saturating_sub(room);
            consider(sums.partition_point(|s| *s < least).clamp(from, to), to);
        }
        Some(best)
    }

    /// Behind the block with which so many blocks with experts are reached.
    fn reach(&self, from: usize, to: usize, count: u32) -> Option<usize> {
        let mut left = count;
        let mut at = from;
        while left > 0 {
            if at >= to {
                return None;
            }
            left -= u32::from(self.blocks.get(at).is_some_and(|block| !block.pieces.is_empty()));
            at += 1;
        }
        Some(at)
    }
}
