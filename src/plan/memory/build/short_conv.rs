//! The gated short convolutions of LFM2.

use super::super::graph::Id;
use super::Builder;

impl Builder<'_> {
    pub(super) fn short_conv(&mut self, il: usize, x: Id) -> Option<Id> {
        let sequences = self.setup.sequences;
        let tokens = self.setup.tokens / sequences;
        let width = self.g[x].ne[0];
        let x = self.g.reshape(x, [width, tokens, sequences, 1]);
        let all = self.linear(il, "shortconv.in_proj", x)?;
        let ([parts, n1, n2, _], nb) = (self.g[all].ne, self.g[all].nb);
        let chunk = parts / 3;
        let mut part = |i: u64| self.g.view_3d(all, [chunk, n1, n2], [nb[1], nb[2]], i * chunk * 4);
        let (before, after, inner) = (part(0), part(1), part(2));
        let product = self.g.mul(before, inner);
        let product = self.g.transpose(product);
        let states = self.state(il, false)?;
        let old = self.gather_states(states);
        let kept = self.g[states].ne[0] / width;
        let old = self.g.reshape(old, [kept, width, sequences, 1]);
        let input = self.g.concat(old, product, 0);
        let ([length, n1, n2, _], nb) = (self.g[input].ne, self.g[input].nb);
        let last = self.g.view_3d(input, [kept, n1, n2], [nb[1], nb[2]], (length - kept) * 4);
        let row = self.g[states].nb[1];
        let to = self.g.view_2d(states, [kept * width, sequences], row, 0);
        let copied = self.g.copy_into(last, to);
        self.g.expand(copied);
        let kernel = self.w(il, "shortconv.conv.weight")?;
        let cur = self.g.ssm_conv(input, kernel);
        let cur = self.g.mul(after, cur);
        let cur = self.linear(il, "shortconv.out_proj", cur)?;
        let width = self.g[cur].ne[0];
        Some(self.g.reshape(cur, [width, tokens * sequences, 1, 1]))
    }
}
