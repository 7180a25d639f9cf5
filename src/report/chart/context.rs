//! Speed against context: a column for each context, a mark for each strategy, its shape for the quality.

use super::axis::Axis;
use super::{Anchor, Chart, Mark, extent, fitting, qualities};
use crate::report::{Row, words};

const LEFT: f64 = 38.0;
const TOP: f64 = 26.0;
const PLOT: f64 = 260.0;
/// From a column's edge to its labels, and what a figure takes behind a name.
const TEXT: f64 = 38.0;
const FIGURE: f64 = 48.0;

/// `None` without any strategy whose speed and context are known.
pub fn context(rows: &[Row], width: f64) -> Option<Chart> {
    let known = || rows.iter().filter(|row| row.decode_tps.is_some() && row.ctx_size.is_some());
    let mut contexts: Vec<u64> = known().filter_map(|row| row.ctx_size).collect();
    contexts.sort_unstable();
    contexts.dedup();
    if contexts.is_empty() {
        return None;
    }
    let speeds: Vec<f64> = known().filter_map(|row| row.decode_tps).collect();
    let axis = Axis::around(&speeds, false, [TOP + PLOT, TOP]);
    let mut chart = Chart::new("speed-by-context", "Speed and context", width);
    let from = if axis.begins_at_zero() { "" } else { ", not from zero" };
    chart.text([0.0, 12.0], Anchor::Start, "small", format!("tokens per second{from}"));
    for tick in &axis.ticks {
        let y = axis.place(*tick);
        chart.line([LEFT, y, width, y], "grid");
        chart.text([LEFT - 6.0, y + 4.0], Anchor::End, "small", axis.words(*tick));
    }
    // A column is as wide as its labels need.
    let need = |context: &u64| {
        let labels =
            known().filter(|row| row.ctx_size == Some(*context)).map(|row| extent(&row.short));
        TEXT + labels.fold(60.0, f64::max) + FIGURE
    };
    let needs: f64 = contexts.iter().map(need).sum();
    let mut left = LEFT;
    let mut said = Vec::new();
    for (i, context) in contexts.iter().enumerate() {
        let column = need(context) / needs * (width - LEFT);
        if i > 0 {
            chart.line([left, TOP, left, TOP + PLOT], "grid");
        }
        let name = words::context(*context);
        chart.text(
            [left + column / 2.0, TOP + PLOT + 18.0],
            Anchor::Middle,
            "label",
            if column > 90.0 { format!("{name} context") } else { name.clone() },
        );
        let mut here: Vec<(&Row, f64)> = known()
            .filter(|row| row.ctx_size == Some(*context))
            .filter_map(|row| Some((row, row.decode_tps?)))
            .collect();
        here.sort_by(|a, b| b.1.total_cmp(&a.1));
        said.push(format!("{name}: {}", list(&here)));
        points(&mut chart, &axis, &here, left, column);
        left += column;
    }
    let entries = qualities(known().map(|row| row.quality));
    let bottom = TOP + PLOT + 44.0;
    let more = chart.legend([0.0, bottom], &entries);
    chart.height.0 = bottom + more - 8.0;
    chart.desc = format!("Decode speed by context. {}.", said.join(". "));
    Some(chart)
}

fn list(rows: &[(&Row, f64)]) -> String {
    let one = |(row, tps): &(&Row, f64)| {
        let quality = match row.quality {
            super::Quality::Doubts => ", corrects itself",
            super::Quality::Clean => ", clean",
            super::Quality::Unknown => "",
        };
        format!("{} {tps:.1} t/s{quality}", row.short)
    };
    rows.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Marks of one column, from the top, and beside them their labels, moved apart where they would touch.
fn points(chart: &mut Chart, axis: &Axis, rows: &[(&Row, f64)], left: f64, column: f64) {
    const GAP: f64 = 15.0;
    let wanted: Vec<f64> = rows.iter().map(|(_, tps)| axis.place(*tps)).collect();
    let mut labels = wanted.clone();
    for i in 1..labels.len() {
        let above = labels.get(i - 1).copied().unwrap_or_default();
        if let Some(label) = labels.get_mut(i) {
            *label = label.max(above + GAP);
        }
    }
    // What was pushed below the plot moves everything above it up again.
    let mut limit = TOP + PLOT + 2.0;
    for label in labels.iter_mut().rev() {
        *label = label.min(limit);
        limit = *label - GAP;
    }
    let text = left + TEXT;
    let mut last: Option<(f64, bool)> = None;
    for (((row, tps), y), label) in rows.iter().zip(&wanted).zip(&labels) {
        // Marks that would cover each other stand beside each other.
        let aside = last.is_some_and(|(above, aside)| (y - above).abs() < 11.0 && !aside);
        last = Some((*y, aside));
        let x = left + if aside { 23.0 } else { 11.0 };
        chart.line([x + 6.0, *y, text - 4.0, label - 0.5], "leader");
        chart.mark([x, *y], Mark::of(row.quality));
        let about = if row.approximate { "~" } else { "" };
        let figure = format!("{about}{tps:.1}");
        let room = column - TEXT - extent(&figure) - 10.0;
        let class = if row.status == Some(crate::preset::record::Status::Baseline) {
            "label strong"
        } else {
            "label"
        };
        chart.text(
            [text, label + 4.0],
            Anchor::Start,
            class,
            format!("{} {figure}", fitting(&row.short, room)),
        );
    }
}
