//! What the caller fills in: tokens, positions, masks, indices into the caches.

use super::Builder;
use super::super::graph::{Id, Op, Ty};

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
    states: Option<Id>,
    /// Of the full cache, then of the sliding one.
    pub(super) caches: [CacheInputs; 2],
}

impl Builder<'_> {
    /// Tokens looked up, or vectors given, or both mixed: llama.cpp builds all three.
    pub(super) fn embedding(&mut self, scale_rows: bool) -> Option<Id> {
        let (tokens, width) = (self.setup.tokens, self.model.embedding_length);
        let table = self.outer("token_embd.weight")?;
        let ids = self.g.input(Ty::I32, [tokens, 1, 1, 1]);
        let looked_up = self.g.get_rows(table, ids);
        let given = self.g.input(Ty::F32, [width, tokens, 1, 1]);
        self.g.expand(looked_up);
        self.g.expand(given);
        if self.setup.mixed_batch {
            let ids = self.g.input(Ty::I32, [tokens, 1, 1, 1]);
            let slots = self.g.input(Ty::I64, [tokens, 1, 1, 1]);
            let rows = self.g.input(Ty::F32, [width, tokens, 1, 1]);
            let copy = self.g.unary(Op::Dup, rows);
            let more = self.g.get_rows(table, ids);
            let mixed = self.g.set_rows(copy, more, slots);
            self.g.expand(mixed);
        }
        let mut cur = looked_up;
        if scale_rows {
            let scale = self.g.input(Ty::F32, [1, tokens, 1, 1]);
            cur = self.g.mul(cur, scale);
        }
        self.g.expand(cur);
        Some(cur)
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
}
