//! What a placement costs: seconds per token, as prefix sums over the blocks.

use super::block::{Block, Piece};
use super::search::{Run, Solution};
use crate::plan::speed::{CONSTANTS, Load, Rates, Traffic, Wire};

/// Sums over the blocks before each index.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    pub(super) rates: Rates,
    pub(super) fixed: Vec<u64>,
    pub(super) experts: Vec<u64>,
    read: Vec<f64>,
    experts_read: Vec<f64>,
    /// Seconds of all movable experts on the CPU, visits included.
    away: Vec<f64>,
    /// Seconds of whole blocks on the CPU.
    whole: Vec<f64>,
    /// Blocks with experts that may be moved.
    movable: Vec<f64>,
    /// Per device and block: the parts of a block's experts that may stay, the most saving first.
    parts: Vec<Vec<Vec<Part>>>,
    most: Vec<f64>,
}

/// A mask of pieces, their bytes, and the seconds that it saves to have them on a device.
type Part = (u8, u64, f64);

/// A block with pieces on both sides still visits the CPU. If up and gate part, one of them has to be fetched on top,
/// which takes a small copy: half of what a hop takes, as the synchronization is the visit's already.
fn parts(pieces: &[Piece], rate: f64, cpu: f64) -> Vec<Part> {
    let all = (1_u8 << pieces.len().min(7)) - 1;
    let part = |mask: u8| {
        let kept = || pieces.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1);
        let bytes: u64 = kept().map(|(_, piece)| piece.bytes).sum();
        let read: f64 = kept().map(|(_, piece)| piece.read).sum();
        let parted = kept().filter(|(_, piece)| matches!(piece.kind, "up" | "gate")).count() == 1;
        let fetch = if parted { CONSTANTS.hop_seconds / 2.0 } else { 0.0 };
        (mask, bytes, read / cpu - read / rate - fetch)
    };
    let mut parts: Vec<Part> = (1..all).map(part).filter(|(_, _, gain)| *gain > 0.0).collect();
    parts.sort_by(|a, b| b.2.total_cmp(&a.2));
    parts
}

fn sums<T: Copy + Default + std::ops::Add<Output = T>>(
    blocks: &[Block],
    of: impl Fn(&Block) -> T,
) -> Vec<T> {
    let mut sum = T::default();
    let mut list = vec![sum];
    for block in blocks {
        sum = sum + of(block);
        list.push(sum);
    }
    list
}

fn between<T: Copy + Default + std::ops::Sub<Output = T>>(list: &[T], from: usize, to: usize) -> T {
    let at = |i: usize| list.get(i).copied().unwrap_or_default();
    at(to) - at(from)
}

fn sum_of(blocks: &[Block], of: impl Fn(&Block) -> bool) -> f64 {
    blocks.iter().filter(|block| of(block)).count() as f64
}

impl Goal {
    pub(super) fn new(blocks: &[Block], rates: Rates) -> Self {
        let cpu = rates.cpu;
        let visit = rates.costs.visit_us * 1e-6;
        let away = |block: &Block| {
            if block.pieces.is_empty() { 0.0 } else { block.experts_read() / cpu + visit }
        };
        let of = |rate: &f64| -> Vec<Vec<Part>> {
            blocks.iter().map(|block| parts(&block.pieces, *rate, cpu)).collect()
        };
        let parts: Vec<Vec<Vec<Part>>> = rates.gpus.iter().map(of).collect();
        let best = |parts: &Vec<Vec<Part>>| {
            parts.iter().filter_map(|list| list.first()).map(|part| part.2).fold(0.0, f64::max)
        };
        Self {
            most: parts.iter().map(best).collect(),
            parts,
            fixed: sums(blocks, |block| block.fixed),
            experts: sums(blocks, Block::experts),
            read: sums(blocks, |block| block.read),
            experts_read: sums(blocks, Block::experts_read),
            away: sums(blocks, away),
            whole: sums(blocks, |block| (block.read + block.experts_read()) / cpu),
            movable: sums(blocks, |block| if block.pieces.is_empty() { 0.0 } else { 1.0 }),
            rates,
        }
    }

    /// Seconds of a run of blocks on a device whose experts are all on the CPU, the way to the device included.
    pub(super) fn slice(&self, device: usize, from: usize, to: usize) -> f64 {
        let rate = self.rates.gpus.get(device).copied().unwrap_or(self.rates.cpu);
        let output = self.rates.wire(device).filter(|_| to + 1 == self.read.len());
        between(&self.read, from, to) / rate
            + between(&self.away, from, to)
            + self.interruptions(device, from, to)
            + self.rates.hop(device)
            + output.map_or(0.0, |wire| wire.seconds(wire.output()))
    }

    /// What it adds that the experts of a remote device's blocks are on this machine's CPU.
    fn interruptions(&self, device: usize, from: usize, to: usize) -> f64 {
        let wire = self.rates.wire(device);
        wire.map_or(0.0, |wire| wire.seconds(wire.interruptions(between(&self.movable, from, to))))
    }

    /// What it saves to have the experts of these blocks on the device.
    pub(super) fn gain(&self, device: usize, from: usize, to: usize) -> f64 {
        let rate = self.rates.gpus.get(device).copied().unwrap_or(self.rates.cpu);
        between(&self.away, from, to) + self.interruptions(device, from, to)
            - between(&self.experts_read, from, to) / rate
    }

    /// What it saves to have a block's experts on another machine's device instead of on this one's CPU.
    pub(super) fn guest_gain(&self, device: usize, block: usize) -> f64 {
        let Some(wire) = self.rates.wire(device) else { return f64::NEG_INFINITY };
        let rate = self.rates.gpus.get(device).copied().unwrap_or(self.rates.cpu);
        between(&self.away, block, block + 1)
            - between(&self.experts_read, block, block + 1) / rate
            - wire.seconds(wire.experts(1.0))
    }

    /// Seconds of the first blocks on the CPU.
    pub(super) fn prefix(&self, to: usize) -> f64 {
        between(&self.whole, 0, to)
    }

    pub(super) fn fixed(&self, from: usize, to: usize) -> u64 {
        between(&self.fixed, from, to)
    }

    pub(super) fn experts(&self, from: usize, to: usize) -> u64 {
        between(&self.experts, from, to)
    }

    /// The pieces of a block to keep on the device within `room`, as a mask, with their bytes and what they save.
    pub(super) fn partial(&self, device: usize, block: usize, room: u64) -> Option<(u8, u64, f64)> {
        let parts = self.parts.get(device)?.get(block)?;
        parts.iter().find(|(_, bytes, _)| *bytes <= room).copied()
    }

    /// What the best part of any block saves at most.
    pub(super) fn most(&self, device: usize) -> f64 {
        self.most.get(device).copied().unwrap_or(0.0)
    }

    /// What a token reads where, and what it sends over links. `names` has a host and a device for each device in use.
    pub(super) fn traffic(
        &self,
        blocks: &[Block],
        solution: &Solution,
        names: &[(String, String)],
    ) -> Traffic {
        let mut loads = vec![Load::default(); self.rates.gpus.len()];
        let add = |loads: &mut [Load], device: usize, load: fn(Wire, f64) -> Load| {
            if let (Some(wire), Some(sum)) = (self.rates.wire(device), loads.get_mut(device)) {
                *sum = *sum + load(wire, 1.0);
            }
        };
        let mut traffic = Traffic {
            gpus: vec![0.0; self.rates.gpus.len()],
            blocks: sum_of(blocks, |block| !block.recurrent) - 1.0,
            recurrent: sum_of(blocks, |block| block.recurrent),
            ..Traffic::default()
        };
        for (index, block) in blocks.iter().enumerate() {
            traffic.active += block.read + block.experts_read() + block.pinned_read;
            // What a rule of the user's keeps away is experts more often than not.
            traffic.experts += block.experts_read() + block.pinned_read;
            traffic.away += block.pinned_read;
            let slice = solution.slices.iter().position(|s| (s.from..s.to).contains(&index));
            traffic.cpu += block.pinned_read;
            traffic.streamed += block.pinned as f64;
            let Some(device) = slice else {
                traffic.cpu += block.read + block.experts_read();
                traffic.away += block.experts_read();
                // Large batches of whole blocks are computed on a GPU, too.
                traffic.streamed += block.read + block.experts() as f64;
                continue;
            };
            let mut here = block.read;
            let (mut away, mut guest) = (false, None);
            for (i, piece) in block.pieces.iter().enumerate() {
                if let Some(home) = solution.home(device, index, i) {
                    if home == device {
                        here += piece.read;
                    } else if let Some(sum) = traffic.gpus.get_mut(home) {
                        *sum += piece.read;
                        guest = Some(home).filter(|_| solution.guest(index).is_some());
                    }
                } else {
                    away = true;
                    traffic.cpu += piece.read;
                    traffic.away += piece.read;
                    traffic.streamed += piece.bytes as f64;
                }
            }
            if let Some(sum) = traffic.gpus.get_mut(device) {
                *sum += here;
            }
            if away || block.pinned_read > 0.0 {
                traffic.visits += 1.0;
                add(&mut loads, device, Wire::interruptions);
            }
            if let Some(home) = guest {
                add(&mut loads, home, Wire::experts);
            }
        }
        for (device, slice) in solution.slices.iter().enumerate() {
            if slice.from < slice.to {
                add(&mut loads, device, Wire::run);
            }
            if slice.from < slice.to && slice.to == blocks.len() {
                add(&mut loads, device, |wire, _| wire.output());
            }
        }
        let crossing = |(device, load): (usize, &Load)| {
            let wire = self.rates.wire(device).filter(|_| *load != Load::default())?;
            let (host, name) = names.get(device).cloned().unwrap_or_default();
            Some(wire.crossing(&host, &name, *load))
        };
        traffic.crossings = loads.iter().enumerate().filter_map(crossing).collect();
        let local = |(device, slice): &(usize, &Run)| {
            slice.from < slice.to && self.rates.wire(*device).is_none()
        };
        let devices = solution.slices.iter().enumerate().filter(local).count();
        let spills = solution.slices.iter().filter(|slice| slice.spill.is_some()).count();
        traffic.hops = u32::try_from(devices + 2 * spills).unwrap_or(u32::MAX);
        traffic
    }
}
