//! Recurrent states: reading those of the batch's sequences and writing the new ones.

use super::super::graph::{Home, Id, Op, Ty};
use super::Builder;

impl Builder<'_> {
    /// A block's state tensor, one row per sequence: of the convolution, or of the recurrence.
    pub(super) fn state(&mut self, il: usize, recurrence: bool) -> Option<Id> {
        let state = self.model.layers.get(il)?.state?;
        let width = if recurrence { state.ssm } else { state.conv };
        let place = if self.setup.offload_kv { self.place_of(il) } else { self.rig.host() };
        let rows = self.setup.sequences;
        Some(self.g.resident(Ty::F32, [width, rows, 1, 1], Home::Cache(place)))
    }

    /// Clears fresh states and gathers those of the batch: `[width, sequences]`.
    pub(super) fn gather_states(&mut self, states: Id) -> Id {
        let [width, rows, ..] = self.g[states].ne;
        let all = self.g.reshape(states, [width, rows, 1, 1]);
        let zero = self.g.view(all, [width, 1, 1, 1], [width * 4, width * 4, width * 4], 0);
        let zero = self.g.in_place(Op::Scale, zero);
        self.g.expand(zero);
        let ids = self.states();
        let gathered = self.g.get_rows(all, ids);
        let out = self.g.view_2d(gathered, [width, rows], width * 4, 0);
        self.g.expand(out);
        let rest = self.g.view_2d(gathered, [width, 0], width * 4, rows * width * 4);
        let to = self.g.view_2d(states, [width, 0], width * 4, rows * width * 4);
        let copied = self.g.copy_into(rest, to);
        self.g.expand(copied);
        out
    }

    /// Like `gather_states`, with an operation that reads the states itself.
    pub(super) fn read_states(
        &mut self,
        states: Id,
        read: impl FnOnce(&mut Self, Id, Id) -> Option<Id>,
    ) -> Option<Id> {
        let [width, rows, ..] = self.g[states].ne;
        let all = self.g.reshape(states, [width, rows, 1, 1]);
        let zero = self.g.view(all, [width, 1, 1, 1], [width * 4, width * 4, width * 4], 0);
        let zero = self.g.in_place(Op::Scale, zero);
        self.g.expand(zero);
        let [main, tail] = self.state_parts();
        let gathered = self.g.get_rows(all, tail);
        let out = read(self, all, main)?;
        self.g.expand(out);
        let rest = self.g.view_2d(gathered, [width, 0], width * 4, (rows - 1) * width * 4);
        let to = self.g.view_2d(states, [width, 0], width * 4, rows * width * 4);
        let copied = self.g.copy_into(rest, to);
        self.g.expand(copied);
        Some(out)
    }

    /// Puts the last inputs of a convolution before the new ones, and keeps the last for the next batch.
    ///
    /// `x` is `[channels, tokens per sequence, sequences]`.
    pub(super) fn conv_input(&mut self, states: Id, x: Id, kernel: u64) -> Id {
        let [channels, _, sequences, _] = self.g[x].ne;
        let before = kernel - 1;
        let old = self.gather_states(states);
        let old = self.g.reshape(old, [before, channels, sequences, 1]);
        let x = self.g.transpose(x);
        let input = self.g.concat(old, x, 0);
        let ([length, ..], nb) = (self.g[input].ne, self.g[input].nb);
        let last = self.g.view_3d(
            input,
            [before, channels, sequences],
            [nb[1], nb[2]],
            (length - before) * 4,
        );
        let row = self.g[states].nb[1];
        let to = self.g.view_2d(states, [before * channels, sequences], row, 0);
        let copied = self.g.copy_into(last, to);
        self.g.expand(copied);
        input
    }
}
