//! State-space blocks: Mamba and Mamba-2.

#![expect(
    clippy::many_single_char_names,
    reason = "q, k, v and their like are the words of the trade"
)]

use super::super::graph::{Id, Op};
use super::Builder;

/// The sizes of a block's state space.
struct Space {
    inner: u64,
    state: u64,
    heads: u64,
    groups: u64,
    kernel: u64,
    /// Tokens per sequence, and sequences.
    tokens: u64,
    sequences: u64,
}

impl Space {
    const fn head(&self) -> u64 {
        self.inner / self.heads
    }

    const fn channels(&self) -> u64 {
        self.inner + 2 * self.groups * self.state
    }
}

impl Builder<'_> {
    pub(super) fn mamba(&mut self, il: usize, x: Id) -> Option<Id> {
        let ssm = self.model.ssm?;
        let sequences = self.setup.sequences;
        let space = Space {
            inner: ssm.inner_size,
            state: ssm.state_size,
            heads: ssm.time_step_rank.max(1),
            groups: ssm.group_count,
            kernel: ssm.conv_kernel,
            tokens: self.setup.tokens / sequences,
            sequences,
        };
        if self.has(il, "ssm_x.weight") {
            self.first_mamba(il, x, &space)
        } else {
            self.second_mamba(il, x, &space)
        }
    }

    fn first_mamba(&mut self, il: usize, x: Id, space: &Space) -> Option<Id> {
        let (inner, state) = (space.inner, space.state);
        let (tokens, sequences) = (space.tokens, space.sequences);
        let (conv_states, ssm_states) = (self.state(il, false)?, self.state(il, true)?);
        let conv = self.gather_states(conv_states);
        let conv = self.g.reshape(conv, [space.kernel - 1, inner, sequences, 1]);
        let width = self.g[x].ne[0];
        let x = self.g.reshape(x, [width, tokens, sequences, 1]);
        let xz = self.linear(il, "ssm_in", x)?;
        let nb = self.g[xz].nb;
        let half = [inner, tokens, sequences];
        let x = self.g.view_3d(xz, half, [nb[1], nb[2]], 0);
        let z = self.g.view_3d(xz, half, [nb[1], nb[2]], inner * 4);
        let x = self.convolved(il, conv, x, conv_states, tokens)?;
        let mixed = self.linear(il, "ssm_x", x)?;
        let nb = self.g[mixed].nb;
        let rank = space.heads;
        let dt = self.g.view_3d(mixed, [rank, tokens, sequences], [nb[1], nb[2]], 0);
        let mut part = |from: u64| {
            let ne = [state, 1, tokens, sequences];
            self.g.view(mixed, ne, [state * 4, nb[1], nb[2]], from * 4)
        };
        let (mut b, mut c) = (part(rank), part(rank + state));
        let dt = if self.has(il, "ssm_dt_norm.weight") {
            let dt = self.norm(Op::RmsNorm, dt, il, "ssm_dt_norm");
            b = self.norm(Op::RmsNorm, b, il, "ssm_b_norm");
            c = self.norm(Op::RmsNorm, c, il, "ssm_c_norm");
            dt
        } else {
            self.g.cont(dt)
        };
        let dt = self.biased(il, "ssm_dt", dt)?;
        let heads = self.g.reshape(x, [1, inner, tokens, sequences]);
        let a = self.w(il, "ssm_a")?;
        let result = self.scanned(ssm_states, [heads, dt, a, b, c], [state, 1, inner])?;
        self.keep_scanned(result, heads, ssm_states);
        let nb = self.g[heads].nb;
        let y = self.g.view_3d(result, half, [nb[2], nb[3]], 0);
        let d = self.w(il, "ssm_d")?;
        let skip = self.g.mul(x, d);
        let y = self.g.add2(y, skip);
        let z = self.g.cont(z);
        let y = self.g.glu(z, y);
        let cur = self.linear(il, "ssm_out", y)?;
        let width = self.g[cur].ne[0];
        Some(self.g.reshape(cur, [width, tokens * sequences, 1, 1]))
    }

    fn second_mamba(&mut self, il: usize, x: Id, space: &Space) -> Option<Id> {
        let (inner, state, heads) = (space.inner, space.state, space.heads);
        let (tokens, sequences) = (space.tokens, space.sequences);
        let (conv_states, ssm_states) = (self.state(il, false)?, self.state(il, true)?);
        let conv = self.gather_states(conv_states);
        let conv = self.g.reshape(conv, [space.kernel - 1, space.channels(), sequences, 1]);
        let all = self.linear(il, "ssm_in", x)?;
        let width = self.g[all].ne[0];
        let all = self.g.reshape(all, [width, tokens, sequences, 1]);
        let nb = self.g[all].nb;
        let by_head = [space.head(), heads, tokens, sequences];
        let z = self.g.view(all, by_head, [space.head() * 4, nb[1], nb[2]], 0);
        let channels = [space.channels(), tokens, sequences];
        let mixed = self.g.view_3d(all, channels, [nb[1], nb[2]], inner * 4);
        let from = (inner + space.channels()) * 4;
        let dt = self.g.view_3d(all, [heads, tokens, sequences], [nb[1], nb[2]], from);
        let mixed = self.convolved(il, conv, mixed, conv_states, tokens)?;
        let nb = self.g[mixed].nb;
        let x = self.g.view(mixed, by_head, [space.head() * 4, nb[1], nb[2]], 0);
        let mut part = |from: u64| {
            let ne = [state, space.groups, tokens, sequences];
            self.g.view(mixed, ne, [state * 4, nb[1], nb[2]], from * 4)
        };
        let (b, c) = (part(inner), part(inner + space.groups * state));
        let dt = self.g.cont(dt);
        let bias = self.w(il, "ssm_dt.bias")?;
        let dt = self.g.add2(dt, bias);
        let a = self.w(il, "ssm_a")?;
        let shape = [state, space.head(), heads];
        let result = self.scanned(ssm_states, [x, dt, a, b, c], shape)?;
        self.keep_scanned(result, x, ssm_states);
        let row = space.head() * 4;
        let strides = [row, heads * row, tokens * heads * row];
        let y = self.g.view(result, by_head, strides, 0);
        let d = self.w(il, "ssm_d")?;
        let skip = self.g.mul(x, d);
        let y = self.g.add2(y, skip);
        let z = self.g.cont(z);
        let mut y = self.g.glu(z, y);
        if self.has(il, "ssm_norm.weight") {
            let grouped = [inner / space.groups, space.groups, tokens, sequences];
            y = self.g.reshape(y, grouped);
            y = self.norm(Op::RmsNorm, y, il, "ssm_norm");
        }
        let y = self.g.reshape(y, [inner, tokens * sequences, 1, 1]);
        self.linear(il, "ssm_out", y)
    }

    /// The convolution over the old and the new inputs, whose last stay behind as the state.
    fn convolved(&mut self, il: usize, old: Id, x: Id, states: Id, tokens: u64) -> Option<Id> {
        let x = self.g.transpose(x);
        let input = self.g.concat(old, x, 0);
        let ([before, channels, sequences, _], nb) = (self.g[old].ne, self.g[input].nb);
        let shape = [before, channels, sequences];
        let last = self.g.view_3d(input, shape, [nb[1], nb[2]], tokens * nb[0]);
        let row = self.g[states].nb[1];
        let to = self.g.view_2d(states, [before * channels, sequences], row, 0);
        let copied = self.g.copy_into(last, to);
        self.g.expand(copied);
        let kernel = self.w(il, "ssm_conv1d.weight")?;
        let mut cur = self.g.ssm_conv(input, kernel);
        if let Some(bias) = self.w(il, "ssm_conv1d.bias") {
            cur = self.g.add2(cur, bias);
        }
        Some(self.g.unary(Op::Silu, cur))
    }

    /// The recurrence, which reads its states from the cache itself.
    fn scanned(
        &mut self,
        states: Id,
        [x, dt, a, b, c]: [Id; 5],
        [state, head, heads]: [u64; 3],
    ) -> Option<Id> {
        self.read_states(states, |builder, all, ids| {
            let rows = builder.g[all].ne[1];
            let all = builder.g.reshape(all, [state, head, heads, rows]);
            Some(builder.g.ssm_scan([all, x, dt, a, b, c, ids]))
        })
    }

    /// The new states stand behind the result and are copied to the cache.
    fn keep_scanned(&mut self, result: Id, x: Id, states: Id) {
        let (width, sequences) = (self.g[states].ne[0], self.setup.sequences);
        let (row, offset) = (width * 4, self.g[x].elements() * 4);
        let new = self.g.view_2d(result, [width, sequences], row, offset);
        let to = self.g.view_2d(states, [width, sequences], row, 0);
        let copied = self.g.copy_into(new, to);
        self.g.expand(copied);
    }
}
