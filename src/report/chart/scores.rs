//! Scores of coding benchmarks with their intervals, a group for each suite.

use super::{Anchor, Chart, Mark, extent, fitting};
use crate::report::EvalRow;

const ROW: f64 = 36.0;

/// `None` without any result.
pub fn scores(rows: &[EvalRow], width: f64) -> Option<Chart> {
    if rows.is_empty() {
        return None;
    }
    let mut chart = Chart::new("scores", "Coding benchmarks", width);
    let mut y = 0.0;
    let mut suite = None;
    let mut said = Vec::new();
    let place = |share: f64| 6.0 + share.clamp(0.0, 1.0) * (width - 12.0);
    for row in rows {
        if suite != Some(&row.suite) {
            suite = Some(&row.suite);
            chart.text([0.0, y + 14.0], Anchor::Start, "label strong", fitting(&row.suite, width));
            said.push(row.suite.clone());
            y += 24.0;
        }
        let figure = row.score.clone();
        let name = [row.model.as_str(), row.setting.as_str()];
        let name = name.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let room = width - extent(&figure) - 8.0;
        let class = if row.ours { "label strong" } else { "label" };
        chart.text([0.0, y + 12.0], Anchor::Start, class, fitting(&name, room));
        chart.text([width, y + 12.0], Anchor::End, class, figure.clone());
        let at = y + 24.0;
        chart.rect([0.0, at - 2.0, width, 4.0], "track");
        if let Some([low, high]) = row.interval.map(|ends| ends.map(place)) {
            chart.line([low, at, high, at], "error");
            chart.line([low, at - 5.0, low, at + 5.0], "error");
            chart.line([high, at - 5.0, high, at + 5.0], "error");
        }
        chart.mark([place(row.pass_at_1), at], if row.ours { Mark::Dot } else { Mark::Diamond });
        said.push(format!("{name} {figure}"));
        y += ROW;
    }
    chart.text([0.0, y + 10.0], Anchor::Start, "small", "0 %");
    chart.text([width, y + 10.0], Anchor::End, "small", "100 %");
    let mut entries = Vec::new();
    if rows.iter().any(|row| row.ours) {
        entries.push((Mark::Dot, "measured here, with the 95 % interval"));
    }
    if rows.iter().any(|row| !row.ours) {
        entries.push((Mark::Diamond, "published or reported"));
    }
    let more = chart.legend([0.0, y + 30.0], &entries);
    chart.height.0 = y + 30.0 + more - 8.0;
    chart.desc = format!("Share of tasks solved at the first attempt. {}.", said.join("; "));
    Some(chart)
}
