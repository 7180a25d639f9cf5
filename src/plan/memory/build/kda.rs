//! Kimi's linear attention: a delta rule with a gate per channel, behind three short convolutions.

#![expect(
    clippy::many_single_char_names,
    reason = "q, k, v and their like are the words of the trade"
)]

use super::super::graph::{Id, Op};
use super::Builder;

impl Builder<'_> {
    pub(super) fn kda(&mut self, il: usize, x: Id) -> Option<Id> {
        self.g.expand(x);
        let layer = self.model.layers.get(il)?;
        if layer.state.is_none() {
            return self.latent(il, x, false);
        }
        let (heads, width) = (layer.heads, self.model.ssm?.kda_head_dim);
        let sequences = self.setup.sequences;
        let all = self.setup.tokens;
        let tokens = all / sequences;
        let shape = [width, heads, tokens, sequences];
        let (conv_states, net_states) = (self.state(il, false)?, self.state(il, true)?);
        let old = self.gather_states(conv_states);
        let mut parts = [x; 3];
        for (i, part) in parts.iter_mut().enumerate() {
            *part = self.channel_conv(il, i, x, [conv_states, old], shape)?;
        }
        let [q, k, v] = parts;
        let decay = self.linear(il, "ssm_f_a", x)?;
        let decay = self.linear(il, "ssm_f_b", decay)?;
        let bias = self.w(il, "ssm_dt.bias")?;
        let decay = self.g.add2(decay, bias);
        let decay = self.g.unary(Op::Softplus, decay);
        let decay = self.g.reshape(decay, [width, heads, all, 1]);
        let a = match self.w(il, "ssm_a") {
            Some(a) => a,
            None => self.w(il, "ssm_a.weight")?,
        };
        let a = self.g.reshape(a, [1, heads, 1, 1]);
        let decay = self.g.mul(decay, a);
        let decay = self.g.reshape(decay, shape);
        let beta = self.linear(il, "ssm_beta", x)?;
        let beta = self.g.reshape(beta, [1, heads, tokens, sequences]);
        let beta = self.g.unary(Op::Sigmoid, beta);
        let input = self.g[x].ne[0];
        let by_sequence = self.g.reshape(x, [input, tokens, sequences, 1]);
        let state = self.gather_states(net_states);
        let state = self.g.reshape(state, [width, width, heads, sequences]);
        let [q, k] = [q, k].map(|x| {
            let x = self.g.unary(Op::RmsNorm, x);
            self.g.unary(Op::Scale, x)
        });
        let output =
            self.delta_result([q, k, v, decay, beta, state], net_states, [width, heads, tokens]);
        let flat = self.g.reshape(by_sequence, [input, all, 1, 1]);
        let gate = self.linear(il, "ssm_g_a", flat)?;
        let gate = self.linear(il, "ssm_g_b", gate)?;
        let gate = self.g.reshape(gate, [width, heads, all, 1]);
        let output = self.g.reshape(output, [width, heads, all, 1]);
        let normed = self.norm(Op::RmsNorm, output, il, "ssm_norm");
        let gate = self.g.unary(Op::Sigmoid, gate);
        let cur = self.g.mul(normed, gate);
        let cur = self.g.cont_as(cur, [width * heads, all, 1, 1]);
        self.linear(il, "attn_output", cur)
    }

    /// The projection and convolution of queries (0), keys (1) or values (2).
    fn channel_conv(
        &mut self,
        il: usize,
        which: usize,
        x: Id,
        [states, old]: [Id; 2],
        [width, heads, tokens, sequences]: [u64; 4],
    ) -> Option<Id> {
        let names = [
            ("attn_q", "ssm_conv1d_q.weight"),
            ("attn_k", "ssm_conv1d_k.weight"),
            ("attn_v", "ssm_conv1d_v.weight"),
        ];
        let (projection, kernel) = *names.get(which)?;
        let kernel = self.w(il, kernel)?;
        let (length, inner) = (self.g[kernel].ne[0], width * heads);
        let before = length - 1;
        let size = before * inner;
        let row = self.g[old].nb[1];
        let from = which as u64 * size * 4;
        let old = self.g.view_3d(old, [before, inner, sequences], [before * 4, row], from);
        let cur = self.linear(il, projection, x)?;
        let cur = self.g.reshape(cur, [inner, tokens, sequences, 1]);
        let cur = self.g.transpose(cur);
        let input = self.g.concat(old, cur, 0);
        let ([all, ..], nb) = (self.g[input].ne, self.g[input].nb);
        let last =
            self.g.view_3d(input, [before, inner, sequences], [nb[1], nb[2]], (all - before) * 4);
        let row = self.g[states].nb[1];
        let to = self.g.view_3d(states, [before, inner, sequences], [before * 4, row], from);
        let copied = self.g.copy_into(last, to);
        self.g.expand(copied);
        let kernel = self.g.reshape(kernel, [length, inner, 1, 1]);
        let cur = self.g.ssm_conv(input, kernel);
        let cur = self.g.reshape(cur, [inner, tokens * sequences, 1, 1]);
        let cur = self.g.unary(Op::Silu, cur);
        Some(self.g.reshape(cur, [width, heads, tokens, sequences]))
    }

    fn delta_result(
        &mut self,
        inputs: [Id; 6],
        states: Id,
        [width, heads, tokens]: [u64; 3],
    ) -> Id {
        let sequences = self.setup.sequences;
        let result = self.g.gated_delta_net(inputs);
        let row = width * 4;
        let output = self.g.view(
            result,
            [width, heads, tokens, sequences],
            [row, row * heads, row * heads * tokens],
            0,
        );
        let state = self.g.view(
            result,
            [width, width, heads, sequences],
            [row, row * width, row * width * heads],
            row * heads * tokens * sequences,
        );
        let output = self.g.cont(output);
        let all = self.g[states].elements();
        let to = self.g.view(states, [all, 1, 1, 1], [all * 4; 3], 0);
        let copied = self.g.copy_into(state, to);
        self.g.expand(copied);
        output
    }
}
