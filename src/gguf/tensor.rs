//! One tensor of a model: name, type, shape, bytes and where it lies. Its values are never read.

use serde::Serialize;

use super::{DType, Role};
use crate::units::Bytes;

/// A tensor as its header describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tensor {
    pub name: String,
    pub dtype: DType,
    /// In ggml's order: the first is the one whose values lie side by side.
    pub dims: Vec<u64>,
    /// ggml's `nbytes`, without padding; zero where an unknown type could not be sized.
    pub bytes: Bytes,
    /// From the start of its part's tensor data.
    pub offset: u64,
    /// Which file of the model it is in, from 0.
    pub part: usize,
    /// The `N` of `blk.N.`.
    pub layer: Option<u32>,
    pub role: Role,
}

impl Tensor {
    /// A dimension by index; beyond the last it is 1, as in ggml.
    pub fn dim(&self, index: usize) -> u64 {
        self.dims.get(index).copied().unwrap_or(1)
    }

    pub fn elements(&self) -> u64 {
        self.dims.iter().fold(1, |product, dim| product.saturating_mul(*dim))
    }

    /// The name after `blk.N.`, or the whole name outside of blocks.
    pub fn base(&self) -> &str {
        super::role::split(&self.name).map_or(&self.name, |(_, rest)| rest)
    }
}
