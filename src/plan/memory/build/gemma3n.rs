//! Gemma 3n: several predicted embeddings per token, of which one is computed and the others are corrected.

use super::super::graph::{Id, Op};
use super::Builder;
use super::attention::Attention;

/// llama.cpp has these numbers built in.
const PREDICTIONS: u64 = 4;
const ACTIVE: u64 = 0;
const SPARSE_BLOCKS: usize = 10;

impl Builder<'_> {
    /// The embedding, and its projections beside it: `[width, tokens, predictions]`.
    pub(super) fn predictions(&mut self, x: Id) -> Option<Id> {
        self.per_layer_embeddings(x)?;
        let target = self.magnitude(x);
        let [width, tokens, ..] = self.g[x].ne;
        let repeated = self.g.repeat(x, [width, tokens, PREDICTIONS - 1, 1]);
        let projection = self.outer("altup_proj.weight")?;
        let added = self.g.mul_mat(projection, repeated);
        let added = self.with_magnitude(added, target);
        Some(self.g.concat(x, added, 2))
    }

    fn magnitude(&mut self, x: Id) -> Id {
        let squares = self.g.unary(Op::Sqr, x);
        let sum = self.g.sum_rows(squares);
        self.g.unary(Op::Sqrt, sum)
    }

    fn with_magnitude(&mut self, x: Id, target: Id) -> Id {
        let own = self.magnitude(x);
        let scaled = self.g.mul(x, target);
        self.g.like(Op::Div, scaled, [own])
    }

    pub(super) fn gemma3n_block(&mut self, il: usize, x: Id) -> Option<Id> {
        let predictions = self.predicted(il, x)?;
        let active = self.slice(predictions, ACTIVE);
        let normed = self.norm(Op::RmsNorm, active, il, "attn_norm");
        let laurel = self.linear(il, "laurel_l", normed)?;
        let laurel = self.linear(il, "laurel_r", laurel)?;
        let laurel = self.norm(Op::RmsNorm, laurel, il, "laurel_post_norm");
        let laurel = self.g.add2(laurel, normed);
        let cur = self.gemma3n_attention(il, normed)?;
        let cur = self.norm(Op::RmsNorm, cur, il, "post_attention_norm");
        let cur = self.g.add2(cur, active);
        let cur = self.g.add2(cur, laurel);
        let joined = self.g.unary(Op::Scale, cur);
        let cur = self.norm(Op::RmsNorm, joined, il, "ffn_norm");
        let cur = self.sparse_network(il, cur)?;
        let weight = self.w(il, "post_ffw_norm.weight");
        let cur = self.norm_with(Op::RmsNorm, cur, weight, None, None);
        let cur = self.g.add2(cur, joined);
        let corrected = self.corrected(il, predictions, cur)?;
        let first = self.slice(corrected, ACTIVE);
        let scale = self.w(il, "altup_correct_scale.weight")?;
        let first = self.g.mul(first, scale);
        let first = self.linear(il, "inp_gate", first)?;
        let first = self.g.unary(Op::Unary, first);
        let mine = self.slice(self.inputs.per_layer?, il as u64);
        let first = self.g.mul(first, mine);
        let first = self.linear(il, "proj", first)?;
        let first = self.norm(Op::RmsNorm, first, il, "post_norm");
        let head = self.slice(corrected, 0);
        let rest = self.rest(corrected);
        let rest = self.g.add2(rest, first);
        Some(self.g.concat(head, rest, 2))
    }

    /// All predictions but the first.
    fn rest(&mut self, x: Id) -> Id {
        let [width, tokens, count, _] = self.g[x].ne;
        let row = width * 4;
        let plane = row * tokens;
        self.g.view_3d(x, [width, tokens, count - 1], [row, plane], plane)
    }

    fn gemma3n_attention(&mut self, il: usize, x: Id) -> Option<Id> {
        let (heads, tokens, pos) = (self.heads(il)?, self.setup.tokens, self.pos());
        let how = Attention { out: Some("attn_output"), ..Attention::default() };
        if self.model.layers.get(il)?.cache.is_none() {
            let q = self.linear(il, "attn_q", x)?;
            let q = self.g.reshape(q, [heads.key, heads.q, tokens, 1]);
            let q = self.norm(Op::RmsNorm, q, il, "attn_q_norm");
            let q = self.g.rope(q, pos, None);
            let owner = self.cache_owner(il)?;
            return self.attention_shared(il, q, Attention { cache_of: Some(owner), ..how });
        }
        let [q, k, v] = self.qkv(il, x)?;
        let q = self.norm(Op::RmsNorm, q, il, "attn_q_norm");
        let k = self.norm(Op::RmsNorm, k, il, "attn_k_norm");
        let v = self.g.unary(Op::RmsNorm, v);
        let [q, k] = [q, k].map(|x| self.g.rope(x, pos, None));
        self.attention(il, [q, k, v], how)
    }

    fn sparse_network(&mut self, il: usize, x: Id) -> Option<Id> {
        let up = self.linear(il, "ffn_up", x)?;
        let mut gate = self.linear(il, "ffn_gate", x)?;
        if il < SPARSE_BLOCKS {
            gate = self.gaussian_top(gate);
        }
        let gate = self.g.unary(Op::Unary, gate);
        let cur = self.g.mul(up, gate);
        self.linear(il, "ffn_down", cur)
    }

    /// Keeps what lies far above the mean.
    fn gaussian_top(&mut self, x: Id) -> Id {
        let [_, n1, n2, n3] = self.g[x].ne;
        let ty = self.g[x].ty;
        let mean = self.g.emit(Op::Mean, ty, [1, n1, n2, n3], [x]);
        let off = self.g.like(Op::Sub, x, [mean]);
        let squares = self.g.unary(Op::Sqr, off);
        let sum = self.g.sum_rows(squares);
        let variance = self.g.unary(Op::Scale, sum);
        let deviation = self.g.unary(Op::Sqrt, variance);
        let scaled = self.g.unary(Op::Scale, deviation);
        let cutoff = self.g.add2(mean, scaled);
        let above = self.g.like(Op::Sub, x, [cutoff]);
        self.g.unary(Op::Unary, above)
    }

    fn modalities(&mut self, il: usize, x: Id) -> Option<Id> {
        let cur = self.norm(Op::RmsNorm, x, il, "altup_router_norm");
        let cur = self.g.unary(Op::Scale, cur);
        let cur = self.linear(il, "altup_router", cur)?;
        Some(self.g.unary(Op::Unary, cur))
    }

    fn predicted(&mut self, il: usize, x: Id) -> Option<Id> {
        let tokens = self.setup.tokens;
        let active = self.slice(x, ACTIVE);
        let modalities = self.modalities(il, active)?;
        let weights = self.linear(il, "altup_predict_coef", modalities)?;
        let weights = self.g.reshape(weights, [PREDICTIONS, PREDICTIONS, tokens, 1]);
        let turned = self.g.permute(x, [1, 2, 0, 3]);
        let turned = self.g.cont(turned);
        let cur = self.g.mul_mat(turned, weights);
        let cur = self.g.permute(cur, [0, 2, 1, 3]);
        let cur = self.g.cont(cur);
        Some(self.g.add2(cur, x))
    }

    fn corrected(&mut self, il: usize, predictions: Id, activated: Id) -> Option<Id> {
        let [width, tokens, ..] = self.g[activated].ne;
        let modalities = self.modalities(il, activated)?;
        let active = self.slice(predictions, ACTIVE);
        let innovation = self.g.like(Op::Sub, activated, [active]);
        let weights = self.linear(il, "altup_correct_coef", modalities)?;
        let weights = self.g.unary(Op::Scale, weights);
        let weights = self.g.transpose(weights);
        let weights = self.g.cont_as(weights, [1, tokens, PREDICTIONS, 1]);
        let innovation = self.g.repeat(innovation, [width, tokens, PREDICTIONS, 1]);
        let cur = self.g.mul(innovation, weights);
        Some(self.g.add2(cur, predictions))
    }

    /// The mean of the predictions, brought back to the first one's magnitude.
    pub(super) fn merged_predictions(&mut self, x: Id) -> Option<Id> {
        let active = self.slice(x, ACTIVE);
        let target = self.magnitude(active);
        let rest = self.rest(x);
        let projection = self.outer("altup_unembd_proj.weight")?;
        let rest = self.g.mul_mat(projection, rest);
        let rest = self.with_magnitude(rest, target);
        let mut cur = self.slice(x, 0);
        for i in 0..PREDICTIONS - 1 {
            let part = self.slice(rest, i);
            cur = self.g.add2(cur, part);
        }
        Some(self.g.unary(Op::Scale, cur))
    }
}
