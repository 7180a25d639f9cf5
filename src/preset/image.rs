//! `[image]`: what is compiled.

use crate::table::{choice, table};

/// The oldest release that compiles for every GPU up to compute capability 12.0; runs with driver 570 and later.
pub const CUDA: &str = "12.8.1";

choice! {
    /// What llama.cpp computes on.
    pub enum Backend { Cuda = "cuda", Cpu = "cpu", }
}

table! {
    /// The image: which llama.cpp, compiled with what, on which base.
    pub struct Image {
        /// Name and tag of the image.
        name: String;
        /// What llama.cpp computes on.
        backend: Backend;
        /// Git repository of llama.cpp.
        repository: String;
        /// Branch to build; not with `tag`, `commit` or `source_dir`.
        branch: String;
        /// Tag to build.
        tag: String;
        /// Commit to build, 40 hexadecimal digits.
        commit: String;
        /// Directory with llama.cpp's source, relative to the output directory and inside it.
        source_dir: String;
        /// Build number to compile in where the source has no history to count.
        build_number: i64, 0 ..= 1_000_000;
        /// Plan with the compute buffers of this build of llama.cpp instead of the newest that is known: `seed-2026-02`,
        /// or a profile that `calibrate --buffers` wrote, by its name in `profiles` or by its path, which ends in `.toml`.
        profile: String;
        /// CUDA version of the build stage, `12.8.1`.
        cuda: String;
        /// Compute capabilities to compile for instead of the hardware's, `["8.9", "12.0"]`.
        compute_capabilities: Vec<String>;
        /// More K-V cache pairs to compile flash-attention kernels for, `q5_0-q5_0`.
        fa_quants: Vec<String>;
        /// Base image of the build stage, with a digest if it is to be pinned.
        build_base: String;
        /// Base image of the run-time stage.
        runtime_base: String;
        /// Compile jobs; without it memory and cores decide.
        jobs: i64, 1 ..= 1024;
        /// More CMake definitions, `NAME=VALUE`.
        cmake: Vec<String>;
        /// NCCL, for `split_mode = "tensor"`.
        nccl: bool;
        /// llama.cpp's RPC backend and its worker, which a model needs that is split over hosts; a cluster brings it by itself.
        rpc: bool;
    }
}
