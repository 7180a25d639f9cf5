//! The best cut of the blocks into one run per device, each with the experts that fit: exact for given room.
//!
//! Knows sizes, rooms and seconds only; what takes the rest of a device's memory was subtracted before.

use super::Granularity;
use super::block::Block;
use super::goal::Goal;
use crate::plan::speed::CONSTANTS;

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
    /// Pieces of the last block that lie on the next device, and their bytes.
    pub(super) spill: Option<(usize, u8, u64)>,
    seconds: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Solution {
    /// Blocks before it are on the CPU.
    pub(super) start: usize,
    pub(super) slices: Vec<Run>,
    /// Blocks whose experts are on another machine's device, which has nothing else of them: block and device.
    pub(super) guests: Vec<(usize, usize)>,
    pub(super) seconds: f64,
}

impl Solution {
    /// The device that has a block's experts and nothing else of it.
    pub(super) fn guest(&self, block: usize) -> Option<usize> {
        self.guests.iter().find(|(at, _)| *at == block).map(|(_, device)| *device)
    }

    /// Whether the piece of the block is on the device.
    pub(super) fn keeps(&self, device: usize, block: usize, piece: usize) -> bool {
        self.slices.get(device).is_some_and(|run| {
            (run.window.0..run.window.1).contains(&block)
                || run.partial.is_some_and(|(at, mask)| at == block && mask >> piece & 1 == 1)
        })
    }

    /// The device on which the piece of a device's block lies; none is the CPU.
    pub(super) fn home(&self, device: usize, block: usize, piece: usize) -> Option<usize> {
        if let Some(guest) = self.guest(block) {
            return Some(guest);
        }
        let spill = self.slices.get(device).and_then(|run| run.spill);
        match spill {
            Some((at, mask, _)) if at == block && mask >> piece & 1 == 1 => Some(device + 1),
            _ => self.keeps(device, block, piece).then_some(device),
        }
    }

    /// Bytes on the device, of blocks and experts.
    pub(super) fn bytes(&self, blocks: &[Block], goal: &Goal, device: usize) -> u64 {
        let Some(run) = self.slices.get(device) else { return 0 };
        let partial = run.partial.and_then(|(at, mask)| {
            let pieces = &blocks.get(at)?.pieces;
            let kept = pieces.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
            Some(kept.map(|(_, piece)| piece.bytes).sum::<u64>())
        });
        let spilled = |device: usize| {
            self.slices.get(device).and_then(|run| run.spill).map_or(0, |(_, _, bytes)| bytes)
        };
        let received = device.checked_sub(1).map_or(0, spilled);
        let guests = self.guests.iter().filter(|(_, at)| *at == device);
        let held = goal.fixed(run.from, run.to)
            + goal.experts(run.window.0, run.window.1)
            + guests.map(|(block, _)| goal.experts(*block, block + 1)).sum::<u64>()
            + partial.unwrap_or(0);
        // What lies on the next device is a part of the experts held, so it is taken off last.
        (held + received).saturating_sub(spilled(device))
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
    pub(super) shape: Shape,
    /// Other machines' devices hold experts of blocks that are computed here, and no blocks.
    pub(super) guests: bool,
}

/// What kinds of placements are looked at. Buffers depend on the kind, so each is searched with its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Any,
    /// On every device the first blocks keep their experts.
    Front,
    /// The first device of this machine keeps all experts of its blocks, but for what the next one takes: then it needs no room for
    /// those of a block that it computes from system memory.
    Pure,
}

impl Search<'_> {
    /// The fastest placement within these rooms. Blocks leave the GPUs only where it cannot be otherwise.
    pub(super) fn best(&self, rooms: &[u64]) -> Option<Solution> {
        let rates = &self.goal.rates;
        if self.guests {
            let own = |(i, room): (usize, &u64)| if rates.wire(i).is_some() { 0 } else { *room };
            let own: Vec<u64> = rooms.iter().enumerate().map(own).collect();
            return self.own(&own).map(|solution| self.invite(rooms, solution));
        }
        self.own(rooms)
    }

    fn own(&self, rooms: &[u64]) -> Option<Solution> {
        // Without a GPU of its own a machine may compute all of it as well as any part.
        if self.goal.rates.first_local().is_none() {
            return self.from(rooms, 0..=self.blocks.len());
        }
        self.from(rooms, 0..=0).or_else(|| self.from(rooms, 1..=self.blocks.len()))
    }

    /// Gives what the CPU would compute of the experts to other machines' devices, as far as it is faster there.
    fn invite(&self, rooms: &[u64], mut solution: Solution) -> Solution {
        for (device, room) in rooms.iter().enumerate() {
            let mut room = *room;
            for block in solution.start..self.blocks.len() {
                let pieces = self.blocks.get(block).map_or(0, |block| block.pieces.len());
                let owner =
                    solution.slices.iter().position(|run| (run.from..run.to).contains(&block));
                let Some(owner) = owner.filter(|_| pieces > 0) else { continue };
                let here = (0..pieces).any(|i| solution.home(owner, block, i).is_some());
                let gain = self.goal.guest_gain(device, block);
                let bytes = self.goal.experts(block, block + 1);
                if !here && gain > 0.0 && bytes <= room {
                    room -= bytes;
                    solution.seconds -= gain;
                    solution.guests.push((block, device));
                }
            }
        }
        solution
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
                let spilled = choices.last().and_then(|runs: &Vec<Option<Run>>| {
                    runs.get(from)?.as_ref()?.spill.map(|(_, _, bytes)| bytes)
                });
                let Some(room) = room.checked_sub(spilled.unwrap_or(0)) else { continue };
                let least = if spilled.is_some() { from + 1 } else { from };
                // The last device has to take all that is left.
                let least = if device + 1 == rooms.len() { all.max(least) } else { least };
                for to in least..=all {
                    let Some(run) = self.run(device, from, to, room) else { break };
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
        Some(Solution { start: to, slices, guests: Vec::new(), seconds })
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
        let mut best = Run { from, to, window: (from, from), seconds: base, ..Run::default() };
        if let Some(count) = pinned {
            let Some(end) = self.reach(from, to, count) else {
                return Some(Run { seconds: f64::INFINITY, ..best });
            };
            // What was asked for is shown even where it does not fit, as the one that is least over.
            let over = self.goal.experts(from, end).saturating_sub(room) as f64;
            let seconds = base - self.goal.gain(device, from, end) + over;
            return Some(Run { window: (from, end), seconds, ..best });
        }
        if self.shape == Shape::Pure && Some(device) == self.goal.rates.first_local() {
            let whole = self.goal.experts(from, to) <= room;
            let spill = if whole { None } else { self.spill(device, from, to, room) };
            let gain = self.goal.gain(device, from, to);
            let seconds = match spill {
                None if !whole => f64::INFINITY,
                None => base - gain,
                Some(_) => base - gain + 2.0 * CONSTANTS.hop_seconds,
            };
            return Some(Run { window: (from, to), spill, seconds, ..best });
        }
        let most = self.goal.most(device);
        let mut consider = |a: usize, b: usize| {
            let left = room - self.goal.experts(a, b);
            let seconds = base - self.goal.gain(device, a, b);
            if seconds < best.seconds - 1e-12 {
                best = Run { from, to, window: (a, b), seconds, ..Run::default() };
            }
            if self.granularity == Granularity::Tensor && seconds - most < best.seconds - 1e-12 {
                let before = a.checked_sub(1).filter(|at| *at >= from && self.shape == Shape::Any);
                for at in [Some(b).filter(|at| *at < to), before].into_iter().flatten() {
                    if let Some((mask, _, gain)) = self.goal.partial(device, at, left) {
                        let seconds = seconds - gain;
                        if seconds < best.seconds - 1e-12 {
                            let partial = Some((at, mask));
                            best = Run { from, to, window: (a, b), partial, spill: None, seconds };
                        }
                    }
                }
            }
        };
        let sums = self.goal.experts.get(..=to).unwrap_or_default();
        let sum = |i: usize| sums.get(i).copied().unwrap_or(0);
        let end_of = |a: usize| sums.partition_point(|s| *s <= sum(a) + room).saturating_sub(1);
        if self.shape == Shape::Front {
            consider(from, end_of(from).clamp(from, to));
        } else if self.blocks.len() * self.layers.len().max(self.goal.rates.gpus.len()) <= WINDOWS {
            let mut end = from;
            for a in from..to {
                let before = end;
                end = end.max(a);
                while end < to && sum(end + 1) <= sum(a) + room {
                    end += 1;
                }
                // A window inside of the one before is no better.
                if end > before || a == from {
                    consider(a, end);
                }
                if end == to {
                    break;
                }
            }
        } else {
            consider(from, end_of(from).clamp(from, to));
            let least = sum(to).saturating_sub(room);
            consider(sums.partition_point(|s| *s < least).clamp(from, to), to);
        }
        Some(best)
    }

    /// What of the run's last block has to lie on the next device, if the rest fits here.
    fn spill(&self, device: usize, from: usize, to: usize, room: u64) -> Option<(usize, u8, u64)> {
        let last = to.checked_sub(1).filter(|_| self.granularity == Granularity::Tensor)?;
        let block = self.blocks.get(last).filter(|block| !block.pieces.is_empty())?;
        let left = room.checked_sub(self.goal.experts(from, last))?;
        let (kept, bytes, _) = self.goal.partial(device, last, left).unwrap_or_default();
        let all = (1_u8 << block.pieces.len().min(7)) - 1;
        Some((last, all & !kept, block.experts() - bytes))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block::{Block, Piece};
    use super::{Granularity, Search, Shape};
    use crate::plan::placement::goal::Goal;
    use crate::plan::speed::{CONSTANTS, Rates};

    fn block(fixed: u64, sizes: [u64; 3]) -> Block {
        let kinds = ["gate", "up", "down"];
        let piece = |(kind, bytes): (&'static str, u64)| Piece {
            kind,
            bytes: bytes << 20,
            read: bytes as f64 * 2e4,
            tensors: Vec::new(),
        };
        let sizes = kinds.into_iter().zip(sizes).filter(|(_, bytes)| *bytes > 0);
        Block {
            fixed: fixed << 20,
            read: fixed as f64 * 1e6,
            pieces: sizes.map(piece).collect(),
            pinned_read: 0.0,
            pinned: 0,
            recurrent: false,
        }
    }

    /// Every cut into runs, and for every run every range of blocks whose experts stay.
    fn exhaustive(goal: &Goal, rooms: &[u64], blocks: usize) -> f64 {
        fn rest(goal: &Goal, rooms: &[u64], device: usize, from: usize, blocks: usize) -> f64 {
            let Some(room) = rooms.get(device) else {
                return if from == blocks { 0.0 } else { f64::INFINITY };
            };
            let mut best = f64::INFINITY;
            for to in from..=blocks {
                let Some(room) = room.checked_sub(goal.fixed(from, to)) else { break };
                let mut here = if from == to { 0.0 } else { goal.slice(device, from, to) };
                let mut gain = 0.0_f64;
                for a in from..to {
                    for b in a..=to {
                        if goal.experts(a, b) <= room {
                            gain = gain.max(goal.gain(device, a, b));
                        }
                    }
                }
                here -= gain;
                best = best.min(here + rest(goal, rooms, device + 1, to, blocks));
            }
            best
        }
        rest(goal, rooms, 0, 0, blocks)
    }

    proptest! {
        #[test]
        fn nothing_is_faster_than_what_it_finds(
            blocks in proptest::collection::vec((1_u64..60, [0_u64..90, 1..90, 1..90]), 2..9),
            rooms in proptest::collection::vec(40_u64..900, 1..4),
            slow in 1_u32..4,
        ) {
            let mut blocks: Vec<Block> = blocks.into_iter().map(|(fixed, s)| block(fixed, s)).collect();
            blocks.push(block(30, [0, 0, 0]));
            let rooms: Vec<u64> = rooms.into_iter().map(|mib| mib << 20).collect();
            let rates = (0..rooms.len()).map(|i| 4e11 + 3e11 * ((i * slow as usize) % 3) as f64);
            let wires = vec![None; rooms.len()];
            let goal = Goal::new(&blocks, Rates { gpus: rates.collect(), cpu: 4e10, memory: 5e10, wires, costs: CONSTANTS.speed });
            let find = |granularity| {
                let search = Search { blocks: &blocks, goal: &goal, granularity, layers: &[], shape: Shape::Any, guests: false };
                search.from(&rooms, 0..=0).map_or(f64::INFINITY, |found| found.seconds)
            };
            let (layer, best) = (find(Granularity::Layer), exhaustive(&goal, &rooms, blocks.len()));
            prop_assert!(layer <= best * 1.005 || (layer, best) == (f64::INFINITY, f64::INFINITY));
            // Of two that differ by a rounding either may be taken.
            prop_assert!(find(Granularity::Tensor) <= layer * (1.0 + 1e-9));
        }
    }
}
