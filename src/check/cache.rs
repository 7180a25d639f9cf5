//! Context, KV cache, slots and batches.

use super::{Subject, count};
use crate::diagnostic::Code;
use crate::preset::context::{OnOffAuto, RopeScaling};
use crate::preset::value;

/// llama.cpp rounds each slot's share up to this many tokens (`llama-context.cpp`).
const SLOT_STEP: usize = 256;

pub(super) fn check(subject: &mut Subject<'_>) {
    types(subject);
    slots(subject);
    stretching(subject);
    let batching = &subject.preset.batching;
    let batch = value(&batching.batch_size).copied().unwrap_or(2048);
    if let Some(ubatch) = value(&batching.ubatch_size).filter(|u| **u > batch) {
        subject.say(
            Code::BatchOrder,
            &batching.ubatch_size,
            format!("`ubatch_size` {ubatch} is larger than `batch_size` {batch}"),
            "raise `batch_size` to it; llama.cpp would cut the physical batch to the logical one",
        );
    }
}

fn types(subject: &mut Subject<'_>) {
    let context = &subject.preset.context;
    let off = value(&context.flash_attn) == Some(&OnOffAuto::Off);
    if let Some(kind) = value(&context.cache_type_v).filter(|kind| kind.is_quantized())
        && off
    {
        subject.say(
            Code::QuantizedVCache,
            &context.cache_type_v,
            format!("a {kind} V cache needs flash attention, and `flash_attn` is \"off\""),
            "set `flash_attn = \"on\"`, or take f16 for `cache_type_v`",
        );
    }
    if !subject.is_cuda() || off {
        return;
    }
    for field in [&context.cache_type_k, &context.cache_type_v] {
        if let Some(kind) = value(field).filter(|kind| !kind.has_cuda_kernel()) {
            subject.say(
                Code::CacheKernel,
                field,
                format!("llama.cpp has no CUDA flash-attention kernel for a {kind} cache"),
                "use f16, bf16, q8_0, q5_1, q5_0, q4_1 or q4_0; the image is compiled for the pair you take",
            );
        }
    }
}

fn slots(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    let unified = value(&preset.context.kv_unified).copied().unwrap_or(false);
    let (Some(ctx), Some(slots)) =
        (count(&preset.context.ctx_size), count(&preset.batching.parallel))
    else {
        return;
    };
    if ctx == 0 || unified || slots == 0 || ctx / slots >= SLOT_STEP {
        return;
    }
    subject.say(
        Code::SlotsWithoutContext,
        &preset.batching.parallel,
        format!("{slots} slots share {ctx} tokens: {} for each", ctx / slots),
        "raise `ctx_size`, take fewer slots, or let them share with `kv_unified = true`",
    );
}

fn stretching(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    let context = &preset.context;
    let scaled = context.rope_scale.is_some() || context.rope_freq_scale.is_some();
    if value(&context.rope_scaling) == Some(&RopeScaling::Yarn) && !scaled {
        subject.say(
            Code::YarnWithoutScale,
            &context.rope_scaling,
            "YaRN is chosen, but no factor: it stays 1 and nothing is stretched",
            "add `rope_scale = 4` (or what the model's card says) and `yarn_orig_ctx`",
        );
    }
    let (Some(ctx), Some(trained)) =
        (count(&context.ctx_size), count(&preset.model.context_length))
    else {
        return;
    };
    if ctx > trained && !scaled {
        subject.say(
            Code::ContextBeyondModel,
            &context.ctx_size,
            format!("{ctx} tokens are more than the {trained} the model was trained for"),
            "llama-server caps each slot at the trained length; stretch it with `rope_scaling` or ask for less",
        );
    }
}
