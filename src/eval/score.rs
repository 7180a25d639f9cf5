//! What verdicts come to: pass@1 and where it lies with 95 % certainty.

/// Two sides of the normal distribution that hold 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A share with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// From 0 to 1.
    pub pass_at_1: f64,
    pub low: f64,
    pub high: f64,
    pub method: &'static str,
}

/// Of the number of passed answers to each problem, out of `samples` each. `None` without problems.
///
/// With one answer each it is Wilson's interval. Several answers to one problem say much less than answers to several
/// problems: then the problems are the sample, and the interval is that of the mean of their shares. Where all shares
/// are equal that would be no interval at all; Wilson's, of so many problems, takes its place.
pub fn score(passed: &[u64], samples: u64) -> Option<Score> {
    let count = passed.len();
    if count == 0 || samples == 0 {
        return None;
    }
    let n = count as f64;
    let shares: Vec<f64> = passed.iter().map(|passed| *passed as f64 / samples as f64).collect();
    let mean = shares.iter().sum::<f64>() / n;
    let squares = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>();
    if samples == 1 || count == 1 || squares == 0.0 {
        let (low, high) = wilson(mean, n);
        return Some(Score { pass_at_1: mean, low, high, method: "wilson" });
    }
    let error = Z * (squares / (n - 1.0) / n).sqrt();
    let (low, high) = ((mean - error).max(0.0), (mean + error).min(1.0));
    Some(Score { pass_at_1: mean, low, high, method: "clustered" })
}

/// The score interval of a share of `n` trials (E. B. Wilson, 1927).
fn wilson(share: f64, n: f64) -> (f64, f64) {
    let square = Z * Z;
    let middle = (share + square / (2.0 * n)) / (1.0 + square / n);
    let half = Z / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The chance that at least one of `k` answers passes, without bias, from `passed` of `samples`: one less the chance that
/// `k` of them, drawn without putting back, all fail (Chen and others, 2021). `None` where there are fewer than `k`.
pub fn pass_at(k: u64, passed: u64, samples: u64) -> Option<f64> {
    if k == 0 || k > samples || passed > samples {
        return None;
    }
    let failed = samples - passed;
    if failed < k {
        return Some(1.0);
    }
    let none = (0..k).map(|i| (failed - i) as f64 / (samples - i) as f64).product::<f64>();
    Some(1.0 - none)
}

/// The mean of [`pass_at`] over the problems.
pub fn mean_pass_at(k: u64, passed: &[u64], samples: u64) -> Option<f64> {
    let each = passed.iter().map(|passed| pass_at(k, *passed, samples));
    let sum = each.collect::<Option<Vec<f64>>>()?.iter().sum::<f64>();
    (!passed.is_empty()).then(|| sum / passed.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::{mean_pass_at, pass_at, score};

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 5e-4
    }

    /// The figures of Wilson's interval that statistics packages give (scipy's `proportion_ci(method='wilson')`).
    #[test]
    fn one_answer_each() {
        for (passed, n, low, high) in [
            (0_u64, 10_u64, 0.0, 0.2775),
            (5, 10, 0.2366, 0.7634),
            (10, 10, 0.7225, 1.0),
            (30, 100, 0.2189, 0.3958),
            (1, 1, 0.2065, 1.0),
        ] {
            let list: Vec<u64> = (0..n).map(|i| u64::from(i < passed)).collect();
            let found = score(&list, 1).unwrap();
            assert!(close(found.pass_at_1, passed as f64 / n as f64));
            assert!(close(found.low, low) && close(found.high, high), "{passed}/{n}: {found:?}");
            assert_eq!(found.method, "wilson");
        }
        assert_eq!(score(&[], 1), None);
    }

    #[test]
    fn several_answers_each() {
        // Shares 0, 0.5, 1, 0.5: mean 0.5, standard deviation 0.4082, error 0.2041.
        let found = score(&[0, 2, 4, 2], 4).unwrap();
        assert_eq!(found.method, "clustered");
        assert!(
            close(found.pass_at_1, 0.5) && close(found.low, 0.0999) && close(found.high, 0.9001)
        );
        // Whether each problem is answered twice or ten times: the problems are what is sampled.
        let (two, ten) = (score(&[0, 2, 2, 0], 2).unwrap(), score(&[0, 10, 10, 0], 10).unwrap());
        assert!(
            close(two.low, ten.low) && two.low < score(&[0, 1, 1, 0, 0, 1, 1, 0], 1).unwrap().low
        );
        let sure = score(&[3, 3, 3], 3).unwrap();
        assert!(sure.low < 0.5 && sure.method == "wilson", "{sure:?}");
    }

    #[test]
    fn one_of_several() {
        assert!(close(pass_at(1, 3, 10).unwrap(), 0.3));
        // All pairs of 4 of which 1 passes: half of them hold it.
        assert_eq!(pass_at(2, 1, 4), Some(0.5));
        assert_eq!(pass_at(4, 1, 4), Some(1.0));
        assert_eq!(pass_at(2, 0, 4), Some(0.0));
        assert_eq!((pass_at(5, 1, 4), pass_at(0, 1, 4), pass_at(1, 5, 4)), (None, None, None));
        assert_eq!(mean_pass_at(2, &[0, 1], 4), Some(0.25));
        assert_eq!(mean_pass_at(1, &[], 4), None);
        // By counting: every choice of k out of n.
        for (n, c, k) in [(6_u32, 2_u32, 3_u32), (7, 3, 2), (5, 1, 4)] {
            let choices = (0..1_u32 << n).filter(|set| set.count_ones() == k);
            let (all, good) = choices.fold((0, 0), |(all, good), set| {
                (all + 1, good + u32::from(set & ((1 << c) - 1) != 0))
            });
            let found = pass_at(k.into(), c.into(), n.into()).unwrap();
            assert!((found - f64::from(good) / f64::from(all)).abs() < 1e-12);
        }
    }
}
