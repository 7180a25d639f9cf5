//! A number and how it is known: no figure stands on the page without that.

use serde::Serialize;

use super::words::day;
use crate::ledger::{Run, Source};

/// Words with their source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    pub text: String,
    /// `measured 2026-11-24`, `reported by seed`, `predicted`, `computed`, ...
    pub known: String,
}

impl Figure {
    pub fn new(text: impl Into<String>, known: impl Into<String>) -> Self {
        Self { text: text.into(), known: known.into() }
    }
}

/// How the figures of a run are known.
pub fn known(run: &Run) -> String {
    let at = run.at.map(|at| format!(" {}", day(at))).unwrap_or_default();
    match run.source {
        Source::Measured => format!("measured{at}"),
        Source::Probed => format!("probed{at}"),
        Source::Reported => format!("reported by {}{at}", run.by),
    }
}
