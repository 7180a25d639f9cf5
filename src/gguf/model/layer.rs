//! One block of the model: heads, and what it keeps per token or per sequence.

use serde::Serialize;

use super::{Model, State, state};
use crate::gguf::Finding;

/// A block `blk.N`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    pub index: u32,
    pub heads: u64,
    pub kv_heads: u64,
    /// Values per head; those of sliding layers where they have their own.
    pub key_length: u64,
    pub value_length: u64,
    pub feed_forward_length: u64,
    /// Whether its attention sees a window only.
    pub sliding: bool,
    /// Whether it only predicts further tokens (MTP).
    pub nextn: bool,
    /// What attention keeps per token; absent without attention, where another layer's cache is used, and for MTP.
    pub cache: Option<Cache>,
    /// What the layer keeps per sequence; absent in layers that only attend.
    pub state: Option<State>,
}

/// Values that one token adds to a layer's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cache {
    pub key: u64,
    /// Zero with latent attention.
    pub value: u64,
}

pub(super) fn of(model: &mut Model) -> Vec<Layer> {
    let blocks = usize::try_from(model.block_count).unwrap_or(usize::MAX);
    let mut findings = Vec::new();
    let mut each = |key: &str, default: u64| {
        model.per_layer(key).unwrap_or_else(|| {
            let key = format!("{}.{key}", model.architecture);
            if let Some(value) = model.metadata.get(&key) {
                let expected = u64::from(model.trunk());
                let found = value.elements().unwrap_or(0);
                findings.push(Finding::WrongLength { key, expected, found });
            }
            vec![default; blocks]
        })
    };
    let heads = each("attention.head_count", 0);
    let kv_heads = match model.arch_u64("attention.head_count_kv") {
        Some(one) => vec![one; blocks],
        None if model
            .metadata
            .get(&format!("{}.attention.head_count_kv", model.architecture))
            .is_some() =>
        {
            each("attention.head_count_kv", 0)
        }
        None => heads.clone(),
    };
    let feed_forward = each("feed_forward_length", 0);
    model.findings.append(&mut findings);

    // llama.cpp takes the first layer's heads for the default.
    let first = heads.first().copied().unwrap_or(0);
    let head_length = model.embedding_length.checked_div(first).unwrap_or(0);
    let length = |key: &str, default: u64| model.arch_u64(key).unwrap_or(default);
    let key = length("attention.key_length", head_length);
    let value = length("attention.value_length", head_length);
    let key_swa = length("attention.key_length_swa", key);
    let value_swa = length("attention.value_length_swa", value);

    let trunk = model.trunk();
    // Layers from here on use the cache of an earlier one.
    let own_cache = match model.architecture.as_str() {
        "gemma3n" => 20,
        _ => length("attention.shared_kv_layers", 0),
    };
    let own_cache = match model.architecture.as_str() {
        "gemma3n" => own_cache,
        _ => u64::from(trunk).saturating_sub(own_cache),
    };
    let mixers = state::mixers(model, &kv_heads, &feed_forward);
    let state = state::state(model, first, key);
    let each = heads.iter().zip(&kv_heads).zip(&feed_forward).zip(mixers);
    (0u32..)
        .zip(each)
        .map(|(index, (((heads, kv_heads), feed_forward), mixer))| {
            let sliding = model.window.as_ref().is_some_and(|window| {
                usize::try_from(index)
                    .ok()
                    .and_then(|index| window.layers.get(index))
                    .copied()
                    .unwrap_or(false)
            });
            let nextn = index >= trunk;
            let (key, value) = if sliding { (key_swa, value_swa) } else { (key, value) };
            let cached = mixer.attention && !nextn && u64::from(index) < own_cache;
            let values = if model.latent.is_some() { 0 } else { value };
            Layer {
                index,
                heads: *heads,
                kv_heads: *kv_heads,
                key_length: key,
                value_length: value,
                feed_forward_length: *feed_forward,
                sliding,
                nextn,
                cache: cached.then(|| Cache {
                    key: kv_heads.saturating_mul(key),
                    value: kv_heads.saturating_mul(values),
                }),
                state: mixer.recurrent.then_some(state),
            }
        })
        .collect()
}
