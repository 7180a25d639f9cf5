//! Which GPUs take part, in which order, and which block goes to which of them.

use super::graph::Place;
use super::request::{GpuLayers, Request, SplitMode};
use crate::hardware::Gpu;

/// The GPUs that llama-server uses, as indices into the host's list.
pub(super) fn used(gpus: &[Gpu], request: &Request) -> Vec<usize> {
    let all: Vec<usize> = match &request.devices {
        None => (0..gpus.len()).collect(),
        Some(names) => names.iter().filter_map(|name| index(name)).collect(),
    };
    if request.split_mode == SplitMode::None {
        return all.get(request.main_gpu as usize).copied().into_iter().collect();
    }
    all
}

/// The number in `CUDA1`.
pub(super) fn index(name: &str) -> Option<usize> {
    name.strip_prefix("CUDA")?.parse().ok()
}

/// Where each block, and behind them the output, is computed.
///
/// The arithmetic is llama.cpp's, in single precision: a block belongs to the first device whose share of
/// the whole ends behind the block's start.
pub(super) fn assign(blocks: usize, shares: &[f32], request: &Request) -> Vec<Place> {
    let host = Place(u8::try_from(shares.len()).unwrap_or(u8::MAX));
    let all = blocks + 1;
    let count = match request.gpu_layers {
        GpuLayers::All => all,
        GpuLayers::Count(count) => all.min(count as usize),
    };
    let start = all - count;
    let mut sum = 0.0_f32;
    let ends: Vec<f32> = shares
        .iter()
        .map(|share| {
            sum += share;
            sum
        })
        .collect();
    (0..all)
        .map(|il| {
            let Some(place) = il.checked_sub(start) else { return host };
            let part = place as f32 / count as f32;
            let device = ends.iter().position(|end| end / sum > part);
            device.map_or(host, |device| Place(u8::try_from(device).unwrap_or(u8::MAX)))
        })
        .collect()
}

/// The shares of the devices: `-ts`, or their free memory.
pub(super) fn shares(gpus: &[Gpu], used: &[usize], request: &Request) -> Vec<f32> {
    let given = |i: usize| request.tensor_split.get(i).copied().unwrap_or(0.0);
    if (0..used.len()).any(|i| given(i) != 0.0) {
        return (0..used.len()).map(given).collect();
    }
    used.iter().map(|i| gpus.get(*i).map_or(0.0, |gpu| gpu.free.0 as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Place, assign};
    use crate::plan::memory::request::{GpuLayers, Request};

    fn counts(blocks: usize, shares: &[f32], gpu_layers: GpuLayers) -> Vec<usize> {
        let places = assign(blocks, shares, &Request { gpu_layers, ..Request::default() });
        let count = |place| places.iter().filter(|p| **p == Place(place)).count();
        (0..=u8::try_from(shares.len()).unwrap()).map(count).collect()
    }

    #[test]
    fn integer_shares_that_add_up_are_layer_counts() {
        assert_eq!(counts(48, &[32.0, 17.0], GpuLayers::All), [32, 17, 0]);
        assert_eq!(counts(36, &[20.0, 17.0], GpuLayers::All), [20, 17, 0]);
        assert_eq!(counts(94, &[9.0, 2.0, 7.0], GpuLayers::Count(99)), [48, 11, 36, 0]);
    }

    #[test]
    fn the_first_blocks_stay_on_the_host() {
        assert_eq!(counts(36, &[20.0, 10.0], GpuLayers::Count(30)), [20, 10, 7]);
        assert_eq!(counts(48, &[1.0], GpuLayers::Count(0)), [0, 49]);
        assert_eq!(counts(48, &[], GpuLayers::All), [49]);
    }
}
