//! Mixtures of experts: routing, the experts' products, their weighted sum.

use super::super::graph::{Id, Op};
use super::Builder;
use super::feed_forward::Activation;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gating {
    SoftMax,
    Sigmoid,
    /// The softmax over the chosen experts only.
    SoftMaxOfChosen,
    SqrtSoftplus,
}

/// How a block's experts are chosen and joined.
#[expect(clippy::struct_excessive_bools, reason = "independent traits of an architecture")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Experts {
    pub(super) count: u64,
    pub(super) used: u64,
    pub(super) gating: Gating,
    /// Whether the weights are made to add up to one.
    pub(super) normalized: bool,
    /// Whether the weights are multiplied by a constant other than one.
    pub(super) scaled: bool,
    /// Whether a learned bias is added for the choice alone.
    pub(super) biased_choice: bool,
    /// Groups of experts, and how many of them are used; zero without groups.
    pub(super) groups: [u64; 2],
    pub(super) activation: Activation,
    /// Whether the weights come before the experts (llama4).
    pub(super) weights_first: bool,
}

impl Builder<'_> {
    pub(super) fn experts(&mut self, il: usize, x: Id, how: &Experts) -> Option<Id> {
        self.experts_of(il, x, x, how)
    }

    /// Routes by `routed`, computes on `x`.
    pub(super) fn experts_of(&mut self, il: usize, x: Id, routed: Id, how: &Experts) -> Option<Id> {
        let mut logits = self.linear(il, "ffn_gate_inp", routed)?;
        if let Some(bias) = self.w(il, "ffn_gate_inp.bias") {
            logits = self.g.add2(logits, bias);
        }
        self.experts_by(il, x, logits, how)
    }

    pub(super) fn experts_by(&mut self, il: usize, x: Id, logits: Id, how: &Experts) -> Option<Id> {
        let (width, tokens) = (self.g[x].ne[0], self.g[x].ne[1]);
        let probs = match how.gating {
            Gating::SoftMax => self.g.soft_max(logits, None, None),
            Gating::Sigmoid => self.g.unary(Op::Sigmoid, logits),
            Gating::SoftMaxOfChosen => logits,
            Gating::SqrtSoftplus => {
                let soft = self.g.unary(Op::Softplus, logits);
                self.g.unary(Op::Sqrt, soft)
            }
        };
        let mut choice = probs;
        if how.biased_choice
            && let Some(bias) = self.choice_bias(il)
        {
            choice = self.g.add2(probs, bias);
        }
        if how.weights_first {
            choice = logits;
        }
        if how.groups[0] > 1 {
            choice = self.masked_to_groups(choice, how, tokens);
        }
        let chosen = self.g.argsort_top_k(choice, how.used);
        let rows = self.g.reshape(probs, [1, how.count, tokens, 1]);
        let mut weights = self.g.get_rows(rows, chosen);
        let (flat, tall) = ([how.used, tokens, 1, 1], [1, how.used, tokens, 1]);
        if how.gating == Gating::SoftMaxOfChosen {
            weights = self.g.reshape(weights, flat);
            weights = self.g.soft_max(weights, None, None);
            weights = self.g.reshape(weights, tall);
        }
        if how.normalized {
            weights = self.g.reshape(weights, flat);
            let sum = self.g.sum_rows(weights);
            let sum = self.g.unary(Op::Clamp, sum);
            weights = self.g.like(Op::Div, weights, [sum]);
            weights = self.g.reshape(weights, tall);
        }
        if how.scaled {
            weights = self.g.unary(Op::Scale, weights);
        }
        self.g.expand(weights);
        let mut cur = self.g.reshape(x, [width, 1, tokens, 1]);
        if how.weights_first {
            let all = self.g.repeat(cur, [width, how.used, tokens, 1]);
            cur = self.g.mul(all, weights);
        }
        let cur = self.activated(il, cur, chosen, how)?;
        let mut out = self.per_expert(il, "ffn_down_exps", cur, chosen)?;
        if !how.weights_first {
            out = self.g.mul(out, weights);
        }
        self.g.expand(out);
        Some(self.summed(out, how.used))
    }

    fn choice_bias(&mut self, il: usize) -> Option<Id> {
        self.w(il, "exp_probs_b.bias").or_else(|| self.w(il, "exp_probs_b"))
    }

    /// Only the experts of the best groups stay eligible.
    fn masked_to_groups(&mut self, choice: Id, how: &Experts, tokens: u64) -> Id {
        let [groups, used] = how.groups;
        let each = how.count / groups;
        let grouped = self.g.reshape(choice, [each, groups, tokens, 1]);
        let best = self.g.argsort_top_k(grouped, 2);
        let single = self.g.reshape(grouped, [1, each, groups, tokens]);
        let scores = self.g.get_rows(single, best);
        let scores = self.g.reshape(scores, [2, groups, tokens, 1]);
        let scores = self.g.sum_rows(scores);
        let scores = self.g.reshape(scores, [groups, tokens, 1, 1]);
        let kept = self.g.argsort_top_k(scores, used);
        let rows = self.g.get_rows(grouped, kept);
        let empty = self.g.unary(Op::Fill, grouped);
        let masked = self.g.set_rows(empty, rows, kept);
        self.g.reshape(masked, [how.count, tokens, 1, 1])
    }

    /// One product per token and chosen expert, with scales and biases.
    fn per_expert(&mut self, il: usize, name: &str, x: Id, chosen: Id) -> Option<Id> {
        let weight = self.weight_of(il, name)?;
        let mut cur = self.g.mul_mat_id(weight, x, chosen);
        if let Some(scale) = self.scale_of(il, name) {
            let (experts, tokens) = (self.g[scale].ne[0], self.g[x].ne[2]);
            let scale = self.g.reshape(scale, [1, experts, 1, 1]);
            let scale = self.g.repeat(scale, [1, experts, tokens, 1]);
            let scale = self.g.get_rows(scale, chosen);
            cur = self.g.mul(cur, scale);
        }
        if let Some(bias) = self.bias_of(il, name) {
            cur = self.g.like(Op::AddId, cur, [bias, chosen]);
        }
        Some(cur)
    }

    fn activated(&mut self, il: usize, x: Id, chosen: Id, how: &Experts) -> Option<Id> {
        if self.has(il, "ffn_gate_up_exps.weight") {
            let both = self.per_expert(il, "ffn_gate_up_exps", x, chosen)?;
            let ([width, used, tokens, _], nb) = (self.g[both].ne, self.g[both].nb);
            let half = [width / 2, used, tokens];
            let gate = self.g.view_3d(both, half, [nb[1], nb[2]], 0);
            let up = self.g.view_3d(both, half, [nb[1], nb[2]], width / 2 * nb[0]);
            return Some(self.g.glu(gate, up));
        }
        let up = self.per_expert(il, "ffn_up_exps", x, chosen)?;
        let gate = if self.has(il, "ffn_gate_exps.weight") {
            Some(self.per_expert(il, "ffn_gate_exps", x, chosen)?)
        } else {
            None
        };
        Some(match (how.activation, gate) {
            (Activation::ReluSquared, _) => {
                let relu = self.g.unary(Op::Unary, up);
                self.g.unary(Op::Sqr, relu)
            }
            (_, Some(gate)) => self.g.glu(gate, up),
            (_, None) => self.g.unary(Op::Unary, up),
        })
    }

    /// The sum over the chosen experts, one view each.
    fn summed(&mut self, experts: Id, used: u64) -> Id {
        let ([width, _, tokens, _], nb) = (self.g[experts].ne, self.g[experts].nb);
        let views: Vec<Id> = (0..used)
            .map(|i| {
                let view = self.g.view_2d(experts, [width, tokens], nb[2], i * nb[1]);
                self.g.expand(view);
                view
            })
            .collect();
        let mut views = views.into_iter();
        let Some(mut sum) = views.next() else { return experts };
        for view in views {
            sum = self.g.add2(sum, view);
            self.g.expand(sum);
        }
        if used == 1 { self.g.cont(sum) } else { sum }
    }
}
