//! Gemma 4's blocks: a network and experts side by side, per-layer embeddings, caches shared by the last blocks.

use super::super::graph::{Id, Op, Ty};
use super::Builder;
use super::attention::Attention;
use super::feed_forward::Activation;
use super::recipe::Recipe;

impl Builder<'_> {
    pub(super) fn gemma4_block(&mut self, recipe: &Recipe, il: usize, x: Id) -> Option<Id> {
        let normed = self.norm(Op::RmsNorm, x, il, "attn_norm");
        let cur = self.gemma4_attention(il, normed)?;
        let cur = self.norm(Op::RmsNorm, cur, il, "post_attention_norm");
        let joined = self.g.add2(cur, x);
        let cur = if self.has(il, "ffn_gate_inp.weight") {
            self.gemma4_experts(recipe, il, joined)?
        } else {
            let cur = self.norm(Op::RmsNorm, joined, il, "ffn_norm");
            self.feed_forward(il, cur, "", Activation::Gated)?
        };
        let weight = self.w(il, "post_ffw_norm.weight");
        let cur = self.norm_with(Op::RmsNorm, cur, weight, None, None);
        let mut cur = self.g.add2(cur, joined);
        if let Some(embeddings) = self.inputs.per_layer {
            let gate = self.linear(il, "inp_gate", cur)?;
            let gate = self.g.unary(Op::Unary, gate);
            let mine = self.slice(embeddings, il as u64);
            let gate = self.g.mul(gate, mine);
            let gate = self.linear(il, "proj", gate)?;
            let gate = self.norm(Op::RmsNorm, gate, il, "post_norm");
            cur = self.g.add2(cur, gate);
        }
        if let Some(scale) = self.w(il, "layer_output_scale.weight") {
            cur = self.g.mul(cur, scale);
        }
        Some(cur)
    }

    fn gemma4_attention(&mut self, il: usize, x: Id) -> Option<Id> {
        let (heads, tokens) = (self.heads(il)?, self.setup.tokens);
        let sliding = self.model.layers.get(il)?.sliding;
        let widths = [heads.q * heads.key, heads.kv * heads.key, heads.kv * heads.value];
        let pos = self.pos();
        let factors = if sliding { None } else { self.rope_factors(il) };
        let fused =
            if self.has(il, "attn_qkv.weight") { Some(self.row_qkv(il, x, widths)?) } else { None };
        let q = match fused {
            Some([q, ..]) => q,
            None => self.linear(il, "attn_q", x)?,
        };
        let q = self.g.reshape(q, [heads.key, heads.q, tokens, 1]);
        let q = self.norm(Op::RmsNorm, q, il, "attn_q_norm");
        let q = self.g.rope(q, pos, factors);
        let how = Attention { out: Some("attn_output"), ..Attention::default() };
        if self.model.layers.get(il)?.cache.is_none() {
            let owner = self.cache_owner(il)?;
            return self.attention_shared(il, q, Attention { cache_of: Some(owner), ..how });
        }
        let (k, v) = if let Some([_, k, v]) = fused {
            (k, v)
        } else {
            let k = self.linear(il, "attn_k", x)?;
            let separate = self.has(il, "attn_v.weight");
            (k, if separate { self.linear(il, "attn_v", x)? } else { k })
        };
        let k = self.g.reshape(k, [heads.key, heads.kv, tokens, 1]);
        let v = self.g.reshape(v, [heads.value, heads.kv, tokens, 1]);
        let k = self.norm(Op::RmsNorm, k, il, "attn_k_norm");
        let v = self.g.unary(Op::RmsNorm, v);
        let k = self.g.rope(k, pos, factors);
        self.attention(il, [q, k, v], how)
    }

    /// The last block before the sharing ones with the same kind of attention.
    pub(super) fn cache_owner(&self, il: usize) -> Option<usize> {
        let sliding = self.model.layers.get(il)?.sliding;
        let own = |layer: &crate::gguf::Layer| layer.cache.is_some() && layer.sliding == sliding;
        self.model.layers.get(..il)?.iter().rposition(own)
    }

    fn gemma4_experts(&mut self, recipe: &Recipe, il: usize, joined: Id) -> Option<Id> {
        let dense = self.norm(Op::RmsNorm, joined, il, "ffn_norm");
        let dense = self.feed_forward(il, dense, "", Activation::Gated)?;
        let dense = self.norm(Op::RmsNorm, dense, il, "post_ffw_norm_1");
        let input = self.norm(Op::RmsNorm, joined, il, "pre_ffw_norm_2");
        let routed = self.g.unary(Op::RmsNorm, joined);
        let routed = self.g.unary(Op::Scale, routed);
        let scale = self.w(il, "ffn_gate_inp.scale")?;
        let routed = self.g.mul(routed, scale);
        let gate = self.w(il, "ffn_gate_inp.weight")?;
        let logits = self.g.mul_mat(gate, routed);
        let how = self.routing(recipe, il)?;
        let cur = self.experts_by(il, input, logits, &how)?;
        let cur = self.norm(Op::RmsNorm, cur, il, "post_ffw_norm_2");
        Some(self.g.add2(dense, cur))
    }

    /// One block's part of a tensor `[width, tokens, blocks]`.
    pub(super) fn slice(&mut self, x: Id, i: u64) -> Id {
        let ([width, tokens, ..], ty) = (self.g[x].ne, self.g[x].ty);
        let row = ty.row(width);
        self.g.view_2d(x, [width, tokens], row, i * row * tokens)
    }

    /// The embeddings that each block adds: looked up, and projected from the common embedding.
    pub(super) fn per_layer_embeddings(&mut self, x: Id) -> Option<()> {
        let Some(table) = self.outer("per_layer_token_embd.weight") else { return Some(()) };
        let (tokens, blocks) = (self.setup.tokens, u64::from(self.model.trunk()));
        let width = self.g[table].ne[0] / blocks.max(1);
        let ids = self.g.input(Ty::I32, [tokens, 1, 1, 1]);
        let rows = self.g.get_rows(table, ids);
        let rows = self.g.reshape(rows, [width, blocks, tokens, 1]);
        let rows = self.g.unary(Op::Scale, rows);
        self.g.expand(rows);
        let projection = self.outer("per_layer_model_proj.weight")?;
        let projected = self.g.mul_mat(projection, x);
        let projected = self.g.unary(Op::Scale, projected);
        let projected = self.g.reshape(projected, [width, blocks, tokens, 1]);
        let norm = self.outer("per_layer_proj_norm.weight");
        let projected = self.norm_with(Op::RmsNorm, projected, norm, None, None);
        let sum = self.g.add2(projected, rows);
        let sum = self.g.unary(Op::Scale, sum);
        let sum = self.g.permute(sum, [0, 2, 1, 3]);
        self.inputs.per_layer = Some(self.g.cont(sum));
        Some(())
    }
}
