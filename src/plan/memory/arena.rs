//! ggml's allocator for the tensors of a graph, reduced to offsets: best fit among the holes, else grow.

/// Free space from `offset` on.
#[derive(Clone, Copy, Debug)]
struct Hole {
    offset: u64,
    size: u64,
}

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
        Self { alignment, holes: vec![Hole { offset: 0, size: u64::MAX / 2 }], peak: 0 }
    }

    /// The highest byte ever used.
    pub(super) const fn peak(&self) -> u64 {
        self.peak
    }

    pub(super) fn aligned(&self, size: u64) -> u64 {
        size.next_multiple_of(self.alignment)
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
        hole.offset += size;
        hole.size -= size;
        if hole.size == 0 {
            self.holes.remove(i);
        }
        self.peak = self.peak.max(offset + size);
        offset
    }

    /// Gives bytes back, joining them with the holes beside them.
    pub(super) fn give(&mut self, offset: u64, size: u64) {
        let size = self.aligned(size);
        let after = self.holes.partition_point(|hole| hole.offset < offset);
        let joins_before = after
            .checked_sub(1)
            .and_then(|i| self.holes.get(i))
            .is_some_and(|hole| hole.offset + hole.size == offset);
        let joins_after = self.holes.get(after).is_some_and(|hole| offset + size == hole.offset);
        match (joins_before, joins_after) {
            (true, true) => {
                let next = self.holes.remove(after);
                if let Some(hole) = self.holes.get_mut(after - 1) {
                    hole.size += size + next.size;
                }
            }
            (true, false) => {
                if let Some(hole) = self.holes.get_mut(after - 1) {
                    hole.size += size;
                }
            }
            (false, true) => {
                if let Some(hole) = self.holes.get_mut(after) {
                    hole.offset = offset;
                    hole.size += size;
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
}
