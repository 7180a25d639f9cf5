//! A block's feed-forward part where it has experts: routed, shared, and what joins them.

use super::super::graph::{Id, Op};
use super::super::keys;
use super::Builder;
use super::experts::{Experts, Gating};
use super::recipe::{Recipe, Shared};

impl Builder<'_> {
    pub(super) fn mixture(&mut self, recipe: &Recipe, il: usize, x: Id) -> Option<Id> {
        if !self.has(il, "ffn_gate_inp.weight") {
            return self.feed_forward(il, x, "", recipe.activation);
        }
        let how = self.routing(recipe, il)?;
        let has_shared = self.has(il, "ffn_up_shexp.weight");
        if has_shared && recipe.shared_first {
            let shared = self.shared(recipe, il, x)?;
            let routed = self.experts(il, x, &how)?;
            return Some(self.g.add2(routed, shared));
        }
        let latent = self.narrowed(il, x)?;
        let mut routed = self.experts_of(il, latent, x, &how)?;
        if self.has(il, "ffn_latent_up.weight") {
            routed = self.linear(il, "ffn_latent_up", routed)?;
        }
        if self.model.architecture == "grok" && self.has(il, "ffn_up.weight") {
            let dense = self.feed_forward(il, x, "", recipe.activation)?;
            let sum = self.g.add2(dense, routed);
            return Some(self.g.unary(Op::Scale, sum));
        }
        if !has_shared {
            return Some(routed);
        }
        let shared = self.shared(recipe, il, x)?;
        Some(self.g.add2(routed, shared))
    }

    /// The experts' input, projected down where the file has a projection for it.
    fn narrowed(&mut self, il: usize, x: Id) -> Option<Id> {
        if self.has(il, "ffn_latent_down.weight") {
            self.linear(il, "ffn_latent_down", x)
        } else {
            Some(x)
        }
    }

    fn shared(&mut self, recipe: &Recipe, il: usize, x: Id) -> Option<Id> {
        if recipe.shared == Shared::SiluRatio {
            let gate = self.linear(il, "ffn_gate_inp_shexp", x)?;
            let act = self.g.unary(Op::Silu, gate);
            let gate = self.g.like(Op::Div, act, [gate]);
            let cur = self.feed_forward(il, x, "_shexp", recipe.activation)?;
            return Some(self.g.mul(cur, gate));
        }
        let cur = self.feed_forward(il, x, "_shexp", recipe.activation)?;
        if recipe.shared == Shared::Plain {
            return Some(cur);
        }
        let gate = self.linear(il, "ffn_gate_inp_shexp", x)?;
        let gate = self.g.unary(Op::Sigmoid, gate);
        Some(self.g.mul(cur, gate))
    }

    pub(super) fn routing(&mut self, recipe: &Recipe, il: usize) -> Option<Experts> {
        let router = self.names.block(il, "ffn_gate_inp.weight")?;
        let count = self.model.tensors.get(router)?.dim(1);
        let used = self.setup.experts_used.get(il).copied()?;
        let how = self.how.unwrap_or_else(|| self.every_block(recipe));
        self.how = Some(how);
        Some(Experts { count, used, ..how })
    }

    /// What the metadata say of all blocks' experts.
    fn every_block(&self, recipe: &Recipe) -> Experts {
        let key = |key: &str| self.model.arch_u64(key);
        let gating = key("expert_gating_func")
            .filter(|func| *func > 0 && recipe.reads_gating)
            .unwrap_or(recipe.gating);
        let scale = keys::float(self.model, "expert_weights_scale").unwrap_or(0.0);
        Experts {
            count: 0,
            used: 0,
            gating: match gating {
                2 => Gating::Sigmoid,
                3 => Gating::SoftMaxOfChosen,
                4 => Gating::SqrtSoftplus,
                _ => Gating::SoftMax,
            },
            normalized: recipe
                .normalized
                .unwrap_or_else(|| key("expert_weights_norm").is_some_and(|norm| norm != 0)),
            scaled: scale != 0.0 && (scale - 1.0).abs() > f64::EPSILON,
            biased_choice: true,
            groups: [
                key("expert_group_count").unwrap_or(0),
                key("expert_group_used_count").unwrap_or(0),
            ],
            activation: recipe.activation,
            weights_first: recipe.weights_first,
        }
    }
}
