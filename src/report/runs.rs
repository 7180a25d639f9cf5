//! Every speed that was measured, newest first.

use serde::Serialize;

use super::known;
use super::words::{context, day};
use crate::bench::Spread;
use crate::ledger::{Ledger, What};

/// The page is to be read: more rows than this are in the ledger, not here.
const MOST: usize = 120;

/// One depth of one run.
#[derive(Clone, Debug, Serialize)]
pub struct BenchRow {
    pub id: String,
    pub when: String,
    pub preset: String,
    pub context: String,
    pub depth: String,
    pub prompt: String,
    pub decode: String,
    pub first_token: String,
    pub build: String,
    pub known: String,
    pub note: String,
}

/// The rows, and how many were left out.
pub(super) fn rows(ledger: &Ledger) -> (Vec<BenchRow>, usize) {
    let mut rows = Vec::new();
    for entry in ledger.entries.iter().rev().filter(|entry| entry.run.what == What::Bench) {
        let run = &entry.run;
        for speed in &run.speeds {
            let about = if speed.approximate { "~" } else { "" };
            rows.push(BenchRow {
                id: entry.id.clone(),
                when: run.at.map(day).unwrap_or_default(),
                preset: run.preset().unwrap_or_default().to_owned(),
                context: run.ctx_size.map(context).unwrap_or_default(),
                depth: speed.depth.map(|depth| depth.to_string()).unwrap_or_default(),
                prompt: speed.prompt.as_ref().map(spread).unwrap_or_default(),
                decode: speed
                    .decode
                    .as_ref()
                    .map(|decode| format!("{about}{}", spread(decode)))
                    .unwrap_or_default(),
                first_token: speed
                    .first_token_ms
                    .as_ref()
                    .map(|ms| format!("{:.0} ms", ms.median()))
                    .unwrap_or_default(),
                build: run.key.llama.build.map(|build| format!("b{build}")).unwrap_or_default(),
                known: known(run),
                note: run.note.clone().unwrap_or_default(),
            });
        }
    }
    let left_out = rows.len().saturating_sub(MOST);
    rows.truncate(MOST);
    (rows, left_out)
}

/// `21.4 ± 0.1`, and of how many.
fn spread(spread: &Spread) -> String {
    match spread.samples().len() {
        1 => format!("{:.1} t/s", spread.median()),
        count => format!("{:.1} \u{b1} {:.1} t/s, {count} times", spread.median(), spread.mad()),
    }
}
