//! Predicted speeds with their error beside the measured ones.

use super::axis::Axis;
use super::{Anchor, Chart, Mark, extent, fitting};
use crate::report::Compared;

const ROW: f64 = 38.0;

/// `None` where nothing was predicted of what was measured.
pub fn compared(rows: &[Compared], width: f64) -> Option<Chart> {
    if rows.is_empty() {
        return None;
    }
    let ends = |row: &Compared| {
        let error = row.predicted_tps * row.predicted.error;
        [row.predicted_tps - error, row.predicted_tps + error, row.measured_tps]
    };
    let values: Vec<f64> = rows.iter().flat_map(ends).collect();
    let axis = Axis::around(&values, false, [10.0, width - 14.0]);
    let mut chart = Chart::new("prediction", "Prediction and measurement", width);
    let bottom = ROW * rows.len() as f64 + 4.0;
    for tick in &axis.ticks {
        let x = axis.place(*tick);
        chart.line([x, 0.0, x, bottom], "grid");
        chart.text([x, bottom + 15.0], Anchor::Middle, "small", axis.words(*tick));
    }
    let mut said = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let y = ROW * i as f64;
        let figure = format!("{:.1}, {:.1} ({})", row.predicted_tps, row.measured_tps, row.off);
        let name = format!("{} {}", row.short, row.context);
        chart.text(
            [0.0, y + 13.0],
            Anchor::Start,
            "label halo",
            fitting(&name, width - extent(&figure) - 8.0),
        );
        chart.text([width, y + 13.0], Anchor::End, "label halo", figure.clone());
        let [low, high, measured] = ends(row).map(|tps| axis.place(tps));
        let at = y + 26.0;
        chart.line([low, at, high, at], "error");
        chart.line([low, at - 5.0, low, at + 5.0], "error");
        chart.line([high, at - 5.0, high, at + 5.0], "error");
        chart.mark([axis.place(row.predicted_tps), at], Mark::Diamond);
        chart.mark([measured, at], Mark::Cross);
        said.push(format!(
            "{name}: predicted {:.1}, measured {:.1} t/s",
            row.predicted_tps, row.measured_tps
        ));
    }
    let entries = [(Mark::Diamond, "predicted, with its stated error"), (Mark::Cross, "measured")];
    let from = if axis.begins_at_zero() { "" } else { ", not from zero" };
    chart.text([0.0, bottom + 34.0], Anchor::Start, "small", format!("tokens per second{from}"));
    let more = chart.legend([0.0, bottom + 54.0], &entries);
    chart.height.0 = bottom + 54.0 + more - 8.0;
    chart.desc = format!("{}.", said.join(". "));
    Some(chart)
}
