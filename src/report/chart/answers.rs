//! How long the same task takes: what a fast model that rewrites its answer loses again.

use super::{Anchor, Chart, Mark, fitting, qualities};
use crate::report::{Quality, Row};

const ROW: f64 = 36.0;

/// `None` where no answer was timed.
pub fn answers(rows: &[Row], width: f64) -> Option<Chart> {
    let mut timed: Vec<(&Row, f64, u64)> =
        rows.iter().filter_map(|row| Some((row, row.seconds?, row.tokens?))).collect();
    if timed.is_empty() {
        return None;
    }
    timed.sort_by(|a, b| a.1.total_cmp(&b.1));
    let most = timed.iter().map(|(_, seconds, _)| *seconds).fold(1e-9, f64::max);
    let mut chart = Chart::new("time-to-answer", "Time to the finished answer", width);
    let mut said = Vec::new();
    for (i, (row, seconds, tokens)) in timed.iter().enumerate() {
        let y = ROW * i as f64;
        chart.mark([6.0, y + 10.0], Mark::of(row.quality));
        let figure = format!("{seconds:.1} s, {tokens} tokens");
        let room = width - 20.0 - super::extent(&figure) - 8.0;
        let name = format!("{} {}", row.short, row.context);
        chart.text([18.0, y + 14.0], Anchor::Start, "label", fitting(&name, room));
        chart.text([width, y + 14.0], Anchor::End, "label", figure.clone());
        let class = if row.quality == Quality::Doubts { "bar doubts" } else { "bar" };
        let long = (width * seconds / most).max(1.0);
        chart.rect([0.0, y + 20.0, width, 9.0], "track");
        chart.rect([0.0, y + 20.0, long, 9.0], class);
        said.push(format!("{name} {figure}"));
    }
    let bottom = ROW * timed.len() as f64 + 14.0;
    let entries = qualities(timed.iter().map(|(row, ..)| row.quality));
    let more = chart.legend([0.0, bottom], &entries);
    chart.height.0 = bottom + more - 8.0;
    chart.desc =
        format!("Seconds and tokens for the same task, the fastest first. {}.", said.join("; "));
    Some(chart)
}
