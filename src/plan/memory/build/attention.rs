//! Attention: projections, the caches, and flash or explicit attention.

use super::super::graph::{Home, Id, Op, Ty};
use super::Builder;

/// What one attention needs beside its three inputs.
#[derive(Clone, Copy, Default)]
pub(super) struct Attention<'n> {
    /// The output projection's name, `attn_output` mostly.
    pub(super) out: Option<&'n str>,
    pub(super) sinks: Option<Id>,
    /// Decompresses the values of latent attention.
    pub(super) v_mla: Option<Id>,
    /// Caps the scores before the softmax (only seen without flash attention).
    pub(super) soft_cap: bool,
    /// The block whose cache is used, where it is another one's.
    pub(super) cache_of: Option<usize>,
}

/// Heads and their widths in one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub(super) q: u64,
    pub(super) kv: u64,
    pub(super) key: u64,
    pub(super) value: u64,
}

impl Builder<'_> {
    pub(super) fn heads(&self, il: usize) -> Option<Heads> {
        let layer = self.model.layers.get(il)?;
        Some(Heads {
            q: layer.heads,
            kv: layer.kv_heads,
            key: layer.key_length,
            value: layer.value_length,
        })
    }

    /// Queries, keys and values, each `[width, heads, tokens]`.
    pub(super) fn qkv(&mut self, il: usize, x: Id) -> Option<[Id; 3]> {
        let heads = self.heads(il)?;
        let tokens = self.setup.tokens;
        if self.has(il, "attn_qkv.weight") {
            let fused = self.fused(il, x)?;
            let (size, row) = (u64::from(self.g[fused].ty.bytes), self.g[fused].nb[1]);
            let (q, k) = (heads.key * heads.q, heads.key * heads.kv);
            let mut part = |width: u64, count: u64, from: u64| {
                self.g.view_3d(fused, [width, count, tokens], [width * size, row], from * size)
            };
            return Some([
                part(heads.key, heads.q, 0),
                part(heads.key, heads.kv, q),
                part(heads.value, heads.kv, q + k),
            ]);
        }
        let [q, k, v] = self.flat_qkv(il, x)?;
        Some([
            self.g.reshape(q, [heads.key, heads.q, tokens, 1]),
            self.g.reshape(k, [heads.key, heads.kv, tokens, 1]),
            self.g.reshape(v, [heads.value, heads.kv, tokens, 1]),
        ])
    }

    fn fused(&mut self, il: usize, x: Id) -> Option<Id> {
        let fused = self.biased(il, "attn_qkv", x)?;
        if self.has(il, "attn_qkv.bias") || !self.has(il, "attn_q.bias") {
            return Some(self.clamped(fused));
        }
        let [q, k, v] = ["attn_q.bias", "attn_k.bias", "attn_v.bias"].map(|name| self.w(il, name));
        let qk = self.g.concat(q?, k?, 0);
        let bias = self.g.concat(qk, v?, 0);
        let sum = self.g.add2(fused, bias);
        Some(self.clamped(sum))
    }

    fn clamped(&mut self, x: Id) -> Id {
        if self.setup.clamp_kqv { self.g.unary(Op::Clamp, x) } else { x }
    }

    /// The projections as rows, one per token.
    pub(super) fn flat_qkv(&mut self, il: usize, x: Id) -> Option<[Id; 3]> {
        let mut project = |name: &str| {
            let y = self.biased(il, name, x)?;
            Some(self.clamped(y))
        };
        let [q, k, v] = ["attn_q", "attn_k", "attn_v"].map(&mut project);
        Some([q?, k?, v?])
    }

    /// The same, cut out of a fused projection where the file has one.
    pub(super) fn row_qkv(&mut self, il: usize, x: Id, widths: [u64; 3]) -> Option<[Id; 3]> {
        if !self.has(il, "attn_qkv.weight") {
            return self.flat_qkv(il, x);
        }
        let fused = self.biased(il, "attn_qkv", x)?;
        let (size, row) = (u64::from(self.g[fused].ty.bytes), self.g[fused].nb[1]);
        let tokens = self.setup.tokens;
        let mut from = 0;
        Some(widths.map(|width| {
            let part = self.g.view_2d(fused, [width, tokens], row, from * size);
            from += width;
            self.g.cont(part)
        }))
    }

    fn is_sliding(&self, il: usize) -> bool {
        self.model.layers.get(il).is_some_and(|layer| layer.sliding)
    }

    /// Stores keys and values in the block's cache and attends over all of it.
    pub(super) fn attention(
        &mut self,
        il: usize,
        [mut q, mut k, mut v]: [Id; 3],
        how: Attention<'_>,
    ) -> Option<Id> {
        let swa = usize::from(self.is_sliding(il));
        let rot = self.rotations(il);
        if let Some(rot) = rot.0 {
            q = self.g.hadamard(q, rot);
            k = self.g.hadamard(k, rot);
        }
        if let Some(rot) = rot.1 {
            v = self.g.hadamard(v, rot);
        }
        self.g.expand(q);
        // Plain caches list the values first, so that the keys' rotation can be fused with the copy.
        for id in if self.setup.iswa { [k, v] } else { [v, k] } {
            self.g.expand(id);
        }
        let (stored_k, stored_v) = (self.cache(il, false)?, self.cache(il, true)?);
        let k_ids = self.k_ids(swa);
        let copy_k = self.store(stored_k, k, k_ids);
        self.g.expand(copy_k);
        let v_ids = self.v_ids(swa);
        let copy_v = self.store_values(stored_v, v, v_ids);
        self.g.expand(copy_v);
        let cached = [self.cached_keys(il, stored_k)?, self.cached_values(il, stored_v)?];
        let cur = self.attend(il, q, cached, how);
        let cur = match rot.1 {
            Some(rot) => self.g.hadamard(cur, rot),
            None => cur,
        };
        self.project(il, cur, how.out)
    }

    /// Attends over another block's cache.
    pub(super) fn attention_shared(
        &mut self,
        il: usize,
        mut q: Id,
        how: Attention<'_>,
    ) -> Option<Id> {
        let owner = how.cache_of.unwrap_or(il);
        let rot = self.rotations(il);
        if let Some(rot) = rot.0 {
            q = self.g.hadamard(q, rot);
        }
        self.g.expand(q);
        let (stored_k, stored_v) = (self.cache(owner, false)?, self.cache(owner, true)?);
        let cached = [self.cached_keys(owner, stored_k)?, self.cached_values(owner, stored_v)?];
        let cur = self.attend(il, q, cached, how);
        let cur = match rot.1 {
            Some(rot) => self.g.hadamard(cur, rot),
            None => cur,
        };
        self.project(il, cur, how.out)
    }

    pub(super) fn project(&mut self, il: usize, cur: Id, out: Option<&str>) -> Option<Id> {
        match out {
            Some(name) => self.biased(il, name, cur),
            None => Some(cur),
        }
    }

    /// The Hadamard matrices of keys and values, where the cache is quantized.
    fn rotations(&mut self, il: usize) -> (Option<Id>, Option<Id>) {
        let swa = usize::from(self.is_sliding(il));
        let Some(rotation) = self.setup.rotations.get(swa).copied() else { return (None, None) };
        let mut make = |n: Option<u64>, values: bool| {
            let n = n?;
            let inputs = self.inputs.caches.get_mut(swa)?;
            let slot = if values { &mut inputs.v_rot } else { &mut inputs.k_rot };
            Some(*slot.get_or_insert_with(|| self.g.input(Ty::F32, [n, n, 1, 1])))
        };
        (make(rotation.keys, false), make(rotation.values, true))
    }

    pub(super) fn k_ids(&mut self, swa: usize) -> Id {
        let tokens = self.setup.tokens;
        let made = self.inputs.caches.get(swa).and_then(|inputs| inputs.k_ids);
        let id = made.unwrap_or_else(|| self.g.input(Ty::I64, [tokens, 1, 1, 1]));
        if let Some(inputs) = self.inputs.caches.get_mut(swa) {
            inputs.k_ids = Some(id);
        }
        id
    }

    fn v_ids(&mut self, swa: usize) -> Id {
        let each = if self.setup.transposed { self.setup.widest_values } else { 1 };
        let count = self.setup.tokens * each;
        let made = self.inputs.caches.get(swa).and_then(|inputs| inputs.v_ids);
        let id = made.unwrap_or_else(|| self.g.input(Ty::I64, [count, 1, 1, 1]));
        if let Some(inputs) = self.inputs.caches.get_mut(swa) {
            inputs.v_ids = Some(id);
        }
        id
    }

    fn mask(&mut self, swa: usize) -> Id {
        let ty = if self.setup.flash { Ty::F16 } else { Ty::F32 };
        let streams = self.setup.streams;
        let ne = [self.cells(swa), self.setup.tokens / streams, 1, streams];
        let made = self.inputs.caches.get(swa).and_then(|inputs| inputs.mask);
        let id = made.unwrap_or_else(|| self.g.input(ty, ne));
        if let Some(inputs) = self.inputs.caches.get_mut(swa) {
            inputs.mask = Some(id);
        }
        id
    }

    fn cells(&self, swa: usize) -> u64 {
        if swa == 1 { self.setup.cells_swa } else { self.setup.cells }
    }

    /// The cache tensor of a block: `[values per token, cells, streams]`.
    pub(super) fn cache(&mut self, il: usize, values: bool) -> Option<Id> {
        let cache = self.model.layers.get(il)?.cache?;
        let cells = self.cells(usize::from(self.is_sliding(il)));
        let (ty, width) = if values {
            let width = if self.setup.transposed { self.setup.widest_values } else { cache.value };
            (self.setup.type_v, width)
        } else {
            (self.setup.type_k, cache.key)
        };
        let place = if self.setup.offload_kv { self.place_of(il) } else { self.rig.host() };
        Some(self.g.resident(ty, [width, cells, self.setup.streams, 1], Home::Cache(place)))
    }

    /// Copies one batch's rows, all heads of a token in one row, into the cache.
    pub(super) fn store(&mut self, cache: Id, rows: Id, ids: Id) -> Id {
        let [width, heads, tokens, _] = self.g[rows].ne;
        let row = self.g[rows].nb[2];
        let rows = self.g.view_2d(rows, [width * heads, tokens], row, 0);
        let to = self.merged(cache);
        self.g.set_rows(to, rows, ids)
    }

    fn merged(&mut self, cache: Id) -> Id {
        let [width, cells, streams, _] = self.g[cache].ne;
        if streams > 1 { self.g.reshape(cache, [width, cells * streams, 1, 1]) } else { cache }
    }

    /// Without flash attention the values are stored transposed, element by element.
    fn store_values(&mut self, cache: Id, rows: Id, ids: Id) -> Id {
        if !self.setup.transposed {
            return self.store(cache, rows, ids);
        }
        let [width, heads, tokens, _] = self.g[rows].ne;
        let flat = [width * heads, tokens, 1, 1];
        let dense = self.g[rows].nb[2] == self.g[rows].ty.row(width * heads);
        let mut rows = if dense { self.g.reshape(rows, flat) } else { self.g.cont_as(rows, flat) };
        let missing = self.g[cache].ne[0].saturating_sub(width * heads);
        if missing > 0 {
            rows = self.g.pad(rows, [missing, 0, 0, 0]);
        }
        let all = self.g[cache].elements();
        let to = self.g.reshape(cache, [1, all, 1, 1]);
        let count = self.g[rows].elements();
        let rows = self.g.reshape(rows, [1, count, 1, 1]);
        self.g.set_rows(to, rows, ids)
    }

    pub(super) fn cached_keys(&mut self, il: usize, cache: Id) -> Option<Id> {
        let heads = self.heads(il)?;
        let kv = self.model.layers.get(il)?.cache?.key / heads.key.max(1);
        Some(self.rows_by_head(cache, heads.key, kv))
    }

    fn rows_by_head(&mut self, cache: Id, width: u64, heads: u64) -> Id {
        let ([all, cells, streams, _], ty) = (self.g[cache].ne, self.g[cache].ty);
        let nb = [ty.row(width), ty.row(all), ty.row(all * cells)];
        self.g.view(cache, [width, heads, cells, streams], nb, 0)
    }

    fn cached_values(&mut self, il: usize, cache: Id) -> Option<Id> {
        let heads = self.heads(il)?;
        let kv = self.model.layers.get(il)?.cache?.value / heads.value.max(1);
        if !self.setup.transposed {
            return Some(self.rows_by_head(cache, heads.value, kv));
        }
        let ([all, cells, streams, _], ty) = (self.g[cache].ne, self.g[cache].ty);
        let nb = [ty.row(cells * heads.value), ty.row(cells), ty.row(cells * all)];
        Some(self.g.view(cache, [cells, kv, heads.value, streams], nb, 0))
    }

    /// Scores, softmax and weighted values, split into streams.
    pub(super) fn attend(&mut self, il: usize, q: Id, [k, v]: [Id; 2], how: Attention<'_>) -> Id {
        let mask = self.mask(usize::from(self.is_sliding(il)));
        let transposed = self.g[v].nb[1] > self.g[v].nb[2];
        let streams = self.g[k].ne[3];
        let (ne, nb) = (self.g[q].ne, self.g[q].nb);
        let each = ne[2] / streams;
        let q = self.g.view(q, [ne[0], ne[1], each, streams], [nb[1], nb[2], nb[2] * each], 0);
        let [q, k, v] = [q, k, v].map(|x| self.g.permute(x, [0, 2, 1, 3]));
        let cur = if self.setup.flash {
            self.flash(il, [q, k, v, mask], transposed, how)
        } else {
            self.explicit(q, k, v, mask, transposed, how)
        };
        self.g.expand(cur);
        cur
    }

    fn flash(
        &mut self,
        il: usize,
        [q, k, v, mask]: [Id; 4],
        transposed: bool,
        how: Attention<'_>,
    ) -> Id {
        let v = if transposed { self.g.transpose(v) } else { v };
        let [k, v] =
            [k, v].map(|x| if self.g[x].ty == Ty::F32 { self.g.cast(x, Ty::F16) } else { x });
        let mut cur = self.g.flash_attn([q, k, v, mask], how.sinks);
        self.flash_nodes.push((cur, il));
        if let Some(v_mla) = how.v_mla {
            cur = self.g.permute(cur, [0, 2, 1, 3]);
            cur = self.g.mul_mat(v_mla, cur);
            cur = self.g.permute(cur, [0, 2, 1, 3]);
            cur = self.g.cont(cur);
        }
        let [n0, n1, n2, n3] = self.g[cur].ne;
        self.g.reshape(cur, [n0 * n1, n2 * n3, 1, 1])
    }

    fn explicit(
        &mut self,
        q: Id,
        k: Id,
        v: Id,
        mask: Id,
        transposed: bool,
        how: Attention<'_>,
    ) -> Id {
        let mut scores = self.g.mul_mat(k, q);
        if how.soft_cap {
            for op in [Op::Scale, Op::Unary, Op::Scale] {
                scores = self.g.unary(op, scores);
            }
        }
        let scores = self.g.soft_max(scores, Some(mask), how.sinks);
        let v = if transposed {
            v
        } else {
            let v = self.g.transpose(v);
            self.g.cont(v)
        };
        let mut cur = self.g.mul_mat(v, scores);
        if let Some(v_mla) = how.v_mla {
            cur = self.g.mul_mat(v_mla, cur);
        }
        let cur = self.g.permute(cur, [0, 2, 1, 3]);
        let [n0, n1, n2, n3] = self.g[cur].ne;
        let cur = self.g.cont_as(cur, [n0 * n1, n2 * n3, 1, 1]);
        if !self.setup.offload_kv {
            self.g[cur].pinned = Some(self.rig.host());
        }
        cur
    }
}
