//! What the caller fills in: tokens, positions, masks, indices into the caches.

use super::super::graph::{Id, Op, Ty};
use super::Builder;
use super::recipe::EmbeddingScale;

/// The inputs of one kind of attention cache.
#[derive(Clone, Copy, Default)]
pub(super) struct CacheInputs {
    pub(super) k_ids: Option<Id>,
    pub(super) v_ids: Option<Id>,
    pub(super) mask: Option<Id>,
    pub(super) k_rot: Option<Id>,
    pub(super) v_rot: Option<Id>,
}

/// Each made when it is first used.
#[derive(Default)]
pub(super) struct Inputs {
    pos: Option<Id>,
    out_ids: Option<Id>,
    attn_scale: Option<Id>,
    /// The embedding with the features that later blocks add.
    wide_embedding: Option<Id>,
    /// What each block gets of its own: `[width, tokens, blocks]`.
    pub(super) per_layer: Option<Id>,
    states: Option<Id>,
    /// The states that the batch's sequences go on from, and those that are only moved.
    state_parts: Option<[Id; 2]>,
    /// Of the full cache, then of the sliding one.
    pub(super) caches: [CacheInputs; 2],
}

impl Builder<'_> {
    /// Tokens looked up, or vectors given, or both mixed: llama.cpp builds all three.
    ///
    /// Models with deep-stacked vision features get wider rows, of which the first part is the embedding.
    pub(super) fn embedding(&mut self, scale: EmbeddingScale) -> Option<Id> {
        let (tokens, width) = (self.setup.tokens, self.model.embedding_length);
        let wide = width * (1 + self.deep_stacks());
        let table = self.outer("token_embd.weight")?;
        let ids = self.g.input(Ty::I32, [tokens, 1, 1, 1]);
        let looked_up = self.looked_up(table, ids, wide);
        let given = self.g.input(Ty::F32, [wide, tokens, 1, 1]);
        self.g.expand(looked_up);
        self.g.expand(given);
        if self.setup.mixed_batch {
            let ids = self.g.input(Ty::I32, [tokens, 1, 1, 1]);
            let slots = self.g.input(Ty::I64, [tokens, 1, 1, 1]);
            let rows = self.g.input(Ty::F32, [wide, tokens, 1, 1]);
            let copy = self.g.unary(Op::Dup, rows);
            let more = self.looked_up(table, ids, wide);
            let mixed = self.g.set_rows(copy, more, slots);
            self.g.expand(mixed);
        }
        let mut cur = looked_up;
        if wide != width {
            let row = self.g[cur].nb[1];
            self.inputs.wide_embedding = Some(cur);
            cur = self.g.view_2d(cur, [width, tokens], row, 0);
        }
        match scale {
            EmbeddingScale::None => {}
            EmbeddingScale::Constant => cur = self.g.unary(Op::Scale, cur),
            EmbeddingScale::Rows => {
                let scale = self.g.input(Ty::F32, [1, tokens, 1, 1]);
                cur = self.g.mul(cur, scale);
            }
        }
        self.g.expand(cur);
        Some(cur)
    }

    fn looked_up(&mut self, table: Id, ids: Id, wide: u64) -> Id {
        let rows = self.g.get_rows(table, ids);
        let missing = wide - self.g[rows].ne[0].min(wide);
        if missing > 0 { self.g.pad(rows, [missing, 0, 0, 0]) } else { rows }
    }

    fn deep_stacks(&self) -> u64 {
        self.model.arch_u64("n_deepstack_layers").unwrap_or(0)
    }

    /// Adds the block's part of the vision features.
    pub(super) fn stacked(&mut self, il: usize, x: Id) -> Id {
        let Some(wide) = self.inputs.wide_embedding else { return x };
        if il as u64 >= self.deep_stacks() {
            return x;
        }
        let (width, row) = (self.model.embedding_length, self.g[wide].nb[1]);
        let tokens = self.setup.tokens;
        let part = self.g.view_2d(wide, [width, tokens], row, (il as u64 + 1) * width * 4);
        self.g.add2(x, part)
    }

    pub(super) fn pos(&mut self) -> Id {
        let count = self.setup.tokens * self.setup.positions;
        *self.inputs.pos.get_or_insert_with(|| self.g.input(Ty::I32, [count, 1, 1, 1]))
    }

    /// The rows whose logits are wanted.
    pub(super) fn out_ids(&mut self) -> Id {
        let count = self.setup.outputs;
        *self.inputs.out_ids.get_or_insert_with(|| self.g.input(Ty::I32, [count, 1, 1, 1]))
    }

    pub(super) fn attn_scale(&mut self) -> Id {
        let count = self.setup.tokens;
        *self.inputs.attn_scale.get_or_insert_with(|| self.g.input(Ty::F32, [1, 1, count, 1]))
    }

    /// Which recurrent state each sequence goes on from.
    pub(super) fn states(&mut self) -> Id {
        let count = self.setup.sequences;
        *self.inputs.states.get_or_insert_with(|| self.g.input(Ty::I32, [count, 1, 1, 1]))
    }

    /// Looks at the first `sequences` of `states`, and at all but the first.
    pub(super) fn state_parts(&mut self) -> [Id; 2] {
        if let Some(parts) = self.inputs.state_parts {
            return parts;
        }
        let (ids, count) = (self.states(), self.setup.sequences);
        let main = self.g.view(ids, [count, 1, 1, 1], [count * 4; 3], 0);
        let tail = self.g.view(ids, [count - 1, 1, 1, 1], [(count - 1) * 4; 3], 4);
        self.inputs.state_parts = Some([main, tail]);
        [main, tail]
    }
}
