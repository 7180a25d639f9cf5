//! The computation graph of one batch, reduced to what decides its memory: shapes, strides, sources and order.
//!
//! It mirrors how ggml creates tensors and lists nodes; it knows nothing of devices beyond where a tensor lives.

mod create;
mod tensor;

pub(super) use tensor::{Op, Sources, Tensor, Ty};

use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

/// A tensor of one graph: its number from 1 on, so that an absent one takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(NonZeroU32);

impl Id {
    fn of(index: usize) -> Self {
        Self(u32::try_from(index).map_or(NonZeroU32::MAX, |n| NonZeroU32::MIN.saturating_add(n)))
    }

    pub(super) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A backend of the scheduler: the GPUs in device order, then the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(pub(super) u8);

/// What a tensor that already has a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Home {
    Weight(Place),
    Cache(Place),
}

impl Home {
    pub(super) const fn place(self) -> Place {
        match self {
            Self::Weight(place) | Self::Cache(place) => place,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Graph {
    tensors: Vec<Tensor>,
    /// Whether a tensor already stands in `nodes` or `leafs`.
    listed: Vec<bool>,
    pub(super) nodes: Vec<Id>,
    pub(super) leafs: Vec<Id>,
    /// The last backend, to which nothing is a foreign buffer.
    pub(super) host: Place,
}

impl Graph {
    /// Empty, with room for about so many tensors.
    pub(super) fn new(host: Place, tensors: usize) -> Self {
        Self {
            tensors: Vec::with_capacity(tensors),
            listed: Vec::with_capacity(tensors),
            nodes: Vec::with_capacity(tensors),
            leafs: Vec::with_capacity(tensors / 4),
            host,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tensors.len()
    }

    /// The tensors made from the `from`th on.
    pub(super) fn ids(&self, from: usize) -> impl Iterator<Item = Id> + use<> {
        (from..self.tensors.len()).map(Id::of)
    }

    pub(super) fn add(&mut self, tensor: Tensor) -> Id {
        let id = Id::of(self.tensors.len());
        self.tensors.push(tensor);
        self.listed.push(false);
        id
    }

    /// Lists a tensor after everything that it is computed from, sources from left to right.
    #[expect(clippy::indexing_slicing, reason = "an `Id` is made by the graph that it indexes")]
    pub(super) fn expand(&mut self, id: Id) {
        if std::mem::replace(&mut self.listed[id.index()], true) {
            return;
        }
        for source in self[id].src {
            self.expand(source);
        }
        if self[id].op == Op::None {
            self.leafs.push(id);
        } else {
            self.nodes.push(id);
        }
    }
}

impl Index<Id> for Graph {
    type Output = Tensor;

    #[expect(clippy::indexing_slicing, reason = "an `Id` is made by the graph that it indexes")]
    fn index(&self, id: Id) -> &Tensor {
        &self.tensors[id.index()]
    }
}

impl IndexMut<Id> for Graph {
    #[expect(clippy::indexing_slicing, reason = "an `Id` is made by the graph that it indexes")]
    fn index_mut(&mut self, id: Id) -> &mut Tensor {
        &mut self.tensors[id.index()]
    }
}
