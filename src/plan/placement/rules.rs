//! From a solution to llama-server's words: `-ngl`, whole numbers for `-ts`, and rules that a person can review.

use serde::Serialize;

use super::block::Block;
use super::search::Solution;
use super::{Slice, Task};
use crate::plan::memory::{GpuLayers, Override, Request};
use crate::plan::pattern::{layer_set_regex, layers_regex};
use crate::units::Bytes;

/// One rule of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    pub pattern: String,
    pub buffer: String,
    /// Blocks with tensors that the rule moves.
    pub layers: Vec<u32>,
    pub bytes: Bytes,
}

/// More ranges than this become one rule with a set of numbers.
const RANGES: usize = 4;

const EVERY_KIND: &str = "(up|down|gate|gate_up)";

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The rules that bring what the solution leaves out to the CPU, and what a device spills to the next one.
pub(super) fn rules(blocks: &[Block], solution: &Solution, buffers: &[String]) -> Vec<Rule> {
    let buffer = |device: usize| buffers.get(device).cloned().unwrap_or_default();
    // Runs of blocks whose experts leave as a whole, and for which device if not the CPU; blocks without experts may
    // lie between.
    let mut ranges: Vec<(usize, usize, Option<usize>)> = Vec::new();
    let mut partial = Vec::new();
    let mut broken = true;
    for (at, block) in blocks.iter().enumerate().skip(solution.start) {
        if block.pieces.is_empty() {
            continue;
        }
        let device = solution.slices.iter().position(|run| (run.from..run.to).contains(&at));
        let guest = solution.guest(at);
        let kept = |i: usize| device.is_some_and(|device| solution.keeps(device, at, i));
        let away = (0..block.pieces.len()).filter(|i| !kept(*i)).count();
        if away == block.pieces.len() {
            match ranges.last_mut() {
                Some(last) if !broken && last.2 == guest => last.1 = at,
                _ => ranges.push((at, at, guest)),
            }
            broken = false;
            continue;
        }
        broken = true;
        if away > 0 {
            partial.push((at, device.unwrap_or(0)));
        }
    }
    let movable = |from: usize, to: usize| {
        let of = |at: &usize| blocks.get(*at).filter(|block| !block.pieces.is_empty());
        let layers: Vec<usize> = (from..=to).filter(|at| of(at).is_some()).collect();
        let bytes: u64 = layers.iter().filter_map(of).map(Block::experts).sum();
        (layers, bytes)
    };
    let mut rules = Vec::new();
    for (run, next) in solution.slices.iter().zip(buffers.iter().skip(1)) {
        let Some((at, mask, bytes)) = run.spill else { continue };
        let pieces = blocks.get(at).map(|block| block.pieces.as_slice()).unwrap_or_default();
        let spilled = pieces.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
        let kinds: Vec<&str> = spilled.map(|(_, piece)| piece.kind).collect();
        rules.push(Rule {
            pattern: pattern(
                layers_regex(number(at)..=number(at)),
                &format!("({})", kinds.join("|")),
            ),
            buffer: next.clone(),
            layers: vec![number(at)],
            bytes: Bytes(bytes),
        });
    }
    for (at, device) in partial {
        let Some(block) = blocks.get(at) else { continue };
        let left = block.pieces.iter().enumerate().filter(|(i, _)| !solution.keeps(device, at, *i));
        let (kinds, bytes): (Vec<&str>, Vec<u64>) =
            left.map(|(_, piece)| (piece.kind, piece.bytes)).unzip();
        rules.push(Rule {
            pattern: pattern(
                layers_regex(number(at)..=number(at)),
                &format!("({})", kinds.join("|")),
            ),
            buffer: "CPU".to_owned(),
            layers: vec![number(at)],
            bytes: Bytes(bytes.iter().sum()),
        });
    }
    let mut homes: Vec<Option<usize>> = ranges.iter().map(|(_, _, home)| *home).collect();
    homes.sort_unstable();
    homes.dedup();
    for home in homes {
        let of = |range: &&(usize, usize, Option<usize>)| range.2 == home;
        let buffer = || home.map_or_else(|| "CPU".to_owned(), buffer);
        if ranges.iter().filter(of).count() > RANGES {
            let (mut layers, mut bytes) = (Vec::new(), 0);
            for (from, to, _) in ranges.iter().filter(of) {
                let (some, more) = movable(*from, *to);
                layers.extend(some.into_iter().map(number));
                bytes += more;
            }
            let pattern = pattern(layer_set_regex(layers.iter().copied()), EVERY_KIND);
            rules.push(Rule { pattern, buffer: buffer(), layers, bytes: Bytes(bytes) });
        } else {
            for (from, to, _) in ranges.iter().filter(of) {
                let (layers, bytes) = movable(*from, *to);
                let layers = layers.into_iter().map(number).collect();
                let pattern = pattern(layers_regex(number(*from)..=number(*to)), EVERY_KIND);
                rules.push(Rule { pattern, buffer: buffer(), layers, bytes: Bytes(bytes) });
            }
        }
    }
    rules
}

/// `blk\.(19|20)\.ffn_(up|gate)_(ch|)exps`.
fn pattern(layers: Option<String>, kinds: &str) -> String {
    format!("{}ffn_{kinds}_(ch|)exps", layers.unwrap_or_default())
}

/// The request with the solution filled in, and the blocks per device.
pub(super) fn request(
    task: &Task<'_>,
    blocks: &[Block],
    solution: &Solution,
) -> (Request, Vec<u32>, Vec<Rule>) {
    let rules = rules(blocks, solution, &task.buffers());
    let split: Vec<u32> = solution.slices.iter().map(|run| number(run.to - run.from)).collect();
    let mut request = task.request.clone();
    request.gpu_layers = if solution.start == 0 {
        GpuLayers::All
    } else {
        GpuLayers::Count(number(blocks.len() - solution.start))
    };
    #[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
    let shares = split.iter().map(|count| *count as f32).collect();
    request.tensor_split = shares;
    let ours = rules
        .iter()
        .map(|rule| Override { pattern: rule.pattern.clone(), target: rule.buffer.clone() });
    request.overrides.extend(ours);
    (request, split, rules)
}

pub(super) fn slices(blocks: &[Block], solution: &Solution, names: &[String]) -> Vec<Slice> {
    let slice = |(run, name): (&super::search::Run, &String)| Slice {
        device: name.clone(),
        first: number(run.from),
        count: number(run.to - run.from),
        resident_first: number(run.window.0),
        resident: number(
            blocks
                .get(run.window.0..run.window.1 - usize::from(run.spill.is_some()))
                .unwrap_or_default()
                .iter()
                .filter(|block| !block.pieces.is_empty())
                .count(),
        ),
        partial: run.partial.or(run.spill.map(|(at, mask, _)| (at, !mask))).and_then(
            |(at, mask)| {
                let pieces = blocks.get(at)?.pieces.iter().enumerate();
                let kept = pieces.filter(|(i, _)| mask >> i & 1 == 1);
                let kinds: Vec<String> = kept.map(|(_, piece)| piece.kind.to_owned()).collect();
                (!kinds.is_empty()).then(|| (number(at), kinds))
            },
        ),
    };
    solution.slices.iter().zip(names).map(slice).collect()
}
