//! Speed against depth: how a filling context slows a strategy down.

use super::axis::Axis;
use super::{Anchor, Chart, Mark, fitting};
use crate::ledger::{Ledger, latest};
use crate::report::words;

const LEFT: f64 = 38.0;
const TOP: f64 = 26.0;
const PLOT: f64 = 220.0;

const LINES: [(&str, Mark); 4] = [
    ("series first", Mark::Dot),
    ("series second", Mark::Triangle),
    ("series third", Mark::Diamond),
    ("series fourth", Mark::Cross),
];

/// The newest runs that were measured at several depths, four at most. `None` where there are none.
pub fn depths(ledger: &Ledger, width: f64) -> Option<Chart> {
    let all: Vec<_> = ledger.entries.iter().collect();
    let mut series: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for entry in latest(&all, None).into_iter().filter_map(|(_, newest)| newest) {
        let speeds = entry.run.speeds.iter();
        let mut points: Vec<(f64, f64)> =
            speeds.filter_map(|s| Some((s.depth? as f64, s.decode.as_ref()?.median()))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if points.len() > 1 {
            let name = entry.run.preset().or(entry.run.url.as_deref()).unwrap_or("a server");
            series.push((name.to_owned(), points));
        }
    }
    let from = series.len().saturating_sub(LINES.len());
    let series = series.split_off(from);
    if series.is_empty() {
        return None;
    }
    let points = || series.iter().flat_map(|(_, points)| points);
    let speeds: Vec<f64> = points().map(|(_, tps)| *tps).collect();
    let axis = Axis::around(&speeds, true, [TOP + PLOT, TOP]);
    // Depths double rather than add up.
    let log = |depth: f64| depth.max(1.0).log2();
    let low = points().map(|(depth, _)| log(*depth)).fold(f64::INFINITY, f64::min);
    let high = points().map(|(depth, _)| log(*depth)).fold(f64::NEG_INFINITY, f64::max);
    let place = |depth: f64| {
        LEFT + 16.0 + (log(depth) - low) / (high - low).max(1e-9) * (width - LEFT - 46.0)
    };
    let mut chart = Chart::new("speed-by-depth", "Speed and depth", width);
    chart.text([0.0, 12.0], Anchor::Start, "small", "tokens per second");
    for tick in &axis.ticks {
        let y = axis.place(*tick);
        chart.line([LEFT, y, width, y], "grid");
        chart.text([LEFT - 6.0, y + 4.0], Anchor::End, "small", axis.words(*tick));
    }
    let mut depths: Vec<f64> = points().map(|(depth, _)| *depth).collect();
    depths.sort_by(f64::total_cmp);
    depths.dedup();
    let mut last = f64::NEG_INFINITY;
    for depth in depths {
        let x = place(depth);
        if x - last > 44.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tokens")]
            let name = words::context(depth as u64);
            chart.text([x, TOP + PLOT + 17.0], Anchor::Middle, "small", name);
            last = x;
        }
    }
    let mut said = Vec::new();
    let mut entries = Vec::new();
    for ((name, points), (class, mark)) in series.iter().zip(LINES) {
        let path: Vec<String> = points
            .iter()
            .map(|(depth, tps)| {
                format!("{} {}", super::Px(place(*depth)), super::Px(axis.place(*tps)))
            })
            .collect();
        chart.path(format!("M{}", path.join("L")), class);
        for (depth, tps) in points {
            chart.mark([place(*depth), axis.place(*tps)], mark);
        }
        let figures: Vec<String> =
            points.iter().map(|(depth, tps)| format!("{tps:.1} t/s at {depth:.0}")).collect();
        said.push(format!("{name}: {}", figures.join(", ")));
        entries.push((mark, fitting(name, width - 30.0)));
    }
    let bottom = TOP + PLOT + 36.0;
    chart.text([width, bottom], Anchor::End, "small", "tokens before the answer");
    let entries: Vec<(Mark, &str)> =
        entries.iter().map(|(mark, name)| (*mark, name.as_str())).collect();
    let more = chart.legend([0.0, bottom + 20.0], &entries);
    chart.height.0 = bottom + 20.0 + more - 8.0;
    chart.desc = format!("{}.", said.join(". "));
    Some(chart)
}
