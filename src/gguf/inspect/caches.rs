//! What a token and a slot cost in memory, for the usual cache types.

use serde::Serialize;

use crate::gguf::{DType, Layer, Model};
use crate::units::Bytes;

/// Keys and values per token, state per slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Caches {
    /// Layers that keep every token, and layers that keep a window of them.
    pub full_layers: usize,
    pub window_layers: usize,
    /// Keys and values of one type each.
    pub types: Vec<CacheSize>,
    /// Recurrent state per slot; always f32, whatever the context.
    pub state_per_slot: Bytes,
    pub recurrent_layers: usize,
}

/// What one token takes with keys and values of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheSize {
    pub dtype: DType,
    /// In all layers that keep every token; absent where the type's blocks do not fit the heads.
    pub per_token: Option<Bytes>,
    /// In all layers that keep a window: per token of the window.
    pub per_window_token: Option<Bytes>,
    /// `per_token` times the context that the model was trained for.
    pub at_full_context: Option<Bytes>,
}

pub(super) fn of(model: &Model) -> Caches {
    let cached = |sliding: bool| {
        let wanted = move |layer: &&Layer| layer.cache.is_some() && layer.sliding == sliding;
        model.layers.iter().filter(wanted)
    };
    let types = [DType::F16, DType::Q8_0, DType::Q4_0].map(|dtype| {
        let per_token = per_token(dtype, cached(false));
        let times = |bytes: Bytes| bytes.0.checked_mul(model.context_length).map(Bytes);
        CacheSize {
            dtype,
            per_token,
            per_window_token: self::per_token(dtype, cached(true)),
            at_full_context: per_token.and_then(times),
        }
    });
    let state = |layer: &Layer| layer.state.map(|state| state.conv.saturating_add(state.ssm));
    let values = model.layers.iter().filter_map(state).fold(0, u64::saturating_add);
    Caches {
        full_layers: cached(false).count(),
        window_layers: cached(true).count(),
        types: types.to_vec(),
        state_per_slot: Bytes(values.saturating_mul(4)),
        recurrent_layers: model.layers.iter().filter(|layer| layer.state.is_some()).count(),
    }
}

fn per_token<'a>(dtype: DType, layers: impl Iterator<Item = &'a Layer>) -> Option<Bytes> {
    let mut sum = 0u64;
    for cache in layers.filter_map(|layer| layer.cache) {
        for row in [cache.key, cache.value, cache.indexer_key, cache.indexer_value] {
            sum = sum.checked_add(dtype.row_bytes(row)?)?;
        }
    }
    Some(Bytes(sum))
}
