//! What was tried before: by an interrupted run, by the ledger, by the preset's own record.

use camino::Utf8Path;

use super::subject::Subject;
use crate::artifact::Digest;
use crate::command::{Failure, ledger};
use crate::ledger::{HOST, Outcome, Run, What};
use crate::preset::record;
use crate::preset::value;
use crate::tune::{Attempt, Candidate, Figures, Observation};

/// Attempts of the ledger that belong to the same task, as far as the preset still says the same.
pub(super) fn ledger(
    path: &Utf8Path,
    subject: &Subject,
    task: &Digest,
) -> Result<Vec<Attempt>, Failure> {
    let ledger = match ledger::open(path) {
        Ok(ledger) => ledger,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    let runs = ledger.entries.into_iter().map(|entry| entry.run);
    Ok(runs.filter_map(|run| attempt(&run, subject, task)).collect())
}

fn attempt(run: &Run, subject: &Subject, task: &Digest) -> Option<Attempt> {
    let trial = run.trial.as_ref().filter(|trial| trial.task == *task && !trial.best)?;
    let mut candidate = Candidate {
        layers: run.layers.clone(),
        ctx_size: run.ctx_size.filter(|_| run.what == What::Attempt)?,
        ..Candidate::default()
    };
    for (key, base) in subject.bases() {
        let had = trial.settings.get(key).unwrap_or(&base);
        if subject.also.iter().any(|dimension| dimension.key == key) {
            candidate.settings.insert(key.to_owned(), had.clone());
        } else if *had != base {
            return None;
        }
    }
    let speed = run.speeds.first();
    let observation = match (run.outcome, run.device.as_deref()) {
        (Outcome::Ok, _) => Observation::Good(Figures {
            free_mib: trial.free_mib.clone(),
            decode_tps: speed.and_then(|s| s.decode.as_ref()).map(crate::bench::Spread::median),
            prompt_tps: speed.and_then(|s| s.prompt.as_ref()).map(crate::bench::Spread::median),
        }),
        (Outcome::OutOfMemory, Some(HOST)) => Observation::HostMemory,
        (Outcome::OutOfMemory, device) => {
            Observation::OutOfMemory { device: device.map(str::to_owned) }
        }
        (Outcome::Failed, _) => return None,
    };
    Some(Attempt { candidate, observation })
}

/// What the preset itself records, of the placement that its `layers` spell, at its context.
pub(super) fn preset(subject: &Subject, ctx_size: u64) -> Vec<Attempt> {
    if subject.strategy.layers.is_empty() {
        return Vec::new();
    }
    let of = |one: &record::Attempt| {
        let candidate =
            Candidate { layers: value(&one.layers)?.clone(), ctx_size, ..Candidate::default() };
        let observation = match value(&one.outcome)? {
            record::Outcome::OutOfMemory => {
                Observation::OutOfMemory { device: value(&one.device).cloned() }
            }
            // That it ran says nothing of what was free, or of how long a prompt it took.
            record::Outcome::Ok | record::Outcome::Failed => return None,
        };
        Some(Attempt { candidate, observation })
    };
    subject.strategy.attempts.iter().filter_map(of).collect()
}
