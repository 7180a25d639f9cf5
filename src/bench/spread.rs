//! A series of measurements of one thing, kept whole, with its median and how far it scatters.

use serde::{Deserialize, Serialize};

/// Samples in the order in which they were taken. Never empty, and all of them finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Spread(Vec<f64>);

impl Spread {
    /// `None` for no samples, or for one that is no number.
    pub fn new(samples: Vec<f64>) -> Option<Self> {
        let sound = !samples.is_empty() && samples.iter().all(|sample| sample.is_finite());
        sound.then_some(Self(samples))
    }

    pub fn samples(&self) -> &[f64] {
        &self.0
    }

    pub fn median(&self) -> f64 {
        middle(self.0.clone())
    }

    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The median distance from the median: half of the samples lie within it, and one outlier does not move it.
    pub fn mad(&self) -> f64 {
        let median = self.median();
        middle(self.0.iter().map(|sample| (sample - median).abs()).collect())
    }
}

fn middle(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let half = samples.len() / 2;
    let at = |i: usize| samples.get(i).copied().unwrap_or_default();
    if samples.len().is_multiple_of(2) {
        f64::midpoint(at(half.saturating_sub(1)), at(half))
    } else {
        at(half)
    }
}

impl TryFrom<Vec<f64>> for Spread {
    type Error = &'static str;

    fn try_from(samples: Vec<f64>) -> Result<Self, Self::Error> {
        Self::new(samples).ok_or("a series of measurements needs at least one, all of them finite")
    }
}

impl From<Spread> for Vec<f64> {
    fn from(spread: Spread) -> Self {
        spread.0
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_middle_and_what_lies_around_it() {
        let spread = |samples: &[f64]| Spread::new(samples.to_vec()).unwrap();
        let odd = spread(&[3.0, 1.0, 2.0, 90.0, 2.5]);
        assert_eq!((odd.median(), odd.min(), odd.max(), odd.mad()), (2.5, 1.0, 90.0, 0.5));
        let even = spread(&[4.0, 1.0, 2.0, 3.0]);
        assert_eq!((even.median(), even.mad()), (2.5, 1.0));
        assert_eq!((spread(&[7.0]).median(), spread(&[7.0]).mad()), (7.0, 0.0));
    }

    #[test]
    fn refuses_what_is_no_series() {
        assert!(Spread::new(Vec::new()).is_none());
        assert!(Spread::new(vec![1.0, f64::NAN]).is_none());
        assert!(serde_json::from_str::<Spread>("[]").is_err());
        assert_eq!(serde_json::to_string(&Spread::new(vec![1.5]).unwrap()).unwrap(), "[1.5]");
    }
}
