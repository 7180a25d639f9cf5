//! The memory that llama-server will take on every device, computed from a model's header and the flags.
//!
//! Weights, caches and recurrent states follow closed rules. The compute buffer has none: it is the peak of
//! ggml's allocator over the graph of a full batch, so that graph is built, scheduled and allocated here
//! in the abstract. Nothing here reads files or asks devices.

mod allocate;
mod arena;
mod build;
mod cache;
mod cuda;
pub mod devices;
mod fuse;
mod graph;
mod host;
mod keys;
mod kinds;
mod plausible;
mod prepared;
mod repeat;
mod request;
mod rig;
mod room;
mod rule;
mod schedule;
mod settle;
mod setup;
mod weights;

pub use host::HostMemory;
pub use prepared::{Prepared, Spot, Trial, Usage};
pub use request::{FlashAttention, GpuLayers, LoadMode, Request, RequestError, SplitMode};
pub use room::{Room, fits};
pub use rule::Override;

use serde::Serialize;

use crate::gguf::Model;
use crate::hardware::Gpu;
use crate::units::Bytes;

/// What one device will hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceMemory {
    /// What llama.cpp calls its buffer: `CUDA0`, `RPC0[spare:50052]`.
    pub name: String,
    pub model: Bytes,
    /// The attention cache and recurrent states.
    pub context: Bytes,
    pub compute: Bytes,
    /// What is free before llama-server starts.
    pub free: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    pub devices: Vec<DeviceMemory>,
    pub host: HostMemory,
    /// Whether flash attention will be used.
    pub flash_attn: bool,
}

/// Sequences that llama.cpp keeps at most.
const MOST_SLOTS: u64 = 256;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    #[error("{pattern:?} is no regular expression that can be evaluated here")]
    Pattern { pattern: String },
    #[error("there is no buffer type {target:?}")]
    Target { target: String },
    #[error(
        "a rule puts {tensor:?} on {target}, which is not among the GPUs in use: llama.cpp aborts"
    )]
    Unused { target: String, tensor: String },
    #[error("the file lacks tensors that {architecture} needs")]
    Tensors { architecture: String },
    #[error("the memory that {architecture} takes cannot be computed: {cause}")]
    Unknown { architecture: String, cause: String },
    #[error("the file says {value} for {what}, which no model has")]
    Size { what: String, value: u64 },
    #[error("there is no device {name:?}: `-dev` can name {known}")]
    Device { name: String, known: String },
    #[error("there is no GPU {index} among the {count} in use for `-sm none`: `-mg` counts from 0")]
    MainGpu { index: u32, count: usize },
    #[error("a batch of {batch} tokens is smaller than the {slots} slots: llama.cpp aborts")]
    Batch { batch: u64, slots: u64 },
    #[error("{slots} slots: llama.cpp takes 1 to {MOST_SLOTS}")]
    Slots { slots: u64 },
    #[error("a quantized V cache needs flash attention, which is off")]
    QuantizedValues,
    #[error("profile {profile:?} has no figures for {architecture}: it was measured with {known}")]
    Profile { profile: String, architecture: String, known: String },
}

impl DeviceMemory {
    pub fn total(&self) -> Bytes {
        self.model + self.context + self.compute
    }
}

/// Which GPUs are used, as indices, and how many blocks each computes, the output counted as one: what llama-server
/// makes of `-ts`, or of the free memory where there is none.
pub fn split(model: &Model, gpus: &[Gpu], request: &Request) -> Vec<(usize, u32)> {
    let used = devices::used(gpus, request);
    let shares = devices::shares(gpus, &used, request);
    let places = devices::assign(model.block_count as usize, &shares, request);
    let count = |at: usize| places.iter().filter(|place| usize::from(place.0) == at).count();
    let all = used.into_iter().enumerate();
    all.map(|(at, gpu)| (gpu, u32::try_from(count(at)).unwrap_or(u32::MAX))).collect()
}

/// The memory of one start of llama-server with these GPUs and flags.
pub fn estimate(model: &Model, gpus: &[Gpu], request: &Request) -> Result<Estimate, EstimateError> {
    let prepared = Prepared::new(model, gpus, request)?;
    let trial = prepared.requested()?;
    prepared.estimate(&trial)
}
