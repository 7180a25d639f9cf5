//! One tensor: its type, shape, strides and sources.

use super::{Home, Id, Place};

/// An element type as far as sizes go: `bytes` for each block of `block` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Ty {
    /// ggml's number of the type.
    pub(in super::super) id: u32,
    pub(in super::super) block: u32,
    pub(in super::super) bytes: u32,
}

impl Ty {
    pub(in super::super) const F32: Self = Self::new(0, 1, 4);
    pub(in super::super) const F16: Self = Self::new(1, 1, 2);
    pub(in super::super) const Q4_0: Self = Self::new(2, 32, 18);
    pub(in super::super) const Q8_0: Self = Self::new(8, 32, 34);
    pub(in super::super) const I32: Self = Self::new(26, 1, 4);
    pub(in super::super) const I64: Self = Self::new(27, 1, 8);
    pub(in super::super) const BF16: Self = Self::new(30, 1, 2);

    pub(in super::super) const fn new(id: u32, block: u32, bytes: u32) -> Self {
        Self { id, block, bytes }
    }

    pub(in super::super) const fn is_quantized(self) -> bool {
        self.block > 1
    }

    /// Bytes of `elements` in a row.
    pub(in super::super) const fn row(self, elements: u64) -> u64 {
        elements / self.block as u64 * self.bytes as u64
    }
}

/// What computes a tensor, as far as it decides who can run it and whether it may overwrite its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Op {
    /// A leaf, or a stand-in of the scheduler.
    None,
    View,
    Reshape,
    Permute,
    Transpose,
    /// Elementwise on one source and able to overwrite it: activation functions.
    Unary,
    Sigmoid,
    Softplus,
    Silu,
    Sqr,
    Sqrt,
    Scale,
    Clamp,
    Fill,
    Add,
    Sub,
    Mul,
    Div,
    AddId,
    RmsNorm,
    Norm,
    Glu,
    MulMat,
    /// A multiplication by a Hadamard matrix, which CUDA also does in f16.
    Hadamard,
    MulMatId,
    GetRows,
    SetRows,
    Cpy,
    Cont,
    Dup,
    Repeat,
    Concat,
    Pad,
    SumRows,
    Mean,
    Argsort,
    SoftMax,
    Rope,
    FlashAttn,
    SsmConv,
    SsmScan,
    GatedDeltaNet,
}

impl Op {
    /// Nodes that only look at another tensor's bytes.
    pub(in super::super) const fn is_view(self) -> bool {
        matches!(self, Self::View | Self::Reshape | Self::Permute | Self::Transpose)
    }

    /// Whether ggml's allocator may put the result where the source was.
    pub(in super::super) const fn can_overwrite(self) -> bool {
        matches!(
            self,
            Self::Unary
                | Self::Sigmoid
                | Self::Softplus
                | Self::Silu
                | Self::Sqr
                | Self::Sqrt
                | Self::Scale
                | Self::Clamp
                | Self::Fill
                | Self::Add
                | Self::Sub
                | Self::Mul
                | Self::Div
                | Self::AddId
                | Self::RmsNorm
                | Self::SoftMax
                | Self::Rope
        )
    }
}

/// Up to ten sources, like ggml.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Sources {
    ids: [Option<Id>; 10],
    /// Behind the last one.
    end: u8,
}

impl Sources {
    pub(in super::super) fn push(&mut self, id: Id) {
        let free = self.ids.iter().position(Option::is_none);
        self.set(free.unwrap_or(self.ids.len()), id);
    }

    pub(in super::super) fn iter(&self) -> impl Iterator<Item = Id> + '_ {
        let filled = self.ids.get(..usize::from(self.end)).unwrap_or_default();
        filled.iter().map_while(|id| *id)
    }

    /// All of them, gaps left out.
    pub(in super::super) fn all(&self) -> impl Iterator<Item = Id> + '_ {
        let filled = self.ids.get(..usize::from(self.end)).unwrap_or_default();
        filled.iter().filter_map(|id| *id)
    }

    pub(in super::super) fn get(&self, i: usize) -> Option<Id> {
        self.ids.get(i).copied().flatten()
    }

    pub(in super::super) fn set(&mut self, i: usize, id: Id) {
        if let Some(slot) = self.ids.get_mut(i) {
            *slot = Some(id);
            self.end = self.end.max(u8::try_from(i + 1).unwrap_or(u8::MAX));
        }
    }
}

impl FromIterator<Id> for Sources {
    fn from_iter<T: IntoIterator<Item = Id>>(ids: T) -> Self {
        let mut sources = Self::default();
        ids.into_iter().for_each(|id| sources.push(id));
        sources
    }
}

impl IntoIterator for Sources {
    type Item = Id;
    type IntoIter = Ids;

    fn into_iter(self) -> Ids {
        Ids { sources: self, next: 0 }
    }
}

/// All sources, gaps left out.
#[derive(Clone, Debug)]
pub(in super::super) struct Ids {
    sources: Sources,
    next: u8,
}

impl Iterator for Ids {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        while self.next < self.sources.end {
            let id = self.sources.get(usize::from(self.next));
            self.next += 1;
            if id.is_some() {
                return id;
            }
        }
        None
    }
}

#[derive(Clone, Debug)]
pub(in super::super) struct Tensor {
    pub(in super::super) op: Op,
    pub(in super::super) ty: Ty,
    /// Elements per dimension, the contiguous one first.
    pub(in super::super) ne: [u64; 4],
    /// Bytes from one element, row, matrix to the next.
    pub(in super::super) nb: [u64; 4],
    pub(in super::super) src: Sources,
    /// The tensor whose bytes this one looks at, and from which byte on.
    pub(in super::super) view: Option<(Id, u64)>,
    /// Set where the tensor has a buffer before the graph is allocated.
    pub(in super::super) home: Option<Home>,
    pub(in super::super) input: bool,
    pub(in super::super) output: bool,
    /// The backend that llama.cpp demands for this node.
    pub(in super::super) pinned: Option<Place>,
}

impl Tensor {
    pub(in super::super) fn new(op: Op, ty: Ty, ne: [u64; 4]) -> Self {
        Self {
            op,
            ty,
            ne,
            nb: strides(ty, ne),
            src: Sources::default(),
            view: None,
            home: None,
            input: false,
            output: false,
            pinned: None,
        }
    }

    pub(in super::super) fn elements(&self) -> u64 {
        self.ne.iter().product()
    }

    pub(in super::super) const fn rows(&self) -> u64 {
        self.ne[1] * self.ne[2] * self.ne[3]
    }

    /// From the first byte to the last, strides included.
    pub(in super::super) fn bytes(&self) -> u64 {
        if self.ne.contains(&0) {
            return 0;
        }
        let span = |from: usize| -> u64 {
            self.ne.iter().zip(self.nb).skip(from).map(|(n, stride)| (n - 1) * stride).sum()
        };
        if self.ty.block == 1 {
            u64::from(self.ty.bytes) + span(0)
        } else {
            self.ne[0] * self.nb[0] / u64::from(self.ty.block) + span(1)
        }
    }

    pub(in super::super) fn is_contiguous(&self) -> bool {
        self.is_contiguous_from(0)
    }

    /// Contiguous when the first `free` dimensions may have any stride among themselves.
    pub(in super::super) fn is_contiguous_from(&self, free: usize) -> bool {
        let mut next = u64::from(self.ty.bytes);
        if self.ne[0] != u64::from(self.ty.block) && self.nb[0] != next {
            return false;
        }
        next *= self.ne[0] / u64::from(self.ty.block);
        for (i, (n, stride)) in self.ne.iter().zip(self.nb).enumerate().skip(1) {
            if i > free {
                if *n != 1 && stride != next {
                    return false;
                }
                next *= n;
            } else {
                next = n * stride;
            }
        }
        true
    }

    /// Whether each row by itself is contiguous.
    pub(in super::super) fn has_contiguous_rows(&self) -> bool {
        self.ne[0] == u64::from(self.ty.block) || self.nb[0] == u64::from(self.ty.bytes)
    }

    pub(in super::super) fn same_layout(&self, other: &Self) -> bool {
        self.ty == other.ty && self.ne == other.ne && self.nb == other.nb
    }
}

pub(super) fn strides(ty: Ty, ne: [u64; 4]) -> [u64; 4] {
    let row = ty.row(ne[0]);
    [u64::from(ty.bytes), row, row * ne[1], row * ne[1] * ne[2]]
}
