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
    /// Keys of the indexer that picks tokens for sparse attention, in the type of the keys.
    pub indexer_key: u64,
    /// Values that llama.cpp keeps beside the indexer's keys (minimax-m3), in the type of the values.
    pub indexer_value: u64,
}

pub(super) fn of(model: &mut Model) -> Vec<Layer> {
    let mut findings = Vec::new();
    let heads = each(model, "attention.head_count", &mut findings).unwrap_or_default();
    let heads = if heads.is_empty() { vec![0; blocks(model)] } else { heads };
    let kv_heads = each(model, "attention.head_count_kv", &mut findings);
    let kv_heads = kv_heads.unwrap_or_else(|| heads.clone());
    let feed_forward = each(model, "feed_forward_length", &mut findings);
    let feed_forward = feed_forward.unwrap_or_else(|| vec![0; blocks(model)]);
    model.findings.append(&mut findings);

    // llama.cpp takes the first layer's heads for the default, and no heads at all for no attention.
    let first = heads.first().copied().unwrap_or(0);
    let head_length = model.embedding_length.checked_div(first).unwrap_or(0);
    let length = |key: &str, default: u64| match first {
        0 => 0,
        _ => model.arch_u64(key).unwrap_or(default),
    };
    let key = length("attention.key_length", head_length);
    let value = length("attention.value_length", head_length);
    let key_swa = length("attention.key_length_swa", key);
    let value_swa = length("attention.value_length_swa", value);

    let trunk = model.trunk();
    let own_cache = own_cache(model);
    let mixers = state::mixers(model, &kv_heads, &feed_forward);
    let state = state::state(model, first, key);
    let indexed = indexed(model);
    let index_key = model.indexer.map_or(0, |indexer| indexer.key_length);
    // minimax-m3 uses a common cache with one head for its indexer, values and all.
    let index_value = if model.architecture == "minimax-m3" { value } else { 0 };
    let columns = heads.iter().zip(&kv_heads).zip(&feed_forward).zip(mixers).zip(indexed);
    (0u32..)
        .zip(columns)
        .map(|(index, ((((heads, kv_heads), feed_forward), mixer), indexed))| {
            let sliding = model.slides(index);
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
                    indexer_key: if indexed { index_key } else { 0 },
                    indexer_value: if indexed { index_value } else { 0 },
                }),
                state: mixer.recurrent.then_some(state),
            }
        })
        .collect()
}

fn blocks(model: &Model) -> usize {
    usize::try_from(model.block_count).unwrap_or(usize::MAX)
}

/// A value per block; one that is there but cannot be used is a finding.
fn each(model: &Model, key: &str, findings: &mut Vec<Finding>) -> Option<Vec<u64>> {
    let values = model.per_layer(key);
    if values.is_none() {
        let key = format!("{}.{key}", model.architecture);
        if let Some(value) = model.metadata.get(&key) {
            let (expected, found) = (u64::from(model.trunk()), value.elements().unwrap_or(0));
            findings.push(Finding::WrongLength { key, expected, found });
        }
    }
    values
}

/// Layers from this one on use the cache of an earlier one (`n_layer_kv_from_start`).
fn own_cache(model: &Model) -> u64 {
    match model.architecture.as_str() {
        "gemma3n" => 20,
        "gemma4" => {
            let shared = model.arch_u64("attention.shared_kv_layers").unwrap_or(0);
            u64::from(model.block_count).saturating_sub(shared)
        }
        _ => u64::from(model.block_count),
    }
}

/// Per block, whether it has an indexer of its own.
fn indexed(model: &Model) -> Vec<bool> {
    if model.indexer.is_none() {
        return vec![false; blocks(model)];
    }
    let listed = model.per_layer("attention.indexer.types");
    // Files of GLM 5.2 do not list which layers have one; llama.cpp knows these files by their context.
    let newer = model.context_length >= 1 << 20;
    let owns = |index: usize| match &listed {
        Some(listed) => listed.get(index).is_some_and(|on| *on != 0),
        None => !newer || index < 2 || (index - 2).is_multiple_of(4),
    };
    let dense = model.arch_u64("leading_dense_block_count").unwrap_or(0);
    (0..blocks(model))
        .map(|index| match model.architecture.as_str() {
            "deepseek32" => true,
            "glm-dsa" => owns(index),
            "minimax-m3" => index as u64 >= dense,
            _ => false,
        })
        .collect()
}
