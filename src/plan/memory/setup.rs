//! One graph's settings, settled: what the request and the model amount to.

use super::graph::{Place, Ty};

/// The widths of the matrices that rotate a quantized cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rotation {
    pub(super) keys: Option<u64>,
    pub(super) values: Option<u64>,
}

#[expect(clippy::struct_excessive_bools, reason = "independent settings of the server")]
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Tokens of a full batch, a multiple of the sequences.
    pub(super) tokens: u64,
    pub(super) sequences: u64,
    /// Rows of logits.
    pub(super) outputs: u64,
    /// Positions per token: four with multi-axis rotation.
    pub(super) positions: u64,
    pub(super) mixed_batch: bool,
    pub(super) flash: bool,
    /// Whether the values are stored transposed.
    pub(super) transposed: bool,
    pub(super) offload_kv: bool,
    /// Whether every block and the output are on GPUs.
    pub(super) full_offload: bool,
    /// Whether there are two attention caches, one of them sliding.
    pub(super) iswa: bool,
    /// Parts of the cache that sequences do not share.
    pub(super) streams: u64,
    pub(super) cells: u64,
    pub(super) cells_swa: u64,
    pub(super) type_k: Ty,
    pub(super) type_v: Ty,
    /// Of the full cache and of the sliding one.
    pub(super) rotations: [Rotation; 2],
    /// Values per token of the widest block, to which a transposed cache is padded.
    pub(super) widest_values: u64,
    pub(super) clamp_kqv: bool,
    /// Where each block is computed.
    pub(super) layers: Vec<Place>,
    /// Where the embedding's second copy lies, if it is the output matrix too.
    pub(super) tied_output: Place,
    /// Experts per token, by block.
    pub(super) experts_used: Vec<u64>,
}
