//! The blocks of Qwen3-Next and Qwen3.5: gated attention, and gated delta nets.

#![expect(
    clippy::many_single_char_names,
    reason = "q, k, v and their like are the words of the trade"
)]

use super::super::graph::{Id, Op};
use super::Builder;
use super::attention::Attention;

/// The delta net's heads.
struct Shape {
    key: u64,
    value: u64,
    key_heads: u64,
    value_heads: u64,
    /// Tokens per sequence, and sequences.
    tokens: u64,
    sequences: u64,
}

impl Builder<'_> {
    pub(super) fn delta(&mut self, il: usize, x: Id) -> Option<Id> {
        self.g.expand(x);
        if self.model.layers.get(il)?.state.is_some() {
            self.delta_net(il, x)
        } else {
            self.gated_attention(il, x)
        }
    }

    /// The query projection holds a gate beside each head.
    fn gated_attention(&mut self, il: usize, x: Id) -> Option<Id> {
        let (heads, tokens) = (self.heads(il)?, self.setup.tokens);
        let widths = [heads.q * heads.key * 2, heads.kv * heads.key, heads.kv * heads.value];
        let [both, k, v] = self.row_qkv(il, x, widths)?;
        let row = heads.key * 4;
        let mut half = |from: u64| {
            let shape = [heads.key, heads.q, tokens];
            self.g.view_3d(both, shape, [row * 2, row * 2 * heads.q], from)
        };
        let (q, gate) = (half(0), half(row));
        let q = self.norm(Op::RmsNorm, q, il, "attn_q_norm");
        let k = self.g.reshape(k, [heads.key, heads.kv, tokens, 1]);
        let k = self.norm(Op::RmsNorm, k, il, "attn_k_norm");
        let v = self.g.reshape(v, [heads.value, heads.kv, tokens, 1]);
        let pos = self.pos();
        let [q, k] = [q, k].map(|x| self.g.rope(x, pos, None));
        let cur = self.attention(il, [q, k, v], Attention::default())?;
        let gate = self.g.cont_as(gate, [heads.key * heads.q, tokens, 1, 1]);
        let gate = self.g.unary(Op::Sigmoid, gate);
        let cur = self.g.mul(cur, gate);
        self.linear(il, "attn_output", cur)
    }

    fn delta_net(&mut self, il: usize, x: Id) -> Option<Id> {
        let ssm = self.model.ssm?;
        let sequences = self.setup.sequences;
        let shape = Shape {
            key: ssm.state_size,
            value: ssm.inner_size / ssm.time_step_rank.max(1),
            key_heads: ssm.group_count,
            value_heads: ssm.time_step_rank,
            tokens: self.setup.tokens / sequences,
            sequences,
        };
        let (mixed, z) = self.mixed_projection(il, x, &shape)?;
        let (beta, gate) = if self.has(il, "ssm_ba.weight") {
            self.fused_gates(il, x, &shape)?
        } else {
            self.separate_gates(il, x, &shape)?
        };
        let (conv_states, net_states) = (self.state(il, false)?, self.state(il, true)?);
        let kernel = self.w(il, "ssm_conv1d.weight")?;
        let input = self.conv_input(conv_states, mixed, ssm.conv_kernel);
        let state = self.gather_states(net_states);
        let state = self.g.reshape(state, [shape.value, shape.value, shape.value_heads, sequences]);
        let conv = self.g.ssm_conv(input, kernel);
        let conv = self.g.unary(Op::Silu, conv);
        let [q, k, v] = self.conv_parts(conv, &shape);
        let [q, k] = [q, k].map(|x| {
            let x = self.g.unary(Op::RmsNorm, x);
            self.g.unary(Op::Scale, x)
        });
        let repeats =
            self.model.architecture == "qwen3next" && shape.key_heads != shape.value_heads;
        let [q, k] = if repeats { [q, k].map(|x| self.repeat_heads(x, &shape)) } else { [q, k] };
        let output = self.delta_step([q, k, v, gate, beta, state], net_states, &shape);
        let z = self.g.reshape(z, [shape.value, shape.value_heads, shape.tokens, shape.sequences]);
        let cur = self.norm(Op::RmsNorm, output, il, "ssm_norm");
        let z = self.g.unary(Op::Silu, z);
        let cur = self.g.mul(cur, z);
        let inner = shape.value * shape.value_heads;
        let cur = self.g.reshape(cur, [inner, shape.tokens, shape.sequences, 1]);
        let cur = self.linear(il, "ssm_out", cur)?;
        let width = self.model.embedding_length;
        Some(self.g.reshape(cur, [width, self.setup.tokens, 1, 1]))
    }

    /// The convolution's input and the output gate.
    fn mixed_projection(&mut self, il: usize, x: Id, shape: &Shape) -> Option<(Id, Id)> {
        if self.has(il, "attn_qkv.weight") {
            let mixed = self.linear(il, "attn_qkv", x)?;
            let channels = self.g[mixed].ne[0];
            let mixed = self.g.reshape(mixed, [channels, shape.tokens, shape.sequences, 1]);
            return Some((mixed, self.linear(il, "attn_gate", x)?));
        }
        let mixed = self.linear(il, "ssm_in", x)?;
        let group = shape.value * shape.value_heads / shape.key_heads;
        let widths = [shape.key, shape.key, group, group];
        let all = [widths.iter().sum(), shape.key_heads, shape.tokens, shape.sequences];
        let mixed = self.g.reshape(mixed, all);
        let nb = self.g[mixed].nb;
        let mut from = 0;
        let parts = widths.map(|width| {
            let ne = [width, shape.key_heads, shape.tokens, shape.sequences];
            let part = self.g.view(mixed, ne, [nb[1], nb[2], nb[3]], from * 4);
            from += width;
            part
        });
        let [q, k, v, z] = parts;
        let z = self.g.cont(z);
        let [q, k, v] = [(q, shape.key), (k, shape.key), (v, group)].map(|(part, width)| {
            let flat = [width * shape.key_heads, shape.tokens, shape.sequences, 1];
            self.g.cont_as(part, flat)
        });
        let qk = self.g.concat(q, k, 0);
        Some((self.g.concat(qk, v, 0), z))
    }

    fn fused_gates(&mut self, il: usize, x: Id, shape: &Shape) -> Option<(Id, Id)> {
        let mixed = self.linear(il, "ssm_ba", x)?;
        let each = shape.value_heads / shape.key_heads;
        let all = [2 * each, shape.key_heads, shape.tokens, shape.sequences];
        let mixed = self.g.reshape(mixed, all);
        let nb = self.g[mixed].nb;
        let mut half = |from: u64| {
            let ne = [each, shape.key_heads, shape.tokens, shape.sequences];
            self.g.view(mixed, ne, [nb[1], nb[2], nb[3]], from)
        };
        let (b, a) = (half(0), half(each * 4));
        let b = self.g.cont(b);
        let beta = self.g.unary(Op::Sigmoid, b);
        let alpha = self.g.cont_as(a, [shape.value_heads, shape.tokens, shape.sequences, 1]);
        let gate = self.decay(il, alpha)?;
        let tall = [1, shape.value_heads, shape.tokens, shape.sequences];
        Some((self.g.reshape(beta, tall), self.g.reshape(gate, tall)))
    }

    fn separate_gates(&mut self, il: usize, x: Id, shape: &Shape) -> Option<(Id, Id)> {
        let tall = [1, shape.value_heads, shape.tokens, shape.sequences];
        let beta = self.linear(il, "ssm_beta", x)?;
        let beta = self.g.reshape(beta, tall);
        let beta = self.g.unary(Op::Sigmoid, beta);
        let alpha = self.linear(il, "ssm_alpha", x)?;
        let alpha = self.g.reshape(alpha, [shape.value_heads, shape.tokens, shape.sequences, 1]);
        let gate = self.decay(il, alpha)?;
        Some((beta, self.g.reshape(gate, tall)))
    }

    fn decay(&mut self, il: usize, alpha: Id) -> Option<Id> {
        let (bias, a) = (self.w(il, "ssm_dt.bias")?, self.w(il, "ssm_a")?);
        let alpha = self.g.add2(alpha, bias);
        let alpha = self.g.unary(Op::Softplus, alpha);
        Some(self.g.mul(alpha, a))
    }

    fn conv_parts(&mut self, conv: Id, shape: &Shape) -> [Id; 3] {
        let (keys, values) = (shape.key * shape.key_heads, shape.value * shape.value_heads);
        let row = (2 * keys + values) * 4;
        let mut part = |width: u64, heads: u64, from: u64| {
            let ne = [width, heads, shape.tokens, shape.sequences];
            self.g.view(conv, ne, [width * 4, row, row * shape.tokens], from * 4)
        };
        [
            part(shape.key, shape.key_heads, 0),
            part(shape.key, shape.key_heads, keys),
            part(shape.value, shape.value_heads, 2 * keys),
        ]
    }

    fn repeat_heads(&mut self, x: Id, shape: &Shape) -> Id {
        let all = shape.tokens * shape.sequences;
        let times = shape.value_heads / shape.key_heads;
        let x = self.g.reshape(x, [shape.key, 1, shape.key_heads, all]);
        let x = self.g.repeat(x, [shape.key, times, shape.key_heads, all]);
        self.g.reshape(x, [shape.key, shape.value_heads, shape.tokens, shape.sequences])
    }

    /// The fused recurrence; the new states are copied back.
    fn delta_step(&mut self, inputs: [Id; 6], states: Id, shape: &Shape) -> Id {
        let result = self.g.gated_delta_net(inputs);
        let (s, h) = (shape.value, shape.value_heads);
        let output = self.g.view(
            result,
            [s, h, shape.tokens, shape.sequences],
            [s * 4, s * h * 4, s * h * shape.tokens * 4],
            0,
        );
        let state = self.g.view(
            result,
            [s, s, h, shape.sequences],
            [s * 4, s * s * 4, s * s * h * 4],
            s * h * shape.tokens * shape.sequences * 4,
        );
        let (width, row) = (self.g[states].ne[0], self.g[states].nb[1]);
        let to = self.g.view_2d(states, [width, shape.sequences], row, 0);
        let copied = self.g.copy_into(state, to);
        self.g.expand(copied);
        output
    }
}
