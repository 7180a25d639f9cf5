//! How each operation shapes its result, after ggml's constructors.

#![expect(
    clippy::many_single_char_names,
    reason = "q, k, v and their like are the words of the trade"
)]

use super::tensor::strides;
use super::{Graph, Home, Id, Op, Sources, Tensor, Ty};

type Shape = [u64; 4];

impl Graph {
    /// A tensor that the caller fills before each batch.
    pub(in super::super) fn input(&mut self, ty: Ty, ne: Shape) -> Id {
        self.add(Tensor { input: true, ..Tensor::new(Op::None, ty, ne) })
    }

    /// A tensor with a buffer of its own: a weight or a cache.
    pub(in super::super) fn resident(&mut self, ty: Ty, ne: Shape, home: Home) -> Id {
        self.add(Tensor { home: Some(home), ..Tensor::new(Op::None, ty, ne) })
    }

    /// An operation with a result of its own.
    pub(in super::super) fn emit<const N: usize>(
        &mut self,
        op: Op,
        ty: Ty,
        ne: Shape,
        src: [Id; N],
    ) -> Id {
        self.add(Tensor { src: Sources::from_iter(src), ..Tensor::new(op, ty, ne) })
    }

    /// An operation whose result has the shape of its first source.
    pub(in super::super) fn like<const N: usize>(&mut self, op: Op, a: Id, rest: [Id; N]) -> Id {
        let (ty, ne) = (self[a].ty, self[a].ne);
        let src = std::iter::once(a).chain(rest).collect();
        self.add(Tensor { src, ..Tensor::new(op, ty, ne) })
    }

    /// A node that looks at `of`, from `offset` bytes into it.
    fn look(&mut self, op: Op, of: Id, ne: Shape, nb: [u64; 4], offset: u64) -> Id {
        let (root, base) = self[of].view.unwrap_or((of, 0));
        let ty = self[of].ty;
        self.add(Tensor {
            nb,
            src: Sources::from_iter([of]),
            view: Some((root, base + offset)),
            ..Tensor::new(op, ty, ne)
        })
    }

    /// A view with the strides of dimensions 1 to 3.
    pub(in super::super) fn view(&mut self, a: Id, ne: Shape, nb: [u64; 3], offset: u64) -> Id {
        let first = u64::from(self[a].ty.bytes);
        self.look(Op::View, a, ne, [first, nb[0], nb[1], nb[2]], offset)
    }

    pub(in super::super) fn view_2d(&mut self, a: Id, ne: [u64; 2], nb1: u64, offset: u64) -> Id {
        let plane = nb1 * ne[1];
        self.view(a, [ne[0], ne[1], 1, 1], [nb1, plane, plane], offset)
    }

    pub(in super::super) fn view_3d(
        &mut self,
        a: Id,
        ne: [u64; 3],
        nb: [u64; 2],
        offset: u64,
    ) -> Id {
        self.view(a, [ne[0], ne[1], ne[2], 1], [nb[0], nb[1], nb[1] * ne[2]], offset)
    }

    /// The same bytes under another shape.
    pub(in super::super) fn reshape(&mut self, a: Id, ne: Shape) -> Id {
        let nb = strides(self[a].ty, ne);
        self.look(Op::Reshape, a, ne, nb, 0)
    }

    /// `axes[i]` says which dimension the source's dimension `i` becomes.
    pub(in super::super) fn permute(&mut self, a: Id, axes: [usize; 4]) -> Id {
        let (shape, steps) = (self[a].ne, self[a].nb);
        let (mut ne, mut nb) = (shape, steps);
        for (axis, (n, stride)) in axes.into_iter().zip(shape.into_iter().zip(steps)) {
            if let (Some(to_n), Some(to_stride)) = (ne.get_mut(axis), nb.get_mut(axis)) {
                (*to_n, *to_stride) = (n, stride);
            }
        }
        self.look(Op::Permute, a, ne, nb, 0)
    }

    pub(in super::super) fn transpose(&mut self, a: Id) -> Id {
        let ([n0, n1, n2, n3], [b0, b1, b2, b3]) = (self[a].ne, self[a].nb);
        self.look(Op::Transpose, a, [n1, n0, n2, n3], [b1, b0, b2, b3], 0)
    }

    pub(in super::super) fn unary(&mut self, op: Op, a: Id) -> Id {
        self.like(op, a, [])
    }

    /// An operation written over its source, as `ggml_scale_inplace` is.
    pub(in super::super) fn in_place(&mut self, op: Op, a: Id) -> Id {
        let (ne, nb) = (self[a].ne, self[a].nb);
        self.look(op, a, ne, nb, 0)
    }

    pub(in super::super) fn add2(&mut self, a: Id, b: Id) -> Id {
        self.like(Op::Add, a, [b])
    }

    pub(in super::super) fn mul(&mut self, a: Id, b: Id) -> Id {
        self.like(Op::Mul, a, [b])
    }

    pub(in super::super) fn mul_mat(&mut self, a: Id, b: Id) -> Id {
        let [_, rows, ..] = self[a].ne;
        let [_, n1, n2, n3] = self[b].ne;
        self.emit(Op::MulMat, Ty::F32, [rows, n1, n2, n3], [a, b])
    }

    pub(in super::super) fn mul_mat_id(&mut self, a: Id, b: Id, ids: Id) -> Id {
        let ne = [self[a].ne[1], self[ids].ne[0], self[b].ne[2], 1];
        self.emit(Op::MulMatId, Ty::F32, ne, [a, b, ids])
    }

    /// Rows of `width` multiplied by a square Hadamard matrix.
    pub(in super::super) fn hadamard(&mut self, a: Id, rot: Id) -> Id {
        let (ne, n) = (self[a].ne, self[rot].ne[0]);
        let flat = [n, self[a].elements() / n, 1, 1];
        let rows =
            if self[a].is_contiguous() { self.reshape(a, flat) } else { self.cont_as(a, flat) };
        let turned = self.emit(Op::Hadamard, Ty::F32, flat, [rot, rows]);
        self.reshape(turned, ne)
    }

    pub(in super::super) fn cont(&mut self, a: Id) -> Id {
        self.like(Op::Cont, a, [])
    }

    pub(in super::super) fn cont_as(&mut self, a: Id, ne: Shape) -> Id {
        let ty = self[a].ty;
        self.emit(Op::Cont, ty, ne, [a])
    }

    pub(in super::super) fn cast(&mut self, a: Id, ty: Ty) -> Id {
        let ne = self[a].ne;
        self.emit(Op::Cpy, ty, ne, [a])
    }

    /// Copies `a` into the bytes of `to`.
    pub(in super::super) fn copy_into(&mut self, a: Id, to: Id) -> Id {
        let (ne, nb) = (self[to].ne, self[to].nb);
        let id = self.look(Op::Cpy, to, ne, nb, 0);
        self[id].src = Sources::from_iter([a, to]);
        id
    }

    pub(in super::super) fn get_rows(&mut self, a: Id, ids: Id) -> Id {
        let ty = if self[a].ty == Ty::I32 { Ty::I32 } else { Ty::F32 };
        let [n1, n2, n3, _] = self[ids].ne;
        self.emit(Op::GetRows, ty, [self[a].ne[0], n1, n2, n3], [a, ids])
    }

    pub(in super::super) fn set_rows(&mut self, to: Id, rows: Id, ids: Id) -> Id {
        let (ne, nb) = (self[to].ne, self[to].nb);
        let id = self.look(Op::SetRows, to, ne, nb, 0);
        self[id].src = Sources::from_iter([rows, ids, to]);
        id
    }

    pub(in super::super) fn repeat(&mut self, a: Id, ne: Shape) -> Id {
        let ty = self[a].ty;
        self.emit(Op::Repeat, ty, ne, [a])
    }

    pub(in super::super) fn concat(&mut self, a: Id, b: Id, dim: usize) -> Id {
        let (ty, mut ne) = (self[a].ty, self[a].ne);
        if let (Some(n), Some(more)) = (ne.get_mut(dim), self[b].ne.get(dim)) {
            *n += more;
        }
        self.emit(Op::Concat, ty, ne, [a, b])
    }

    /// Grows the dimensions by the given numbers of elements.
    pub(in super::super) fn pad(&mut self, a: Id, by: Shape) -> Id {
        let (ty, [n0, n1, n2, n3]) = (self[a].ty, self[a].ne);
        let ne = [n0 + by[0], n1 + by[1], n2 + by[2], n3 + by[3]];
        self.emit(Op::Pad, ty, ne, [a])
    }

    pub(in super::super) fn sum_rows(&mut self, a: Id) -> Id {
        let [_, n1, n2, n3] = self[a].ne;
        let ty = self[a].ty;
        self.emit(Op::SumRows, ty, [1, n1, n2, n3], [a])
    }

    /// Sorts every row and looks at the first `k` places.
    pub(in super::super) fn argsort_top_k(&mut self, a: Id, k: u64) -> Id {
        let ne = self[a].ne;
        let sorted = self.emit(Op::Argsort, Ty::I32, ne, [a]);
        let [_, b1, b2, b3] = self[sorted].nb;
        self.view(sorted, [k, ne[1], ne[2], ne[3]], [b1, b2, b3], 0)
    }

    /// Gated activation of two tensors.
    pub(in super::super) fn glu(&mut self, gate: Id, up: Id) -> Id {
        let (ty, ne) = (self[gate].ty, self[gate].ne);
        self.emit(Op::Glu, ty, ne, [gate, up])
    }

    /// Gated activation of the two halves of each row.
    pub(in super::super) fn glu_halves(&mut self, a: Id) -> Id {
        let (ty, [n0, n1, n2, n3]) = (self[a].ty, self[a].ne);
        self.emit(Op::Glu, ty, [n0 / 2, n1, n2, n3], [a])
    }

    pub(in super::super) fn rope(&mut self, a: Id, pos: Id, factors: Option<Id>) -> Id {
        match factors {
            Some(factors) => self.like(Op::Rope, a, [pos, factors]),
            None => self.like(Op::Rope, a, [pos]),
        }
    }

    pub(in super::super) fn soft_max(&mut self, a: Id, mask: Option<Id>, sinks: Option<Id>) -> Id {
        let id = self.like(Op::SoftMax, a, []);
        if let Some(mask) = mask {
            self[id].src.set(1, mask);
        }
        if let Some(sinks) = sinks {
            self[id].src.set(2, sinks);
        }
        id
    }

    pub(in super::super) fn flash_attn(
        &mut self,
        [q, k, v, mask]: [Id; 4],
        sinks: Option<Id>,
    ) -> Id {
        let ne = [self[v].ne[0], self[q].ne[2], self[q].ne[1], self[q].ne[3]];
        let id = self.emit(Op::FlashAttn, Ty::F32, ne, [q, k, v, mask]);
        if let Some(sinks) = sinks {
            self[id].src.push(sinks);
        }
        id
    }

    pub(in super::super) fn ssm_conv(&mut self, x: Id, kernel: Id) -> Id {
        let [width, channels, ..] = self[kernel].ne;
        let [n, _, sequences, _] = self[x].ne;
        self.emit(Op::SsmConv, Ty::F32, [channels, n + 1 - width, sequences, 1], [x, kernel])
    }

    pub(in super::super) fn ssm_scan(&mut self, [s, x, dt, a, b, c, ids]: [Id; 7]) -> Id {
        let [s0, s1, s2, _] = self[s].ne;
        let n = self[x].elements() + s0 * s1 * s2 * self[ids].ne[0];
        self.emit(Op::SsmScan, Ty::F32, [n, 1, 1, 1], [s, x, dt, a, b, c, ids])
    }

    pub(in super::super) fn gated_delta_net(&mut self, src: [Id; 6]) -> Id {
        let [size, heads, tokens, sequences] = self[src[2]].ne;
        let ne = [size * heads, tokens * sequences + size * sequences, 1, 1];
        self.emit(Op::GatedDeltaNet, Ty::F32, ne, src)
    }
}
