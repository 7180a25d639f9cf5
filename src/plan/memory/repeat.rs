//! Leaves out blocks that repeat the same: the allocator's peak does not depend on how often they do.

/// How often a repeating pattern is kept.
const KEPT: usize = 4;
/// The longest pattern looked for: a full-attention block every eighth is the longest period in use.
const LONGEST: usize = 8;
/// A run of equal blocks that is no longer than this may be a part of such a pattern, and a shorter run would be
/// another one: with five windowed blocks and a full one, four and one have another peak.
const RUN: usize = LONGEST - 1;

/// The indices to keep of a sequence in which equal keys stand for equal blocks.
pub(super) fn shorten(keys: &[u64]) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..keys.len()).collect();
    for period in 1..=LONGEST {
        kept = shorten_by(keys, &kept, period);
    }
    kept
}

fn shorten_by(keys: &[u64], kept: &[usize], period: usize) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::with_capacity(kept.len());
    // How many of the last entries equal those one period earlier.
    let mut run = 0;
    for index in kept {
        let key = keys.get(*index);
        let earlier = out.len().checked_sub(period).and_then(|at| out.get(at));
        let repeats = earlier.is_some_and(|earlier| keys.get(*earlier) == key);
        run = if repeats { run + 1 } else { 0 };
        out.push(*index);
        if run == (period * KEPT).max(RUN) {
            // Drop a whole period, but keep its last members so that the end is the real end.
            let end = out.len() - period;
            out.drain(end - period..end);
            run -= period;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::shorten;

    fn keys(text: &str) -> Vec<u64> {
        text.bytes().map(u64::from).collect()
    }

    fn short(text: &str) -> String {
        let keys = keys(text);
        shorten(&keys).iter().map(|i| char::from(text.as_bytes()[*i])).collect()
    }

    #[test]
    fn long_runs_become_short_ones() {
        assert_eq!(short("abbbbbbbbbbc"), "abbbbbbbc");
        assert_eq!(short("rrrarrrarrrarrrarrrarrraxx"), "rrrarrrarrrarrraxx");
        assert_eq!(short("abc"), "abc");
        assert_eq!(short(""), "");
    }

    #[test]
    fn the_number_of_repetitions_does_not_matter() {
        let pattern = |n: usize, m: usize| short(&("aaab".repeat(n) + &"cccd".repeat(m) + "e"));
        assert_eq!(pattern(9, 7), pattern(5, 11));
    }

    #[test]
    fn a_run_within_a_pattern_keeps_its_length() {
        assert_eq!(short(&"sssssf".repeat(9)), "sssssf".repeat(4));
        assert_eq!(short("sssssssfsssssssf"), "sssssssfsssssssf");
    }

    #[test]
    fn the_first_and_the_last_stay() {
        let keys = keys("aaaaaaaaaaaaaaaaaaaaaaaa");
        let kept = shorten(&keys);
        assert_eq!((kept.first(), kept.last()), (Some(&0), Some(&23)));
    }
}
