//! Attempts in their order: the layers on each device, and how it ended.

use super::{Anchor, Chart, Mark, extent, fitting};
use crate::report::{Attempt, Trail};

const ROW: f64 = 36.0;

/// `None` without any attempt.
pub fn trails(trails: &[Trail], width: f64) -> Option<Chart> {
    let all = || trails.iter().flat_map(|trail| &trail.attempts);
    let most = all().map(total).max().filter(|most| *most > 0)?;
    let mut chart = Chart::new("attempts", "Attempts at a placement", width);
    let mut y = 0.0;
    let mut said = Vec::new();
    for trail in trails {
        chart.text([0.0, y + 14.0], Anchor::Start, "label strong", fitting(&trail.strategy, width));
        y += 24.0;
        let mut words = Vec::new();
        for attempt in &trail.attempts {
            row(&mut chart, attempt, y, most);
            words.push(format!("{} {}", attempt.words, attempt.outcome));
            y += ROW;
        }
        said.push(format!("{}: {}", trail.strategy, words.join(", then ")));
        y += 8.0;
    }
    let entries = [(Mark::Dot, "ran"), (Mark::Cross, "did not run")];
    let more = chart.legend([0.0, y + 12.0], &entries);
    chart.height.0 = y + 12.0 + more - 8.0;
    chart.desc = format!("{}.", said.join(". "));
    Some(chart)
}

fn total(attempt: &Attempt) -> u32 {
    attempt.layers.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

fn row(chart: &mut Chart, attempt: &Attempt, y: f64, most: u32) {
    let width = chart.width.0;
    chart.mark([6.0, y + 9.0], if attempt.ran { Mark::Dot } else { Mark::Cross });
    let mut end = attempt.outcome.clone();
    if let Some(speed) = &attempt.speed {
        end = format!("{end}, {speed}");
    }
    let name = format!("{} layers, {}", attempt.words, attempt.context);
    let class = if attempt.chosen { "label strong" } else { "label" };
    chart.text([18.0, y + 13.0], Anchor::Start, class, fitting(&name, width - 26.0 - extent(&end)));
    chart.text([width, y + 13.0], Anchor::End, class, end);
    let scale = width / f64::from(most);
    let mut x = 0.0;
    chart.rect([0.0, y + 19.0, width, 9.0], "track");
    for (i, layers) in attempt.layers.iter().enumerate() {
        let long = f64::from(*layers) * scale;
        // A gap tells the devices apart.
        let class = match (attempt.ran, i % 2) {
            (true, 0) => "layers",
            (true, _) => "layers other",
            (false, 0) => "layers lost",
            (false, _) => "layers lost other",
        };
        chart.rect([x, y + 19.0, (long - 2.0).max(0.5), 9.0], class);
        x += long;
    }
}
