//! Dense feed-forward networks, shared experts included.

use super::super::graph::{Id, Op};
use super::Builder;

/// How gate and up are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// `act(gate) * up` in one operation where there is a gate, else the activation alone.
    Gated,
    /// Up holds both halves.
    Halves,
    /// relu, then squared.
    ReluSquared,
}

impl Builder<'_> {
    /// The network whose tensors are `ffn_up<kind>`, `ffn_gate<kind>`, `ffn_down<kind>`.
    pub(super) fn feed_forward(
        &mut self,
        il: usize,
        x: Id,
        kind: &str,
        activation: Activation,
    ) -> Option<Id> {
        let up = self.biased(il, &format!("ffn_up{kind}"), x)?;
        let gate_name = format!("ffn_gate{kind}");
        let gate =
            if self.weighs(il, &gate_name) { Some(self.biased(il, &gate_name, x)?) } else { None };
        let cur = match (activation, gate) {
            (Activation::Gated, Some(gate)) => self.g.glu(gate, up),
            (Activation::Gated, None) => self.g.unary(Op::Unary, up),
            (Activation::Halves, _) => self.g.glu_halves(up),
            (Activation::ReluSquared, _) => {
                let relu = self.g.unary(Op::Unary, up);
                self.g.unary(Op::Sqr, relu)
            }
        };
        self.biased(il, &format!("ffn_down{kind}"), cur)
    }
}
