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
        // What closes a tuning repeats one of its attempts.
        let (closing, own): (Vec<&Run>, Vec<&Run>) =
            own.partition(|run| run.trial.as_ref().is_some_and(|trial| trial.best));
        let marked = |run: &Run| {
            let mut one = attempt(run, subject);
            if closing.iter().any(|best| repeats(best, run)) {
                one.note = format!("the best of its tuning; {}", one.note);
            }
            one
        };
        let mut attempts: Vec<Attempt> = own.into_iter().map(marked).collect();
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

fn repeats(best: &Run, run: &Run) -> bool {
    let told = |run: &Run| run.trial.clone().map(|trial| (trial.task, trial.settings));
    best.layers == run.layers && best.ctx_size == run.ctx_size && told(best) == told(run)
}

/// What a person wrote; of a tuning, why it was tried and what was left on the cards.
fn note(run: &Run) -> String {
    let trial = run.trial.as_ref();
    let settings = trial.map(|trial| {
        trial.settings.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>()
    });
    let free = trial
        .filter(|trial| !trial.free_mib.is_empty())
        .map(|trial| format!("{} MiB free after the long prompt", plus_of(&trial.free_mib)));
    let parts = [
        trial.map(|trial| trial.reason.clone()),
        settings.filter(|settings| !settings.is_empty()).map(|settings| settings.join(", ")),
        free,
        run.note.clone(),
    ];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn plus_of(numbers: &[u64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
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
        note: note(run),
        speed: run.decode(None).map(|decode| format!("{:.1} t/s", decode.median())),
        known: known(run),
        chosen: ran
            && subject.is_some_and(|one| one.layers == run.layers && one.ctx_size == run.ctx_size),
    }
}

#[cfg(test)]
mod tests {
    use super::{note, trails};
    use crate::artifact::Digest;
    use crate::ledger::{Ledger, Run, Trial, What};

    #[test]
    fn a_tuning_says_why_and_what_was_left() {
        let trial = Trial {
            task: Digest::of(b"x"),
            settings: [("ubatch_size".to_owned(), "512".to_owned())].into(),
            reason: "one layer more on CUDA1".to_owned(),
            free_mib: vec![1456, 783],
            best: false,
        };
        let run = Run { trial: Some(trial), ..Run::default() };
        assert_eq!(
            note(&run),
            "one layer more on CUDA1; ubatch_size 512; 1456 + 783 MiB free after the long prompt"
        );
        let said = Run { note: Some("by hand".to_owned()), ..Run::default() };
        assert_eq!(note(&said), "by hand");
    }

    #[test]
    fn the_best_is_marked_and_no_attempt_of_its_own() {
        let run = |layers: u32, best| {
            let trial = Trial {
                task: Digest::of(b"x"),
                settings: std::collections::BTreeMap::new(),
                reason: "why".to_owned(),
                free_mib: Vec::new(),
                best,
            };
            let what = What::Attempt;
            let run = Run { what, layers: vec![layers], trial: Some(trial), ..Run::default() };
            format!("{run}\n")
        };
        let lines = [run(8, false), run(7, false), run(7, true)];
        let found = trails(&Ledger::parse(&lines.concat()), &[]);
        let notes: Vec<&str> = found[0].attempts.iter().map(|one| one.note.as_str()).collect();
        assert_eq!(notes, ["why", "the best of its tuning; why"]);
    }
}
