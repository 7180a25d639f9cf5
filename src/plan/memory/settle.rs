//! From flags to a settled graph, and from there to bytes.

use super::allocate;
use super::build::{self, Built, Names, Plan};
use super::cache;
use super::devices;
use super::graph::{Place, Ty};
use super::keys;
use super::request::{FlashAttention, GpuLayers, Request, SplitMode};
use super::schedule::{self, Pins, Rig};
use super::setup::{Rotation, Setup};
use super::weights::{self, Rules, Weights};
use super::{DeviceMemory, Estimate, EstimateError, HostMemory};
use crate::gguf::{DType, Layer, Model};
use crate::hardware::Gpu;
use crate::units::Bytes;

/// The cache is kept in multiples of this many tokens.
const CELLS: u64 = 256;
/// Batches in flight with pipeline parallelism.
const FLIGHTS: usize = 4;

pub(super) fn estimate(
    model: &Model,
    gpus: &[Gpu],
    request: &Request,
) -> Result<Estimate, EstimateError> {
    let used = devices::used(gpus, request);
    let rules = Rules::new(request, &used)?;
    let blocks = model.block_count as usize;
    let places = devices::assign(blocks, &devices::shares(gpus, &used, request), request);
    let full_offload = match request.gpu_layers {
        GpuLayers::All => true,
        GpuLayers::Count(count) => count as usize > blocks,
    };
    let pipelined = used.len() > 1
        && full_offload
        && request.split_mode == SplitMode::Layer
        && request.kv_offload
        && rules.is_empty();
    let rig = Rig {
        capabilities: used
            .iter()
            .filter_map(|i| gpus.get(*i))
            .map(|gpu| gpu.compute_capability)
            .collect(),
        op_offload: request.op_offload,
        copies: if pipelined { FLIGHTS } else { 1 },
    };
    let weights = weights::place(model, &places, &rules, &rig);
    let mut setup = settle(model, request, &places, &weights, full_offload);
    let names = Names::of(model);
    let layers: Vec<usize> = (0..model.trunk() as usize).collect();
    let missing = || EstimateError::Tensors { architecture: model.architecture.clone() };
    let auto = request.flash_attn == FlashAttention::Auto;
    if request.flash_attn == FlashAttention::Off && request.cache_type_v.is_quantized() {
        return Err(EstimateError::QuantizedValues);
    }
    if auto && !request.cache_type_v.is_quantized() {
        let probe = Setup { tokens: setup.sequences, outputs: setup.sequences, ..setup.clone() };
        let plan = Plan { model, names: &names, setup: &probe, rig: &rig, homes: &weights.homes };
        let built = build::graph(plan, &layers).ok_or_else(missing)?;
        setup.flash = runs_where_the_layers_are(&built, &rig, &places);
    }
    let plan = Plan { model, names: &names, setup: &setup, rig: &rig, homes: &weights.homes };
    let Built { mut graph, .. } = build::graph(plan, &layers).ok_or_else(missing)?;
    let scheduled = schedule::schedule(&mut graph, &rig);
    let compute = allocate::peaks(&graph, &rig, &scheduled);
    let context = cache::bytes(model, &setup, &rig);
    let at = |list: &[u64], i: usize| Bytes(list.get(i).copied().unwrap_or(0));
    let devices = used.iter().enumerate().map(|(i, gpu)| DeviceMemory {
        name: format!("CUDA{gpu}"),
        model: at(&weights.bytes, i),
        context: at(&context, i),
        compute: at(&compute, i),
        free: gpus.get(*gpu).map_or(Bytes::ZERO, |gpu| gpu.free),
    });
    Ok(Estimate {
        devices: devices.collect(),
        host: HostMemory {
            model: at(&weights.bytes, used.len()),
            context: at(&context, used.len()),
            compute: at(&compute, used.len()),
        },
        flash_attn: setup.flash,
    })
}

/// What each block keeps on the GPU that it is computed on.
pub(super) fn contexts(model: &Model, request: &Request) -> Vec<u64> {
    let (gpu, host) = (Place(0), Place(1));
    let blocks = model.block_count as usize;
    if !request.kv_offload {
        return vec![0; blocks];
    }
    let places = vec![gpu; blocks + 1];
    let weights = Weights { homes: Vec::new(), tied_output: gpu, bytes: Vec::new() };
    let setup = settle(model, request, &places, &weights, true);
    let keep = |layer: &Layer| match layer.nextn {
        true => 0,
        false => cache::block(layer, &setup, gpu, host),
    };
    model.layers.iter().map(keep).collect()
}

/// llama.cpp keeps flash attention only if each block's own device can run it.
fn runs_where_the_layers_are(built: &Built, rig: &Rig, places: &[Place]) -> bool {
    let assigned = schedule::assign(&built.graph, rig, Pins::Kept);
    built
        .flash_nodes
        .iter()
        .all(|(id, il)| schedule::at(&assigned, *id) == places.get(*il).copied())
}

fn ty(dtype: DType) -> Ty {
    let size = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    dtype.layout().map_or(Ty::F16, |layout| {
        Ty::new(dtype.0, size(layout.block_len), size(layout.block_bytes))
    })
}

fn settle(
    model: &Model,
    request: &Request,
    places: &[Place],
    weights: &Weights,
    full_offload: bool,
) -> Setup {
    let (slots, unified) = request.slots();
    let asked = if request.ctx_size == 0 { model.context_length } else { request.ctx_size };
    let batch = asked.min(request.batch_size);
    let ubatch = batch.min(if request.ubatch_size == 0 { batch } else { request.ubatch_size });
    let padded = asked.next_multiple_of(CELLS);
    let cells =
        if unified { padded } else { (padded / slots).next_multiple_of(CELLS).max(CELLS) };
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
        full_offload,
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
        layers: places.get(..blocks).unwrap_or_default().to_vec(),
        tied_output: weights.tied_output,
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
    let fits = |width: u64| width > 0 && width % 64 == 0;
    let keys = uniform(|layer| layer.key_length).filter(|_| {
        type_k.is_quantized() && first.is_some_and(|layer| fits(layer.key_length))
    });
    let latent = model.latent.is_some();
    let values = uniform(|layer| layer.value_length).filter(|_| {
        !latent && type_v.is_quantized() && first.is_some_and(|layer| fits(layer.value_length))
    });
    let widest = |width: u64| {
        let mut n = 64;
        while width % (2 * n) == 0 {
            n *= 2;
        }
        n
    };
    Rotation { keys: keys.map(widest), values: values.map(|_| 64) }
}

/// Positions per token: multi-axis RoPE has four.
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
