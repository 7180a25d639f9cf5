//! Whether two series of measurements differ by more than chance.
//!
//! The test asks how often shuffling alone gives a difference as large: below one time in twenty it is called a
//! difference, otherwise it is too close to call. Nothing is assumed about how the samples are distributed.

use std::fmt;

use super::Spread;

/// Chance that is still accepted.
const LEVEL: f64 = 0.05;

/// Of two series with fewer samples each, no arrangement is as rare as that.
const FEWEST_APART: usize = 4;
const FEWEST_PAIRS: usize = 6;

/// Signs are tried out one by one up to here: 2^20 sums.
const MOST_PAIRS: usize = 20;

/// Of longer series the first so many count: the table of all their choices takes megabytes, and it grows with the cube.
const MOST_APART: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The second is faster, by this share of the first; negative where it is slower.
    Different {
        change: f64,
        p: f64,
    },
    TooClose {
        change: f64,
        p: f64,
    },
    /// Too few samples for any verdict: at least so many each are needed.
    TooFew {
        change: f64,
        needed: usize,
    },
}

impl Verdict {
    /// Of series that were taken in turns: sample by sample, so that what drifts for both cancels out.
    pub fn paired(first: &Spread, second: &Spread) -> Self {
        let pairs = first.samples().iter().zip(second.samples()).take(MOST_PAIRS);
        let steps: Vec<f64> = pairs.map(|(a, b)| b - a).collect();
        let change = change(first, second);
        if steps.len() < FEWEST_PAIRS {
            return Self::TooFew { change, needed: FEWEST_PAIRS };
        }
        Self::of(change, chance_of_signs(&steps))
    }

    /// Of series that were taken at different times, by their ranks.
    pub fn apart(first: &Spread, second: &Spread) -> Self {
        let change = change(first, second);
        if first.samples().len().min(second.samples().len()) < FEWEST_APART {
            return Self::TooFew { change, needed: FEWEST_APART };
        }
        let some = |spread: &Spread| -> Vec<f64> {
            spread.samples().iter().take(MOST_APART).copied().collect()
        };
        Self::of(change, chance_of_ranks(&some(first), &some(second)))
    }

    fn of(change: f64, p: f64) -> Self {
        if p < LEVEL { Self::Different { change, p } } else { Self::TooClose { change, p } }
    }

    /// For machines: `different`, `too-close` or `too-few`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Different { .. } => "different",
            Self::TooClose { .. } => "too-close",
            Self::TooFew { .. } => "too-few",
        }
    }

    pub const fn change(self) -> f64 {
        match self {
            Self::Different { change, .. }
            | Self::TooClose { change, .. }
            | Self::TooFew { change, .. } => change,
        }
    }
}

fn change(first: &Spread, second: &Spread) -> f64 {
    let before = first.median();
    if before == 0.0 { 0.0 } else { second.median() / before - 1.0 }
}

/// If nothing differed, each step could as well have had the other sign: the share of all choices of signs whose sum
/// is as far from zero.
fn chance_of_signs(steps: &[f64]) -> f64 {
    let sum: f64 = steps.iter().sum();
    // Sums that are equal but for rounding are equal.
    let bound = sum.abs() * (1.0 - 1e-9);
    let mut sums = vec![0.0];
    for step in steps {
        sums = sums.iter().flat_map(|sum| [sum + step, sum - step]).collect();
    }
    let as_far = sums.iter().filter(|sum| sum.abs() >= bound).count();
    as_far as f64 / sums.len() as f64
}

/// If nothing differed, any of the samples could have been in the first series: the share of all choices whose sum of
/// ranks is as far from the expected one.
fn chance_of_ranks(first: &[f64], second: &[f64]) -> f64 {
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    // Twice the rank, so that equal samples share a whole number.
    let rank = |sample: f64| {
        let below = all.iter().filter(|other| **other < sample).count();
        let equal = all.iter().filter(|other| other.total_cmp(&sample).is_eq()).count();
        2 * below + equal + 1
    };
    let most: usize = all.iter().map(|sample| rank(*sample)).sum();
    // ways[k][s]: choices of k samples whose doubled ranks add up to s.
    let mut ways = vec![vec![0.0_f64; most + 1]; first.len() + 1];
    if let Some(start) = ways.first_mut().and_then(|row| row.first_mut()) {
        *start = 1.0;
    }
    for rank in all.iter().map(|sample| rank(*sample)) {
        for k in (1..ways.len()).rev() {
            let (lower, upper) = ways.split_at_mut(k);
            let (Some(from), Some(into)) = (lower.last(), upper.first_mut()) else { continue };
            for (way, more) in into.iter_mut().skip(rank).zip(from.iter()) {
                *way += more;
            }
        }
    }
    let Some(row) = ways.last() else { return 1.0 };
    let expected = first.len() * (all.len() + 1);
    let observed: usize = first.iter().map(|sample| rank(*sample)).sum();
    let far = observed.abs_diff(expected);
    let total: f64 = row.iter().sum();
    let as_far = row.iter().enumerate().filter(|(sum, _)| sum.abs_diff(expected) >= far);
    as_far.map(|(_, ways)| ways).sum::<f64>() / total
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.change() * 100.0;
        match self {
            Self::Different { p, .. } => {
                write!(f, "{percent:+.1} %, more than chance (p = {p:.3})")
            }
            Self::TooClose { p, .. } => {
                write!(f, "{percent:+.1} %, too close to call (p = {p:.2})")
            }
            Self::TooFew { needed, .. } => {
                write!(f, "{percent:+.1} %, no verdict: it takes {needed} measurements of each")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, chance_of_ranks, chance_of_signs};
    use crate::bench::Spread;

    fn spread(samples: &[f64]) -> Spread {
        Spread::new(samples.to_vec()).unwrap()
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }

    #[test]
    fn ranks_as_in_the_tables() {
        // Complete separation: 2 of the C(8,4) = 70 choices.
        near(chance_of_ranks(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]), 2.0 / 70.0);
        // U = 1 for 4 and 4: ranks 1 2 3 5 and as far on the other side, 4 of 70.
        near(chance_of_ranks(&[1.0, 2.0, 3.0, 5.0], &[4.0, 6.0, 7.0, 8.0]), 4.0 / 70.0);
        near(chance_of_ranks(&[1.0, 1.0, 1.0, 1.0], &[1.0, 1.0, 1.0, 1.0]), 1.0);
        // Ties: {1,1,2,2} against {2,2,3,3}; by hand, 6 of 70 choices as far on each side.
        let ties = chance_of_ranks(&[1.0, 1.0, 2.0, 2.0], &[2.0, 2.0, 3.0, 3.0]);
        near(ties, 12.0 / 70.0);
    }

    #[test]
    fn signs_by_hand() {
        near(chance_of_signs(&[1.0; 6]), 2.0 / 64.0);
        near(chance_of_signs(&[1.0, 1.0, 1.0, 1.0, 1.0, -0.5]), 4.0 / 64.0);
        near(chance_of_signs(&[0.0; 6]), 1.0);
    }

    #[test]
    fn drift_hides_nothing_from_pairs() {
        // Both slow down as the card warms up; the second is 2 % faster each time.
        let first: Vec<f64> = (0..8).map(|i| 30.0 - f64::from(i)).collect();
        let second: Vec<f64> = first.iter().map(|tps| tps * 1.02).collect();
        let (first, second) = (spread(&first), spread(&second));
        assert!(matches!(Verdict::paired(&first, &second), Verdict::Different { .. }));
        assert!(matches!(Verdict::apart(&first, &second), Verdict::TooClose { .. }));
    }

    #[test]
    fn says_what_it_knows() {
        let steady = spread(&[20.0, 20.2, 19.9, 20.1, 20.0, 20.1]);
        let better = spread(&[22.0, 22.1, 21.9, 22.2, 22.0, 22.1]);
        let text = Verdict::apart(&steady, &better).to_string();
        assert_eq!(text, "+10.0 %, more than chance (p = 0.002)");
        let text = Verdict::paired(&steady, &steady).to_string();
        assert_eq!(text, "+0.0 %, too close to call (p = 1.00)");
        let one = spread(&[21.4]);
        let text = Verdict::apart(&one, &spread(&[25.8])).to_string();
        assert_eq!(text, "+20.6 %, no verdict: it takes 4 measurements of each");
        assert!(matches!(Verdict::paired(&one, &one), Verdict::TooFew { needed: 6, .. }));
    }

    #[test]
    fn thousands_of_samples_are_judged_by_some() {
        let many = |base: f64| -> Vec<f64> { (0..2000).map(|i| base + f64::from(i % 7)).collect() };
        let (first, second) = (spread(&many(20.0)), spread(&many(30.0)));
        assert!(matches!(Verdict::apart(&first, &second), Verdict::Different { .. }));
        assert!(matches!(Verdict::apart(&first, &first), Verdict::TooClose { .. }));
    }
}
