//! Fits the costs of a token to measured speeds, and tells how much better they predict runs that were left out.
//!
//! A token's seconds are linear in five numbers: the reciprocals of the two efficiencies and three costs. They are solved
//! for by least squares of relative errors. Few runs cannot tell all five apart, so that each is held to what it was
//! before, loosely: what the runs do not speak of stays as it is.

use super::{Rates, Traffic};
use crate::hardware::Speed;

const UNKNOWN: usize = 5;

/// How dear it is to change a constant by its own size: as much as an error of a tenth in one run.
const HELD: f64 = 0.01;

/// No constant falls below this share of what it was: a cost of nothing is noise.
const LEAST: f64 = 0.02;

/// A measured speed and what the token reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Runs of one model in one placement: left out together.
    pub group: String,
    /// Tokens per second, measured.
    pub tps: f64,
    /// Seconds per token for each of the unknown numbers at one, and seconds beside them.
    per: [f64; UNKNOWN],
    beside: f64,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub speed: Speed,
    /// Relative errors of the runs: as it was, fitted, and fitted without the run's own group.
    pub before: Vec<f64>,
    pub after: Vec<f64>,
    pub held_out: Vec<f64>,
}

impl Sample {
    /// `rates` may have any costs; what they are does not count.
    pub fn new(group: String, tps: f64, rates: &Rates, traffic: &Traffic) -> Self {
        let local = rates.gpus.iter().zip(&traffic.gpus).map(|(rate, bytes)| bytes / rate);
        let efficiency = rates.costs;
        let beside = super::beside(traffic);
        Self {
            group,
            tps,
            per: [
                local.sum::<f64>() * efficiency.gpu_efficiency,
                traffic.cpu / rates.memory,
                traffic.blocks * 1e-6,
                traffic.recurrent * 1e-6,
                traffic.visits * 1e-6,
            ],
            beside,
        }
    }

    /// Seconds per token with these costs.
    fn seconds(&self, numbers: &[f64; UNKNOWN]) -> f64 {
        self.beside + self.per.iter().zip(numbers).map(|(per, number)| per * number).sum::<f64>()
    }

    /// Predicted over measured tokens per second, less one.
    pub fn error(&self, speed: &Speed) -> f64 {
        1.0 / (self.seconds(&numbers(speed)) * self.tps) - 1.0
    }
}

fn numbers(speed: &Speed) -> [f64; UNKNOWN] {
    let Speed { gpu_efficiency, cpu_efficiency, block_us, recurrent_us, visit_us, error: _ } =
        *speed;
    [1.0 / gpu_efficiency, 1.0 / cpu_efficiency, block_us, recurrent_us, visit_us]
}

fn speed([gpu, cpu, block_us, recurrent_us, visit_us]: [f64; UNKNOWN], error: f64) -> Speed {
    Speed {
        gpu_efficiency: 1.0 / gpu,
        cpu_efficiency: 1.0 / cpu,
        block_us,
        recurrent_us,
        visit_us,
        error,
    }
}

/// Root of the mean square.
pub fn spread(errors: &[f64]) -> f64 {
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    (squares / errors.len().max(1) as f64).sqrt()
}

pub fn largest(errors: &[f64]) -> f64 {
    errors.iter().fold(0.0, |most: f64, error| most.max(error.abs()))
}

/// `None` with fewer than three groups: nothing could be left out and the rest still say something.
pub fn fit(samples: &[Sample], before: &Speed) -> Option<Fit> {
    let mut groups: Vec<&str> = samples.iter().map(|sample| sample.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    if groups.len() < 3 {
        return None;
    }
    let all: Vec<&Sample> = samples.iter().collect();
    let found = solve(&all, before);
    let without = |sample: &Sample| {
        let rest: Vec<&Sample> = samples.iter().filter(|one| one.group != sample.group).collect();
        sample.error(&solve(&rest, before))
    };
    let held_out: Vec<f64> = samples.iter().map(without).collect();
    let errors = |speed: &Speed| samples.iter().map(|sample| sample.error(speed)).collect();
    Some(Fit {
        speed: Speed { error: largest(&held_out), ..found },
        before: errors(before),
        after: errors(&found),
        held_out,
    })
}

fn solve(samples: &[&Sample], before: &Speed) -> Speed {
    let old = numbers(before);
    let mut fixed = [false; UNKNOWN];
    let mut found = old;
    // What would fall too low is set to the least, and the rest solved for again.
    for _ in 0..=UNKNOWN {
        let Some(next) = least_squares(samples, &old, &found, fixed) else { break };
        found = next;
        let mut low = false;
        for i in 0..UNKNOWN {
            let (Some(number), Some(was), Some(pin)) =
                (found.get_mut(i), old.get(i), fixed.get_mut(i))
            else {
                continue;
            };
            if *number < was * LEAST {
                *number = was * LEAST;
                *pin = true;
                low = true;
            }
        }
        if !low {
            break;
        }
    }
    speed(found, before.error)
}

/// The normal equations in steps relative to the old numbers, by elimination.
#[expect(clippy::indexing_slicing, reason = "all indices run over arrays of one constant size")]
fn least_squares(
    samples: &[&Sample],
    old: &[f64; UNKNOWN],
    now: &[f64; UNKNOWN],
    fixed: [bool; UNKNOWN],
) -> Option<[f64; UNKNOWN]> {
    // A number that was zero is stepped by one.
    let unit = old.map(|number| if number > 0.0 { number } else { 1.0 });
    let mut rows = [[0.0; UNKNOWN + 1]; UNKNOWN];
    for sample in samples {
        let start: [f64; UNKNOWN] = std::array::from_fn(|i| if fixed[i] { now[i] } else { old[i] });
        let missing = 1.0 - sample.seconds(&start) * sample.tps;
        let slope: [f64; UNKNOWN] =
            std::array::from_fn(
                |i| {
                    if fixed[i] { 0.0 } else { sample.per[i] * unit[i] * sample.tps }
                },
            );
        for i in 0..UNKNOWN {
            for j in 0..UNKNOWN {
                rows[i][j] += slope[i] * slope[j];
            }
            rows[i][UNKNOWN] += slope[i] * missing;
        }
    }
    for (i, row) in rows.iter_mut().enumerate() {
        row[i] += HELD;
    }
    for at in 0..UNKNOWN {
        let pivot =
            (at..UNKNOWN).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        let head = rows[at];
        if head[at].abs() < 1e-12 {
            return None;
        }
        for (i, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != at) {
            let times = row[at] / head[at];
            for (cell, above) in row.iter_mut().zip(head) {
                *cell -= times * above;
            }
            debug_assert!(i != at);
        }
    }
    Some(std::array::from_fn(|i| {
        if fixed[i] { now[i] } else { old[i] + unit[i] * rows[i][UNKNOWN] / rows[i][i] }
    }))
}

#[cfg(test)]
mod tests {
    use super::{Sample, fit, largest, spread};
    use crate::hardware::Speed;

    const SHIPPED: Speed = Speed {
        gpu_efficiency: 0.75,
        cpu_efficiency: 0.8,
        block_us: 65.0,
        recurrent_us: 106.0,
        visit_us: 260.0,
        error: 0.35,
    };
    const TRUE: Speed =
        Speed { gpu_efficiency: 0.6, cpu_efficiency: 0.4, block_us: 90.0, ..SHIPPED };

    /// Runs of a machine with these costs: 48 blocks, of which so many visit the CPU with 24 MB each.
    fn run(visits: f64, noise: f64) -> Sample {
        let per = [(3e9 - visits * 24e6) / 1e12, visits * 24e6 / 50e9, 48e-6, 0.0, visits * 1e-6];
        let mut sample = Sample { group: format!("{visits}"), tps: 1.0, per, beside: 1e-4 };
        sample.tps = (1.0 + noise) / sample.seconds(&super::numbers(&TRUE));
        sample
    }

    #[test]
    fn finds_what_the_runs_were_made_with() {
        let runs: Vec<Sample> =
            [0.0, 4.0, 10.0, 20.0, 30.0, 48.0].map(|visits| run(visits, 0.0)).into();
        let fit = fit(&runs, &SHIPPED).unwrap();
        assert!(largest(&fit.after) < 0.01, "{fit:?}");
        assert!(largest(&fit.held_out) < 0.03, "{fit:?}");
        assert!(spread(&fit.before) > 0.2, "{fit:?}");
        // No run has a recurrent block, so nothing is said about them.
        assert!((fit.speed.recurrent_us - SHIPPED.recurrent_us).abs() < 1e-9);
    }

    #[test]
    fn noise_does_not_turn_costs_negative() {
        let noise = [0.06, -0.05, 0.04, -0.06, 0.05, -0.04];
        let runs: Vec<Sample> =
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].iter().zip(noise).map(|(v, n)| run(*v, n)).collect();
        let found = fit(&runs, &SHIPPED).unwrap().speed;
        for cost in [found.gpu_efficiency, found.cpu_efficiency, found.block_us, found.visit_us] {
            assert!(cost > 0.0, "{found:?}");
        }
    }

    #[test]
    fn two_placements_are_too_few() {
        assert_eq!(fit(&[run(0.0, 0.0), run(9.0, 0.0), run(9.0, 0.01)], &SHIPPED), None);
    }
}
