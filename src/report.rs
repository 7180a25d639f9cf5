//! One page about all strategies: what the ledger knows of each, what was computed of it, and what that looks like.
//!
//! Pure: strategies and runs in, tables of words and charts of lines out. `render` prints them; nothing is calculated
//! there. The same input gives the same page, since no clock is asked.

mod attempts;
mod best;
mod change;
pub mod chart;
mod choice;
mod evals;
mod known;
mod overview;
mod predicted;
pub mod published;
mod runs;
mod settings;
mod subject;
mod words;

use serde::Serialize;

use crate::ledger::Ledger;

pub use attempts::{Attempt, Trail};
pub use best::standing;
pub use change::{Change, Changes, Side};
pub use chart::Chart;
pub use choice::Choice;
pub use evals::EvalRow;
pub use known::{Figure, known};
pub use overview::{Quality, Row};
pub use predicted::Compared;
pub use published::Published;
pub use runs::BenchRow;
pub use subject::{Bar, Card, Kind, Memory, Part, Predicted, Subject};

/// What the page is about.
#[derive(Clone, Debug, Default)]
pub struct Input<'a> {
    pub title: &'a str,
    pub subjects: &'a [Subject],
    pub ledger: Option<&'a Ledger>,
    /// The ledger's file, as it was named.
    pub source: &'a str,
    pub published: &'a [Published],
}

/// The page.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub title: String,
    /// What it was made from.
    pub made_from: Vec<String>,
    pub choices: Vec<Choice>,
    /// Where no preset is marked as the one to run.
    pub unmarked: bool,
    pub overview: Vec<Row>,
    pub memory: Vec<Memory>,
    pub compared: Vec<Compared>,
    pub trails: Vec<Trail>,
    pub runs: Vec<BenchRow>,
    /// Older runs that are not shown.
    pub left_out: usize,
    pub evals: Vec<EvalRow>,
    pub notes: Vec<String>,
    #[serde(skip)]
    pub charts: Vec<Drawing>,
}

/// A chart in its two widths.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub wide: Chart,
    pub narrow: Chart,
}

/// Units of a wide and of a narrow chart; a unit is a pixel where the chart is shown in its own size.
const WIDTHS: [f64; 2] = [720.0, 340.0];

impl Report {
    pub fn new(input: &Input<'_>) -> Self {
        let empty = Ledger::default();
        let ledger = input.ledger.unwrap_or(&empty);
        let overview: Vec<Row> = input.subjects.iter().map(|one| Row::new(one, ledger)).collect();
        let memory: Vec<Memory> =
            input.subjects.iter().filter_map(|one| Memory::of(one, ledger)).collect();
        let compared: Vec<Compared> =
            input.subjects.iter().filter_map(|one| Compared::new(one, ledger)).collect();
        let trails = attempts::trails(ledger, input.subjects);
        let evals = evals::rows(ledger, input.subjects, input.published);
        let (runs, left_out) = runs::rows(ledger);
        let (choices, unmarked) = choice::choices(&overview);
        let draw = |draw: &dyn Fn(f64) -> Option<Chart>| {
            let [wide, narrow] = WIDTHS;
            Some(Drawing { wide: draw(wide)?, narrow: draw(narrow)?.narrow() })
        };
        let charts = [
            draw(&|width| chart::context(&overview, width)),
            draw(&|width| chart::answers(&overview, width)),
            draw(&|width| chart::depths(ledger, width)),
            draw(&|width| chart::memory(&memory, width)),
            draw(&|width| chart::compared(&compared, width)),
            draw(&|width| chart::trails(&trails, width)),
            draw(&|width| chart::scores(&evals, width)),
        ];
        let skipped = ledger.skipped.iter().map(|skipped| {
            format!("{}:{}: passed over: {}", input.source, skipped.line, skipped.why)
        });
        Self {
            title: input.title.to_owned(),
            made_from: made_from(input, ledger),
            choices,
            unmarked,
            memory,
            compared,
            trails,
            runs,
            left_out,
            evals,
            notes: skipped.collect(),
            charts: charts.into_iter().flatten().collect(),
            overview,
        }
    }

    /// The charts of these names, as far as there are such.
    pub fn drawings(&self, ids: &[&str]) -> Vec<&Drawing> {
        self.charts.iter().filter(|drawing| ids.contains(&drawing.wide.id)).collect()
    }
}

fn made_from(input: &Input<'_>, ledger: &Ledger) -> Vec<String> {
    let mut lines = Vec::new();
    if input.ledger.is_some() {
        let newest = ledger.entries.iter().filter_map(|entry| entry.run.at).max();
        let newest = newest.map(|at| format!(", the newest of {}", words::day(at)));
        lines.push(format!(
            "{}: {} runs{}",
            input.source,
            ledger.entries.len(),
            newest.unwrap_or_default()
        ));
    }
    lines.push(format!("{} presets", input.subjects.len()));
    lines
}
