//! A model as a person looks at it: types by role, layers by bytes, caches by type, and what is odd.
//!
//! Everything is read from the header or computed from it; [`fmt::Display`] draws it, serde hands it on.

mod caches;
mod layers;
mod quantization;
mod text;

use std::fmt;

use serde::Serialize;

use super::{Experts, Finding, Indexer, Latent, Model, Part, Role, Ssm, Window};
use crate::units::Bytes;
pub use caches::{CacheSize, Caches};
pub use layers::{LayerGroup, Mixer, RoleBytes};
pub use quantization::{RoleTypes, TypeShare};

/// What `composegen inspect` shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    pub architecture: String,
    pub name: Option<String>,
    pub parts: Vec<Part>,
    pub tensors: usize,
    /// Of all tensors.
    pub bytes: Bytes,
    /// Weights that one token reads: of the routed experts only those that are picked. Absent without experts.
    pub bytes_per_token: Option<Bytes>,
    pub block_count: u32,
    pub nextn: u32,
    pub context_length: u64,
    pub embedding_length: u64,
    pub vocabulary: u64,
    pub experts: Option<Experts>,
    pub window: Option<Window>,
    pub latent: Option<Latent>,
    pub ssm: Option<Ssm>,
    pub indexer: Option<Indexer>,
    /// The role with the most bytes first.
    pub quantization: Vec<RoleTypes>,
    /// Equal layers together, in the order of the first of each.
    pub layers: Vec<LayerGroup>,
    /// What belongs to no layer: embedding, output, its norm.
    pub outside: Vec<RoleBytes>,
    pub caches: Caches,
    pub odd: Vec<Finding>,
}

/// Looks at a model. Pure: the same model gives the same report.
pub fn inspect(model: &Model) -> Inspection {
    Inspection {
        architecture: model.architecture.clone(),
        name: model.name.clone(),
        parts: model.parts.clone(),
        tensors: model.tensors.len(),
        bytes: model.bytes(),
        bytes_per_token: bytes_per_token(model),
        block_count: model.block_count,
        nextn: model.nextn,
        context_length: model.context_length,
        embedding_length: model.embedding_length,
        vocabulary: model.vocabulary,
        experts: model.experts,
        window: model.window.clone(),
        latent: model.latent,
        ssm: model.ssm,
        indexer: model.indexer,
        quantization: quantization::of(model),
        layers: layers::of(model),
        outside: layers::outside(model),
        caches: caches::of(model),
        odd: odd(model),
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(self, f)
    }
}

/// The model's findings, and where one role has several quantized types, that.
fn odd(model: &Model) -> Vec<Finding> {
    let mut odd = model.findings.clone();
    for role in quantization::of(model) {
        let quantized = |share: &&TypeShare| share.dtype.is_quantized();
        let types: Vec<_> = role.types.iter().filter(quantized).map(|share| share.dtype).collect();
        if types.len() > 1 {
            odd.push(Finding::MixedTypes { role: role.role, types });
        }
    }
    odd
}

fn bytes_per_token(model: &Model) -> Option<Bytes> {
    let experts = model.experts?;
    let tied = model.tied_embeddings();
    let read = model.tensors.iter().filter(|tensor| !model.is_nextn(tensor)).map(|tensor| {
        match tensor.role {
            // Looked up by row, unless it is the output matrix as well.
            Role::Embedding if !(tied && tensor.name == "token_embd.weight") => 0,
            Role::RoutedExpert => {
                let picked =
                    u128::from(tensor.bytes.0) * u128::from(experts.used.min(experts.count));
                u64::try_from(picked / u128::from(experts.count)).unwrap_or(u64::MAX)
            }
            _ => tensor.bytes.0,
        }
    });
    Some(Bytes(read.fold(0, u64::saturating_add)))
}
