//! The placements that were tried, in their order: how a tuning run came to its end.

use serde::Serialize;

use super::words::{context, plus};
use super::{Subject, known};
use crate::ledger::{Ledger, Outcome, Run, What};

/// The attempts at one strategy.
#[derive(Clone, Debug, Serialize)]
pub struct Trail {
    pub strategy: String,
    pub attempts: Vec<Attempt>,
}

/// One placement that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    pub layers: Vec<u32>,
    /// `17+8`.
    pub words: String,
    pub context: String,
    /// `ran`, `out of memory on CUDA0`, `failed`.
    pub outcome: String,
    pub ran: bool,
    pub note: String,
    pub speed: Option<String>,
    pub known: String,
    /// The placement that the preset has now.
    pub chosen: bool,
}

/// One trail for each strategy that has attempts, in the order of the subjects; then those of which there is no preset.
pub(super) fn trails(ledger: &Ledger, subjects: &[Subject]) -> Vec<Trail> {
    let tried =
        || ledger.entries.iter().map(|entry| &entry.run).filter(|r| r.what == What::Attempt);
    let mut names: Vec<&str> = subjects.iter().map(|one| one.name.as_str()).collect();
    for run in tried() {
        let name = run.preset().unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let trail = |name: &str| {
        let subject = subjects.iter().find(|one| one.name == name);
        let own = tried().filter(|run| run.preset().unwrap_or_default() == name);
        let mut attempts: Vec<Attempt> = own.map(|run| attempt(run, subject)).collect();
        if attempts.is_empty() {
            return None;
        }
        // Where the attempts led: the strategy itself, which ran, unless it is among them.
        if let Some(subject) = subject
            && !subject.layers.is_empty()
            && !attempts.iter().any(|attempt| attempt.chosen)
            && let Some((entry, true)) = super::standing(ledger, subject)
        {
            attempts.push(Attempt { chosen: true, ..attempt(&entry.run, Some(subject)) });
        }
        let short = subject.map_or_else(|| name.to_owned(), Subject::short);
        let strategy = if short.is_empty() { "without a preset".to_owned() } else { short };
        Some(Trail { strategy, attempts })
    };
    names.into_iter().filter_map(trail).collect()
}

fn attempt(run: &Run, subject: Option<&Subject>) -> Attempt {
    let outcome = match (run.outcome, &run.device) {
        (Outcome::Ok, _) => "ran".to_owned(),
        (Outcome::OutOfMemory, Some(device)) => format!("out of memory on {device}"),
        (Outcome::OutOfMemory, None) => "out of memory".to_owned(),
        (Outcome::Failed, _) => "failed".to_owned(),
    };
    let ran = run.outcome == Outcome::Ok;
    Attempt {
        words: plus(&run.layers),
        layers: run.layers.clone(),
        context: run.ctx_size.map(context).unwrap_or_default(),
        outcome,
        ran,
        note: run.note.clone().unwrap_or_default(),
        speed: run.decode(None).map(|decode| format!("{:.1} t/s", decode.median())),
        known: known(run),
        chosen: ran
            && subject.is_some_and(|one| one.layers == run.layers && one.ctx_size == run.ctx_size),
    }
}
