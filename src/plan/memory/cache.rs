//! The bytes of the attention caches and recurrent states on every device.

use super::cuda;
use super::graph::{Place, Ty};
use super::schedule::Rig;
use super::setup::Setup;
use crate::gguf::{Layer, Model};

/// On every GPU, then on the host.
pub(super) fn bytes(model: &Model, setup: &Setup, rig: &Rig) -> Vec<u64> {
    let host = rig.host();
    let mut bytes = vec![0; usize::from(host.0) + 1];
    for (il, layer) in model.layers.iter().enumerate().filter(|(_, layer)| !layer.nextn) {
        let place = if setup.offload_kv {
            setup.layers.get(il).copied().unwrap_or(host)
        } else {
            host
        };
        if let Some(sum) = bytes.get_mut(usize::from(place.0)) {
            *sum += block(layer, setup, place, host);
        }
    }
    bytes
}

/// What one block keeps.
pub(super) fn block(layer: &Layer, setup: &Setup, place: Place, host: Place) -> u64 {
    let mut sum = 0;
    if let Some(cache) = layer.cache {
        let cells = if layer.sliding { setup.cells_swa } else { setup.cells };
        let rows = cells * setup.streams;
        sum += tensor(setup.type_k, cache.key, rows, place, host);
        if cache.value > 0 {
            let width = if setup.transposed { setup.widest_values } else { cache.value };
            sum += tensor(setup.type_v, width, rows, place, host);
        }
    }
    if let Some(state) = layer.state {
        for width in [state.conv, state.ssm] {
            sum += tensor(Ty::F32, width, setup.sequences, place, host);
        }
    }
    sum
}

fn tensor(ty: Ty, width: u64, rows: u64, place: Place, host: Place) -> u64 {
    let plain = ty.row(width) * rows;
    if place == host {
        plain.next_multiple_of(32)
    } else {
        (plain + cuda::row_padding(ty, width)).next_multiple_of(128)
    }
}
