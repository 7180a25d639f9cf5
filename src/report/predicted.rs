//! What was predicted beside what was measured.

use serde::Serialize;

use super::words::percent;
use super::{Figure, Predicted, Subject, known, standing};
use crate::ledger::Ledger;

/// One strategy: its speed, predicted and measured.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    pub short: String,
    pub context: String,
    #[serde(skip)]
    pub predicted: Predicted,
    pub predicted_tps: f64,
    pub measured_tps: f64,
    pub predicted_figure: Figure,
    pub measured_figure: Figure,
    /// By how much the prediction is off.
    pub off: String,
    /// Whether the measured speed is within the stated error.
    pub within: bool,
}

impl Compared {
    pub(super) fn new(subject: &Subject, ledger: &Ledger) -> Option<Self> {
        let predicted = subject.predicted?;
        let (entry, same) = standing(ledger, subject)?;
        let speed = entry.run.speed(None).filter(|_| same)?;
        let measured = speed.decode.as_ref()?.median();
        let off = predicted.decode_tps / measured - 1.0;
        let about = if speed.approximate { "~" } else { "" };
        let assumed = if predicted.assumed { ", some bandwidths assumed" } else { "" };
        Some(Self {
            short: subject.short(),
            context: subject.ctx_size.map(super::words::context).unwrap_or_default(),
            predicted,
            predicted_tps: predicted.decode_tps,
            measured_tps: measured,
            predicted_figure: Figure::new(
                format!("{:.1} t/s \u{b1} {:.0} %", predicted.decode_tps, predicted.error * 100.0),
                format!("predicted{assumed}"),
            ),
            measured_figure: Figure::new(format!("{about}{measured:.1} t/s"), known(&entry.run)),
            off: percent(off),
            within: off.abs() <= predicted.error,
        })
    }
}
