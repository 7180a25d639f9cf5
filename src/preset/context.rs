//! `[context]`: how many tokens, and what they cost.

use crate::table::{Number, choice, table};

choice! {
    /// Element type of the KV cache. `iq4_nl` has no CUDA flash-attention kernel.
    pub enum CacheType {
        F32 = "f32", F16 = "f16", Bf16 = "bf16", Q8_0 = "q8_0", Q5_1 = "q5_1", Q5_0 = "q5_0", Q4_1 = "q4_1",
        Q4_0 = "q4_0", Iq4Nl = "iq4_nl",
    }
}

impl CacheType {
    pub const fn is_quantized(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// Whether llama.cpp can compile a CUDA flash-attention kernel for it (`GGML_CUDA_FA_QUANTS`).
    pub const fn has_cuda_kernel(self) -> bool {
        !matches!(self, Self::F32 | Self::Iq4Nl)
    }
}

choice! {
    /// A switch that llama.cpp can decide by itself.
    pub enum OnOffAuto { On = "on", Off = "off", Auto = "auto", }
}

choice! {
    /// Method of stretching the context beyond the trained length.
    pub enum RopeScaling { None = "none", Linear = "linear", Yarn = "yarn", }
}

table! {
    /// Context length, the KV cache and the prompt caches.
    pub struct Context {
        /// Context in tokens over all slots; 0 takes the model's own length.
        ctx_size: i64, 0 ..= 16_777_216 => "--ctx-size";
        /// Type of the K cache.
        cache_type_k: CacheType => "--cache-type-k";
        /// Type of the V cache; a quantized one needs flash attention.
        cache_type_v: CacheType => "--cache-type-v";
        /// Flash attention.
        flash_attn: OnOffAuto => "--flash-attn";
        /// Drop the oldest tokens when the context is full instead of stopping.
        context_shift: bool => "--context-shift" / "--no-context-shift";
        /// Tokens of the initial prompt to keep when the context shifts; -1 keeps all.
        keep: i64, -1 ..= 16_777_216 => "--keep";
        /// Most tokens to generate per request; -1 is without limit.
        n_predict: i64, -1 ..= 16_777_216 => "--n-predict";
        /// One KV buffer shared by all slots.
        kv_unified: bool => "--kv-unified" / "--no-kv-unified";
        /// Cap per slot of a shared KV buffer, in tokens.
        kv_unified_per_slot: i64, 0 ..= 16_777_216 => "--kv-unified-per-slot";
        /// Keep the KV cache on the GPUs.
        kv_offload: bool => "--kv-offload" / "--no-kv-offload";
        /// Full-length cache for sliding-window layers.
        swa_full: bool => "--swa-full";
        /// Reuse the prompt of the previous request.
        cache_prompt: bool => "--cache-prompt" / "--no-cache-prompt";
        /// Smallest chunk to reuse from the cache by shifting, in tokens.
        cache_reuse: i64, 0 ..= 16_777_216 => "--cache-reuse";
        /// Prompt cache in system memory, MiB; -1 is without limit, 0 is off. llama.cpp's default is 8192.
        cache_ram: i64, -1 ..= 4_194_304 => "--cache-ram";
        /// Save idle slots to the prompt cache.
        cache_idle_slots: bool => "--cache-idle-slots" / "--no-cache-idle-slots";
        /// Context checkpoints per slot, kept in system memory (hybrid and sliding-window models).
        ctx_checkpoints: i64, 0 ..= 1024 => "--ctx-checkpoints";
        /// Fewest tokens between two checkpoints.
        checkpoint_min_step: i64, 0 ..= 16_777_216 => "--checkpoint-min-step";
        /// Stretching of the context.
        rope_scaling: RopeScaling => "--rope-scaling";
        /// Factor by which the context is stretched.
        rope_scale: Number, 0.01 ..= 1024.0 => "--rope-scale";
        /// RoPE base frequency.
        rope_freq_base: Number, 0.0 ..= 1_000_000_000_000.0 => "--rope-freq-base";
        /// RoPE frequency factor; stretches by its inverse.
        rope_freq_scale: Number, 0.0001 ..= 100.0 => "--rope-freq-scale";
        /// Context length that the model was trained for, for YaRN.
        yarn_orig_ctx: i64, 0 ..= 16_777_216 => "--yarn-orig-ctx";
        /// YaRN extrapolation mix; -1 takes the model's.
        yarn_ext_factor: Number, -1.0 ..= 1.0 => "--yarn-ext-factor";
        /// YaRN attention magnitude; -1 takes the model's.
        yarn_attn_factor: Number, -1.0 ..= 100.0 => "--yarn-attn-factor";
        /// YaRN high correction dimension; -1 takes the model's.
        yarn_beta_slow: Number, -1.0 ..= 10000.0 => "--yarn-beta-slow";
        /// YaRN low correction dimension; -1 takes the model's.
        yarn_beta_fast: Number, -1.0 ..= 10000.0 => "--yarn-beta-fast";
    }
}
