//! A scale of round numbers.

/// From values to places.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// Round numbers, the first and the last being the ends.
    pub(super) ticks: Vec<f64>,
    /// The places of the ends.
    span: [f64; 2],
}

impl Axis {
    /// Around all values, with at most seven ticks. `zero` makes it begin there.
    pub(super) fn around(values: &[f64], zero: bool, span: [f64; 2]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let low = if zero { 0.0 } else { finite().fold(f64::INFINITY, f64::min) };
        let high = finite().fold(if zero { 1e-9 } else { f64::NEG_INFINITY }, f64::max);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let step = step((high - low).max(high.abs() * 0.05).max(1e-9) / 5.0);
        let mut at = (low / step).floor();
        let end = (high / step).ceil().max(at + 1.0);
        let mut ticks = Vec::new();
        while at <= end {
            ticks.push(at * step);
            at += 1.0;
        }
        Self { ticks, span }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let [from, to] = self.span;
        let (low, high) =
            (self.ticks.first().copied().unwrap_or(0.0), self.ticks.last().copied().unwrap_or(1.0));
        from + (value - low) / (high - low) * (to - from)
    }

    /// A tick as it is written.
    pub(super) fn words(&self, tick: f64) -> String {
        let step = match self.ticks.as_slice() {
            [first, second, ..] => second - first,
            _ => 1.0,
        };
        if step >= 1.0 { format!("{tick:.0}") } else { format!("{tick:.1}") }
    }

    pub(super) fn begins_at_zero(&self) -> bool {
        self.ticks.first().is_some_and(|tick| *tick == 0.0)
    }
}

/// The next of 1, 2, 5, 10, ... that is not smaller.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|n| n * power)
        .find(|n| *n >= least * 0.999)
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn round_ends_around_everything() {
        for values in [&[21.0, 31.0][..], &[0.4, 0.9], &[1200.0, 1201.0], &[5.0], &[], &[f64::NAN]]
        {
            for zero in [true, false] {
                let axis = Axis::around(values, zero, [100.0, 0.0]);
                assert!((2..=8).contains(&axis.ticks.len()), "{values:?} {axis:?}");
                for value in values.iter().filter(|value| value.is_finite()) {
                    assert!((-0.01..=100.01).contains(&axis.place(*value)), "{value} {axis:?}");
                }
                assert!(!zero || axis.begins_at_zero());
            }
        }
        assert_eq!(
            Axis::around(&[21.0, 31.0], false, [0.0, 1.0]).ticks,
            [20.0, 22.0, 24.0, 26.0, 28.0, 30.0, 32.0]
        );
    }
}
