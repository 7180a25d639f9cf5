//! `[model]`: which weights, and what they are.

use crate::table::{Number, table};

table! {
    /// The model: its file below the models directory, and what is worth knowing of it before it is read.
    pub struct Model {
        /// File name of the GGUF, relative to the models directory; of a split model the first part (`-00001-of-`).
        file: String => "--model";
        /// The GGUF's header for planning, relative to this preset; without it the file in the models directory is read.
        header: String;
        /// The model's name as people say it.
        name: String;
        /// Quantization as its publisher names it.
        quant: String;
        /// Size of all parts in GiB. The health check's start period and the memory checks are computed from it.
        size_gib: Number, 0.001 ..= 4096.0;
        /// Number of blocks (`<arch>.block_count`).
        layers: i64, 1 ..= 512;
        /// Context length that the model was trained for, in tokens.
        context_length: i64, 1 ..= 16_777_216;
        /// Vision projector beside the model.
        mmproj: String => "--mmproj";
        /// Whether the projector runs on the GPU.
        mmproj_offload: bool => "--mmproj-offload" / "--no-mmproj-offload";
        /// LoRA adapters, file names relative to the models directory.
        lora: Vec<String> => "--lora";
        /// Metadata to replace, each `key=type:value`.
        override_kv: Vec<String> => "--override-kv";
        /// Check the tensors' data for invalid values while loading.
        check_tensors: bool => "--check-tensors";
    }
}
