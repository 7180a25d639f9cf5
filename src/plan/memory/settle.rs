//! What the flags and the model amount to, in the order and with the rounding of llama.cpp.

use super::graph::{Place, Ty};
use super::keys;
use super::request::{FlashAttention, Request};
use super::setup::{Rotation, Setup};
use crate::gguf::{DType, Model};

/// The cache is kept in multiples of this many tokens.
const CELLS: u64 = 256;
fn ty(dtype: DType) -> Ty {
    let size = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    dtype.layout().map_or(Ty::F16, |layout| {
        Ty::new(dtype.0, size(layout.block_len), size(layout.block_bytes))
    })
}

/// Everything that does not depend on which block goes where; the places are left to fill in.
pub(super) fn settle(model: &Model, request: &Request, host: Place) -> Setup {
    let (slots, unified) = request.slots();
    let asked = if request.ctx_size == 0 { model.context_length } else { request.ctx_size };
    let batch = asked.min(request.batch_size);
    let ubatch = batch.min(if request.ubatch_size == 0 { batch } else { request.ubatch_size });
    let padded = asked.next_multiple_of(CELLS);
    let cells = if unified { padded } else { (padded / slots).next_multiple_of(CELLS).max(CELLS) };
    let whole = if unified { padded } else { cells * slots };
    let tokens = whole.min(ubatch);
    let window = model.window.as_ref();
    let cells_swa = window.map_or(cells, |window| {
        if request.swa_full {
            return cells;
        }
        let seen = window.size * if unified { slots } else { 1 };
        cells.min(seen + ubatch).next_multiple_of(CELLS)
    });
    let (type_k, type_v) = (ty(request.cache_type_k), ty(request.cache_type_v));
    let blocks = model.block_count as usize;
    Setup {
        tokens: tokens.next_multiple_of(slots),
        sequences: slots,
        outputs: tokens.min(slots),
        positions: positions(model),
        mixed_batch: mixes(model),
        flash: request.flash_attn != FlashAttention::Off && model.architecture != "grok",
        transposed: request.flash_attn == FlashAttention::Off || model.architecture == "grok",
        offload_kv: request.kv_offload,
        full_offload: false,
        iswa: window.is_some(),
        streams: if unified { 1 } else { slots },
        cells,
        cells_swa,
        type_k,
        type_v,
        rotations: [false, true].map(|sliding| rotation(model, sliding, type_k, type_v)),
        widest_values: model
            .layers
            .iter()
            .map(|layer| layer.value_length * layer.kv_heads)
            .max()
            .unwrap_or(0),
        clamp_kqv: keys::float(model, "attention.clamp_kqv").is_some_and(|limit| limit > 0.0),
        layers: vec![host; blocks],
        tied_output: host,
        experts_used: per_block(model, "expert_used_count"),
    }
}

fn per_block(model: &Model, key: &str) -> Vec<u64> {
    let blocks = model.block_count as usize;
    match model.arch_u64(key) {
        Some(one) => vec![one; blocks],
        None => model
            .meta_array_u64(&format!("{}.{key}", model.architecture))
            .unwrap_or_else(|| vec![0; blocks]),
    }
}

/// Quantized caches are rotated where all heads are equally wide, by the largest power of two that fits.
fn rotation(model: &Model, sliding: bool, type_k: Ty, type_v: Ty) -> Rotation {
    let uniform = |width: fn(&crate::gguf::Layer) -> u64| {
        let mut widths = model
            .layers
            .iter()
            .filter(|layer| layer.cache.is_some() && layer.sliding == sliding && !layer.nextn)
            .map(width);
        let first = widths.next()?;
        widths.all(|other| other == first).then_some(first).filter(|width| *width > 0)
    };
    let first = model.layers.first();
    let fits = |width: u64| width > 0 && width.is_multiple_of(64);
    let keys = uniform(|layer| layer.key_length)
        .filter(|_| type_k.is_quantized() && first.is_some_and(|layer| fits(layer.key_length)));
    let latent = model.latent.is_some();
    let values = uniform(|layer| layer.value_length).filter(|_| {
        !latent && type_v.is_quantized() && first.is_some_and(|layer| fits(layer.value_length))
    });
    let widest = |width: u64| {
        let mut n = 64;
        while width.is_multiple_of(2 * n) {
            n *= 2;
        }
        n
    };
    Rotation { keys: keys.map(widest), values: values.map(|_| 64) }
}

/// Positions per token: multi-axis rotation has four.
fn positions(model: &Model) -> u64 {
    let sections = || {
        let key = format!("{}.rope.dimension_sections", model.architecture);
        let sections = model.meta_array_u64(&key).unwrap_or_default();
        matches!(sections.as_slice(), [a, b, ..] if *a > 0 && *b > 0)
    };
    let many = match model.architecture.as_str() {
        "qwen2vl" | "qwen3vl" | "qwen3vlmoe" | "qwen35" | "qwen35moe" | "paddleocr" => true,
        "glm4" | "glm4moe" | "hunyuan_vl" => sections(),
        _ => false,
    };
    if many { 4 } else { 1 }
}

/// Whether llama.cpp builds the path that mixes tokens and given vectors.
fn mixes(model: &Model) -> bool {
    !matches!(
        model.architecture.as_str(),
        "cogvlm" | "deepseek4" | "granite-switch" | "eagle3" | "dflash" | "gemma4-assistant"
    )
}
