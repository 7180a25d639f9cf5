//! ggml's allocator for the tensors of a graph, reduced to offsets: best fit among the holes, else grow.

/// Free space from `offset` on.
#[derive(Clone, Copy, Debug)]
struct Hole {
    offset: u64,
    size: u64,
}

/// Where the open hole ends.
const END: u64 = u64::MAX / 2;

/// One backend's compute buffer.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    alignment: u64,
    /// By offset; the last one is open towards the top.
    holes: Vec<Hole>,
    peak: u64,
}

impl Arena {
    pub(super) fn new(alignment: u64) -> Self {
        Self { alignment, holes: vec![Hole { offset: 0, size: END }], peak: 0 }
    }

    /// The highest byte ever used.
    pub(super) const fn peak(&self) -> u64 {
        self.peak
    }

    pub(super) fn aligned(&self, size: u64) -> u64 {
        // Half of all numbers is the end of the open hole, which no real tensor reaches.
        size.min(END / 2).next_multiple_of(self.alignment)
    }

    /// Takes the smallest hole that is large enough; among equals the last one. The open end comes last.
    pub(super) fn take(&mut self, size: u64) -> u64 {
        let size = self.aligned(size);
        let last = self.holes.len().saturating_sub(1);
        let mut best: Option<(usize, u64)> = None;
        for (i, hole) in self.holes.iter().enumerate().take(last) {
            if hole.size >= size && best.is_none_or(|(_, least)| hole.size <= least) {
                best = Some((i, hole.size));
            }
        }
        let i = best.map_or(last, |(i, _)| i);
        let Some(hole) = self.holes.get_mut(i) else { return self.peak };
        let offset = hole.offset;
        hole.offset = hole.offset.saturating_add(size);
        hole.size = hole.size.saturating_sub(size);
        if hole.size == 0 && i < last {
            self.holes.remove(i);
        }
        self.peak = self.peak.max(offset.saturating_add(size));
        offset
    }

    /// Gives bytes back, joining them with the holes beside them.
    pub(super) fn give(&mut self, offset: u64, size: u64) {
        let size = self.aligned(size);
        let after = self.holes.partition_point(|hole| hole.offset < offset);
        let joins_before = after
            .checked_sub(1)
            .and_then(|i| self.holes.get(i))
            .is_some_and(|hole| hole.offset.saturating_add(hole.size) == offset);
        let joins_after =
            self.holes.get(after).is_some_and(|hole| offset.saturating_add(size) == hole.offset);
        match (joins_before, joins_after) {
            (true, true) => {
                let next = self.holes.remove(after);
                if let Some(hole) = self.holes.get_mut(after - 1) {
                    hole.size = hole.size.saturating_add(size).saturating_add(next.size);
                }
            }
            (true, false) => {
                if let Some(hole) = self.holes.get_mut(after - 1) {
                    hole.size = hole.size.saturating_add(size);
                }
            }
            (false, true) => {
                if let Some(hole) = self.holes.get_mut(after) {
                    hole.offset = offset;
                    hole.size = hole.size.saturating_add(size);
                }
            }
            (false, false) => self.holes.insert(after, Hole { offset, size }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;

    #[test]
    fn takes_the_tightest_hole_and_joins_what_is_given_back() {
        let mut arena = Arena::new(128);
        let a = arena.take(1000);
        let b = arena.take(100);
        let c = arena.take(500);
        let d = arena.take(1);
        assert_eq!([a, b, c, d], [0, 1024, 1152, 1664]);
        arena.give(a, 1000);
        arena.give(c, 500);
        assert_eq!(arena.take(400), c, "the hole of 512 fits tighter than that of 1024");
        arena.give(b, 100);
        assert_eq!(arena.take(1100), a, "the first two holes have become one");
        assert_eq!(arena.peak(), 1792);
    }

    #[test]
    fn sizes_that_no_tensor_has_end_at_the_last_number() {
        let mut arena = Arena::new(128);
        let all =
            [u64::MAX, u64::MAX - 7, 1000, u64::MAX / 2, 1].map(|size| (arena.take(size), size));
        for (offset, size) in all {
            arena.give(offset, size);
        }
        assert!(arena.peak() > u64::MAX / 4);
    }
}
