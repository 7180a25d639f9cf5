//! So many layers on each card, as llama-server's flags.

use super::{Counted, Way};
use crate::plan::pattern::{EXPERTS, layer_set_regex, override_string};
use crate::plan::placement::Flag;

pub(super) fn flags(counted: &Counted<'_>, layers: &[u32]) -> Vec<(Flag, String)> {
    let split = list(&counted.split);
    match counted.way {
        Way::Front => vec![
            (Flag::TensorSplit, split),
            (Flag::OverrideTensor, override_string(layers, &counted.devices)),
        ],
        Way::Own => {
            let mut flags = vec![(Flag::GpuLayers, "all".to_owned()), (Flag::TensorSplit, split)];
            flags.extend(away(counted, layers).map(|rule| (Flag::OverrideTensor, rule)));
            flags
        }
        Way::Blocks => blocks(counted, layers),
    }
}

/// The rule that keeps the experts of all other blocks in system memory.
fn away(counted: &Counted<'_>, layers: &[u32]) -> Option<String> {
    let windows = counted.windows();
    let kept = |card: usize| layers.get(card).map_or(0, |count| *count as usize);
    let away = windows.iter().enumerate().flat_map(|(card, own)| own.iter().skip(kept(card)));
    let regex = layer_set_regex(away.copied())?;
    // Both patterns hold the dot between a block's number and the tensor's name.
    Some(format!("{}{}=CPU", regex, EXPERTS.trim_start_matches(r"\.")))
}

/// Blocks from the last one down are on cards, and the output with them.
fn blocks(counted: &Counted<'_>, layers: &[u32]) -> Vec<(Flag, String)> {
    let total: u32 = layers.iter().sum();
    if total == 0 {
        return vec![(Flag::GpuLayers, "0".to_owned())];
    }
    let mut shares = layers.to_vec();
    if let Some(last) = shares.iter_mut().rev().find(|count| **count > 0) {
        *last += 1;
    }
    let all = total >= counted.blocks();
    let count = if all { "all".to_owned() } else { (total + 1).to_string() };
    vec![(Flag::GpuLayers, count), (Flag::TensorSplit, list(&shares))]
}

fn list(counts: &[u32]) -> String {
    counts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
