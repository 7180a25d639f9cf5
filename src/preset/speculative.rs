//! `[speculative]`: drafting tokens ahead.

use super::context::CacheType;
use super::placement::GpuLayers;
use crate::table::{Number, table};

table! {
    /// Speculative decoding.
    pub struct Speculative {
        /// Methods: draft-simple, draft-mtp, ngram-simple, ngram-mod and others.
        spec_type: Vec<String> => "--spec-type";
        /// llama.cpp's recommended n-gram settings.
        spec_default: bool => "--spec-default";
        /// Draft model, relative to the models directory.
        spec_draft_model: String => "--spec-draft-model";
        /// Layers of the draft model to offload.
        spec_draft_ngl: GpuLayers, 0 ..= 10000 => "--spec-draft-ngl";
        /// Devices of the draft model.
        spec_draft_device: Vec<String> => "--spec-draft-device";
        /// Most tokens to draft.
        spec_draft_n_max: i64, 0 ..= 1024 => "--spec-draft-n-max";
        /// Fewest tokens to draft.
        spec_draft_n_min: i64, 0 ..= 1024 => "--spec-draft-n-min";
        /// Least probability of a drafted token.
        spec_draft_p_min: Number, 0.0 ..= 1.0 => "--spec-draft-p-min";
        /// Type of the draft model's K cache.
        spec_draft_type_k: CacheType => "--spec-draft-type-k";
        /// Type of the draft model's V cache.
        spec_draft_type_v: CacheType => "--spec-draft-type-v";
    }
}
