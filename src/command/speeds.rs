//! The speeds of two runs beside each other, each pair with a verdict.

use serde::Serialize;

use crate::bench::{Spread, Verdict};
use crate::ledger::Run;
use crate::terminal::{Align, table};

/// One figure that both runs have.
pub(super) struct Pair<'a> {
    depth: Option<u64>,
    figure: &'static str,
    first: &'a Spread,
    second: &'a Spread,
    verdict: Verdict,
}

/// What was measured at the same depth in both.
pub(super) fn pairs<'a>(
    first: &'a Run,
    second: &'a Run,
    judge: fn(&Spread, &Spread) -> Verdict,
) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for ours in &first.speeds {
        let Some(theirs) = second.speeds.iter().find(|speed| speed.depth == ours.depth) else {
            continue;
        };
        for (figure, first, second) in [
            ("prompt t/s", &ours.prompt, &theirs.prompt),
            ("decode t/s", &ours.decode, &theirs.decode),
        ] {
            if let (Some(first), Some(second)) = (first, second) {
                let verdict = judge(first, second);
                pairs.push(Pair { depth: ours.depth, figure, first, second, verdict });
            }
        }
    }
    pairs
}

/// `names` are what the two are called above the table.
pub(super) fn text(pairs: &[Pair<'_>], [first, second]: [&str; 2]) -> String {
    if pairs.is_empty() {
        return "no speed was measured at the same depth in both\n".to_owned();
    }
    let against = format!("{second} AGAINST {first}");
    let head = [
        ("DEPTH", Align::Right),
        ("FIGURE", Align::Left),
        (first, Align::Right),
        (second, Align::Right),
        (against.as_str(), Align::Left),
    ];
    let rows = pairs.iter().map(|pair| {
        vec![
            pair.depth.map_or_else(|| "-".to_owned(), |depth| depth.to_string()),
            pair.figure.to_owned(),
            format!("{:.1}", pair.first.median()),
            format!("{:.1}", pair.second.median()),
            pair.verdict.to_string(),
        ]
    });
    table(&head, rows.collect())
}

/// A pair as JSON.
#[derive(Serialize)]
pub(super) struct Compared {
    depth: Option<u64>,
    figure: &'static str,
    first: f64,
    second: f64,
    change: f64,
    verdict: &'static str,
}

impl Compared {
    pub(super) fn new(pair: &Pair<'_>) -> Self {
        Self {
            depth: pair.depth,
            figure: pair.figure,
            first: pair.first.median(),
            second: pair.second.median(),
            change: pair.verdict.change(),
            verdict: pair.verdict.word(),
        }
    }
}
