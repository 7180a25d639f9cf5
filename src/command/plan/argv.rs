//! A plan as llama-server's words.

use super::{Case, type_name};
use crate::plan::memory::{FlashAttention, LoadMode, Request};
use crate::plan::placement::Placement;

/// llama-server's words for the placement and what it was made for.
pub(super) fn argv(case: &Case, placement: &Placement) -> Vec<String> {
    let request = &placement.request;
    let mut words: Vec<String> = Vec::new();
    let mut word = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    let remote = case.host.gpus.iter().filter_map(|gpu| gpu.remote.as_ref());
    let mut workers: Vec<&str> = remote.map(|remote| remote.endpoint.as_str()).collect();
    workers.dedup();
    if !workers.is_empty() {
        // Before rules that name their buffers.
        word("--rpc", workers.join(","));
    }
    for (flag, value) in placement.flags() {
        word(flag.short(), value);
    }
    word("-c", request.ctx_size.to_string());
    word("-b", request.batch_size.to_string());
    word("-ub", request.ubatch_size.to_string());
    word("-ctk", type_name(request.cache_type_k));
    word("-ctv", type_name(request.cache_type_v));
    match request.flash_attn {
        FlashAttention::On => word("-fa", "on".to_owned()),
        FlashAttention::Off => word("-fa", "off".to_owned()),
        FlashAttention::Auto => {}
    }
    if let Some(slots) = request.parallel {
        word("-np", slots.to_string());
    }
    if let Some(devices) = &case.request.devices {
        word("-dev", devices.join(","));
    }
    match request.kv_unified {
        Some(true) => words.push("-kvu".to_owned()),
        Some(false) => words.push("-no-kvu".to_owned()),
        None => {}
    }
    // Only where it is not llama-server's own choice.
    let plain = Request::default();
    let mut word = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    if request.load_mode == LoadMode::Copied {
        word("-lm", "none".to_owned());
    }
    if let Some(threads) = request.threads {
        word("-t", threads.to_string());
    }
    if request.cache_ram != plain.cache_ram {
        word("-cram", request.cache_ram.map_or_else(|| "-1".to_owned(), |mib| mib.to_string()));
    }
    if request.ctx_checkpoints != plain.ctx_checkpoints {
        word("-ctxcp", request.ctx_checkpoints.to_string());
    }
    for (on, flag) in [
        (request.swa_full, "--swa-full"),
        (!request.kv_offload, "-nkvo"),
        (!request.op_offload, "--no-op-offload"),
    ] {
        if on {
            words.push(flag.to_owned());
        }
    }
    words
}
