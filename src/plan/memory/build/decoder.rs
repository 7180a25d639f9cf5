//! The decoder: embedding, blocks, output.

#![expect(
    clippy::many_single_char_names,
    reason = "q, k, v and their like are the words of the trade"
)]

use super::super::graph::{Id, Op};
use super::Builder;
use super::attention::Attention;
use super::recipe::{Joint, Mixer, OutputGate, QkNorm, Recipe, Rope, Rows, Tempering};

impl Builder<'_> {
    pub(super) fn decoder(&mut self, recipe: &Recipe, layers: &[usize]) -> Option<()> {
        let mut cur = self.embedding(recipe.embedding)?;
        match recipe.mixer {
            Mixer::Gemma3n => cur = self.predictions(cur)?,
            Mixer::Gemma4 => self.per_layer_embeddings(cur)?,
            _ => {}
        }
        let last = (self.model.trunk() as usize).checked_sub(1)?;
        for il in layers {
            let dropping =
                *il == last && matches!(recipe.rows, Rows::LastBlock | Rows::LastBlockNormed);
            cur = self.block(recipe, *il, cur, dropping)?;
            cur = self.stacked(*il, cur);
        }
        if recipe.mixer == Mixer::Gemma3n {
            cur = self.merged_predictions(cur)?;
        }
        self.output(recipe, cur)
    }

    fn block(&mut self, recipe: &Recipe, il: usize, x: Id, dropping: bool) -> Option<Id> {
        match recipe.mixer {
            Mixer::Gemma3n => return self.gemma3n_block(il, x),
            Mixer::Gemma4 => return self.gemma4_block(recipe, il, x),
            _ => {}
        }
        let mut residual = x;
        let mut logits = None;
        if recipe.routed_early {
            logits = Some(self.linear(il, "ffn_gate_inp", x)?);
        }
        let normed = match recipe.attn_norm {
            Some(name) => self.norm(recipe.norm, x, il, name),
            None => x,
        };
        let mut side = normed;
        // Falcon's larger models have a second norm for attention alone.
        let mut attended = normed;
        if self.has(il, "attn_norm_2.weight") {
            attended = self.norm(recipe.norm, x, il, "attn_norm_2");
        }
        let mut cur = self.mixed(recipe, il, attended)?;
        if recipe.joint == Joint::Both {
            return self.both(recipe, il, x, cur, dropping);
        }
        let early = recipe.rows == Rows::LastBlockNormed;
        if early && let Some(name) = recipe.attn_post_norm {
            cur = self.norm(recipe.norm, cur, il, name);
        }
        if dropping {
            let ids = self.out_ids();
            cur = self.g.get_rows(cur, ids);
            residual = self.g.get_rows(residual, ids);
            side = self.g.get_rows(side, ids);
            logits = logits.map(|logits| self.g.get_rows(logits, ids));
        }
        match recipe.joint {
            Joint::Sequential | Joint::Both => {}
            Joint::Residual => return self.residual_experts(recipe, il, [residual, cur]),
            Joint::Single => return Some(self.g.add2(cur, residual)),
            _ => return self.parallel(recipe, il, [residual, side, cur]),
        }
        if let Some(name) = recipe.attn_post_norm.filter(|_| !early) {
            cur = self.norm(recipe.norm, cur, il, name);
        }
        if recipe.residual_scaled {
            cur = self.g.unary(Op::Scale, cur);
        }
        let joined = self.joined(cur, residual, recipe.residual_first[0]);
        cur = match recipe.ffn_norm {
            Some(name) => self.norm(recipe.norm, joined, il, name),
            None => joined,
        };
        // Without its own norm StableLM's network works on attention's input.
        if self.model.architecture == "stablelm" && !self.has(il, "ffn_norm.weight") {
            cur = side;
        }
        cur = match logits {
            Some(logits) => {
                let how = self.routing(recipe, il)?;
                self.experts_by(il, cur, logits, &how)?
            }
            None => self.mixture(recipe, il, cur)?,
        };
        if let Some(name) = recipe.ffn_post_norm {
            let weight = self.weight_of(il, name);
            let il = Some(il).filter(|_| recipe.ffn_post_norm_pinned);
            cur = self.norm_with(recipe.norm, cur, weight, None, il);
        }
        if recipe.residual_scaled {
            cur = self.g.unary(Op::Scale, cur);
        }
        Some(self.joined(cur, joined, recipe.residual_first[1]))
    }

    fn joined(&mut self, cur: Id, residual: Id, residual_first: bool) -> Id {
        if residual_first { self.g.add2(residual, cur) } else { self.g.add2(cur, residual) }
    }

    /// What takes attention's place in this block.
    fn mixed(&mut self, recipe: &Recipe, il: usize, x: Id) -> Option<Id> {
        let layer = self.model.layers.get(il)?;
        match recipe.mixer {
            Mixer::Attention => self.self_attention(recipe, il, x),
            Mixer::Latent => self.latent(il, x, true),
            Mixer::Kda => self.kda(il, x),
            Mixer::Gemma3n | Mixer::Gemma4 => None,
            Mixer::Delta => self.delta(il, x),
            Mixer::Mamba if layer.cache.is_some() => self.self_attention(recipe, il, x),
            Mixer::Mamba if layer.state.is_some() => self.mamba(il, x),
            Mixer::Mamba => self.mixture(recipe, il, x),
            Mixer::ShortConv if layer.state.is_some() => self.short_conv(il, x),
            Mixer::ShortConv => self.self_attention(recipe, il, x),
        }
    }

    /// Attention and state space, each from its own norm of the same input.
    fn both(
        &mut self,
        recipe: &Recipe,
        il: usize,
        x: Id,
        attention: Id,
        dropping: bool,
    ) -> Option<Id> {
        let normed = self.norm(recipe.norm, x, il, recipe.attn_norm?);
        let space = self.mamba(il, normed)?;
        let mut cur = self.g.add2(attention, space);
        let mut residual = self.g.add2(cur, x);
        if dropping {
            let ids = self.out_ids();
            cur = self.g.get_rows(cur, ids);
            residual = self.g.get_rows(residual, ids);
        }
        let _ = cur;
        let cur = self.norm(recipe.norm, residual, il, recipe.ffn_norm?);
        let cur = self.mixture(recipe, il, cur)?;
        Some(self.g.add2(cur, residual))
    }

    /// Arctic's blocks: a dense network, and beside all of it experts on the block's input.
    fn residual_experts(
        &mut self,
        recipe: &Recipe,
        il: usize,
        [input, attention]: [Id; 2],
    ) -> Option<Id> {
        let joined = self.g.add2(attention, input);
        let cur = self.norm(recipe.norm, joined, il, "ffn_norm");
        let dense = self.feed_forward(il, cur, "", recipe.activation)?;
        let dense = self.g.add2(dense, joined);
        let cur = self.norm(recipe.norm, input, il, "ffn_norm_exps");
        let how = self.routing(recipe, il)?;
        let routed = self.experts(il, cur, &how)?;
        Some(self.g.add2(routed, dense))
    }

    /// Attention and network side by side.
    fn parallel(
        &mut self,
        recipe: &Recipe,
        il: usize,
        [input, normed, attention]: [Id; 3],
    ) -> Option<Id> {
        let network = self.mixture(recipe, il, normed)?;
        let [first, second, third] = match recipe.joint {
            Joint::NetworkFirst => [network, attention, input],
            Joint::AttentionFirst => [attention, network, input],
            _ => [network, input, attention],
        };
        let sum = self.g.add2(first, second);
        Some(self.g.add2(sum, third))
    }

    fn self_attention(&mut self, recipe: &Recipe, il: usize, x: Id) -> Option<Id> {
        let heads = self.heads(il)?;
        let tokens = self.setup.tokens;
        let [mut q, mut k, v] = if recipe.qk_norm == QkNorm::Rows {
            let widths = [heads.q * heads.key, heads.kv * heads.key, heads.kv * heads.value];
            let [q, k, v] = self.row_qkv(il, x, widths)?;
            let q = self.norm(recipe.norm, q, il, "attn_q_norm");
            let k = self.norm(recipe.norm, k, il, "attn_k_norm");
            [
                self.g.reshape(q, [heads.key, heads.q, tokens, 1]),
                self.g.reshape(k, [heads.key, heads.kv, tokens, 1]),
                self.g.reshape(v, [heads.value, heads.kv, tokens, 1]),
            ]
        } else {
            self.qkv(il, x)?
        };
        if recipe.qk_norm == QkNorm::Heads {
            [q, k] = self.head_norms(recipe, il, [q, k]);
        }
        let rotated = match recipe.rope {
            Rope::All => true,
            Rope::None => false,
            Rope::Sliding => self.model.layers.get(il)?.sliding,
            Rope::NotFirst(n) => n == 0 || !(il as u64).is_multiple_of(n),
            Rope::NotEvery(n) => n == 0 || !(il as u64 + 1).is_multiple_of(n),
        };
        if rotated {
            let (pos, factors) = (self.pos(), self.rope_factors(il));
            q = self.g.rope(q, pos, factors);
            k = self.g.rope(k, pos, factors);
        }
        let tempered = match recipe.tempering {
            Tempering::None => false,
            Tempering::All => true,
            Tempering::Unrotated => !rotated,
        };
        if tempered {
            let scale = self.attn_scale();
            q = self.g.mul(q, scale);
        }
        match recipe.qk_norm {
            QkNorm::HeadsLate => [q, k] = self.head_norms(recipe, il, [q, k]),
            QkNorm::Plain if rotated => {
                [q, k] = [q, k].map(|x| self.g.unary(Op::RmsNorm, x));
            }
            _ => {}
        }
        if recipe.scaled_queries {
            q = self.g.unary(Op::Scale, q);
        }
        let sinks = self.w(il, "attn_sinks.weight");
        let gated = recipe.output_gate != OutputGate::None && self.has(il, "attn_gate.weight");
        let how = Attention {
            out: Some("attn_output").filter(|_| !gated),
            sinks,
            soft_cap: recipe.soft_cap,
            ..Attention::default()
        };
        let mut cur = self.attention(il, [q, k, v], how)?;
        if gated {
            let gate = self.linear(il, "attn_gate", x)?;
            let gate = self.g.unary(Op::Sigmoid, gate);
            cur = if recipe.output_gate == OutputGate::Heads {
                let each = self.g.reshape(cur, [heads.value, heads.q, tokens, 1]);
                let gate = self.g.reshape(gate, [1, heads.q, tokens, 1]);
                let each = self.g.mul(each, gate);
                self.g.reshape(each, [heads.value * heads.q, tokens, 1, 1])
            } else {
                self.g.mul(cur, gate)
            };
            cur = self.linear(il, "attn_output", cur)?;
        }
        if recipe.scaled_attention {
            cur = self.g.unary(Op::Scale, cur);
        }
        Some(cur)
    }

    fn head_norms(&mut self, recipe: &Recipe, il: usize, [q, k]: [Id; 2]) -> [Id; 2] {
        let mut norm = |x: Id, name: &str| {
            if self.weighs(il, name) { self.norm(recipe.norm, x, il, name) } else { x }
        };
        [norm(q, "attn_q_norm"), norm(k, "attn_k_norm")]
    }

    /// The frequency factors of the file, of which every device holds a copy.
    pub(super) fn rope_factors(&mut self, il: usize) -> Option<Id> {
        let index = self.names.other("rope_freqs.weight").or_else(|| {
            let trained = self.model.arch_u64("rope.scaling.original_context_length");
            let long = self.setup.cells > trained.unwrap_or(self.model.context_length);
            self.names.other(if long {
                "rope_factors_long.weight"
            } else {
                "rope_factors_short.weight"
            })
        })?;
        self.copy_at(index, self.place_of(il))
    }

    fn output(&mut self, recipe: &Recipe, x: Id) -> Option<()> {
        let mut cur = x;
        if matches!(recipe.rows, Rows::Hidden | Rows::Merged) {
            self.g[cur].output |= recipe.rows == Rows::Hidden;
            let ids = self.out_ids();
            cur = self.g.get_rows(cur, ids);
        }
        let weight = match self.outer("output_norm.weight") {
            Some(weight) => Some(weight),
            None => self.outer("token_embd_norm.weight"),
        };
        let bias = self.outer("output_norm.bias");
        cur = self.norm_with(recipe.norm, cur, weight, bias, None);
        if recipe.rows == Rows::Normed {
            self.g[cur].output = true;
            let ids = self.out_ids();
            cur = self.g.get_rows(cur, ids);
        }
        self.g[cur].output = true;
        let head = self.head()?;
        cur = self.g.mul_mat(head, cur);
        if let Some(scale) = self.outer("output.scale") {
            cur = self.g.mul(cur, scale);
        }
        if let Some(bias) = self.outer("output.bias") {
            cur = self.g.add2(cur, bias);
        }
        if recipe.logits_scaled {
            cur = self.g.unary(Op::Scale, cur);
        }
        if recipe.logits_capped {
            for op in [Op::Scale, Op::Unary, Op::Scale] {
                cur = self.g.unary(op, cur);
            }
        }
        self.g[cur].output = true;
        self.g.expand(cur);
        Some(())
    }

    /// The output matrix; where it is tied, the copy of the embedding on the output's device.
    fn head(&mut self) -> Option<Id> {
        if let Some(head) = self.outer("output.weight") {
            return Some(head);
        }
        let index = self.names.other("token_embd.weight")?;
        self.copy_at(index, self.setup.tied_output)
    }
}
