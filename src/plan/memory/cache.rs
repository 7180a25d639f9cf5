//! The bytes of the attention caches and recurrent states on every device.

use super::cuda;
use super::graph::Ty;
use super::rig::Rig;
use super::setup::Setup;
use crate::gguf::Model;

/// On every GPU, then on the host.
pub(super) fn bytes(model: &Model, setup: &Setup, rig: &Rig) -> Vec<u64> {
    let host = rig.host();
    let mut bytes = vec![0; usize::from(host.0) + 1];
    for il in 0..model.layers.len() {
        let place = setup.layers.get(il).copied().filter(|_| setup.offload_kv).unwrap_or(host);
        if let Some(sum) = bytes.get_mut(usize::from(place.0)) {
            *sum += block(model, setup, il, rig.is_cuda(place));
        }
    }
    bytes
}

/// One block's attention cache and recurrent state.
pub(super) fn block(model: &Model, setup: &Setup, il: usize, on_cuda: bool) -> u64 {
    let Some(layer) = model.layers.get(il).filter(|layer| !layer.nextn) else { return 0 };
    let mut sum = 0;
    if let Some(cache) = layer.cache {
        let cells = if layer.sliding { setup.cells_swa } else { setup.cells };
        let rows = cells * setup.streams;
        sum += tensor(setup.type_k, cache.key, rows, on_cuda);
        if cache.value > 0 {
            let width = if setup.transposed { setup.widest_values } else { cache.value };
            sum += tensor(setup.type_v, width, rows, on_cuda);
        }
    }
    if let Some(state) = layer.state {
        for width in [state.conv, state.ssm] {
            sum += tensor(Ty::F32, width, setup.sequences, on_cuda);
        }
    }
    sum
}

fn tensor(ty: Ty, width: u64, rows: u64, on_cuda: bool) -> u64 {
    let plain = ty.row(width) * rows;
    if on_cuda {
        (plain + cuda::row_padding(ty, width)).next_multiple_of(128)
    } else {
        plain.next_multiple_of(32)
    }
}
