//! What to run next, and when to stop: from what was tried and how that ended. A step in, a step out; what runs the
//! server, and what reads its log, are not known here.
//!
//! The way is the one a person takes: begin with more layers than may fit, give one back on the card that ran out of
//! memory, take one where a card has room, go down with the context when there are no layers left to give back, and
//! then try what else was asked for. [`ruled`] says what a measurement excludes; nothing excluded is tried.

mod candidate;
mod climb;
mod dimension;
mod ruled;
mod state;

pub use candidate::{Attempt, Candidate, Figures, Observation};
pub use dimension::{Dimension, Judge, Memory};
pub use state::{ResumeError, Start, State, Task};

use climb::{best, climb, descend, vary};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Start the server like this, send it a prompt as long as its context, and say how that went.
    Try { candidate: Candidate, reason: String },
    /// The best plan was found: nothing that may be better is left to try.
    Done { best: Candidate, reason: String },
    /// Out of memory, with nothing left to give back.
    Spent { reason: String },
    /// It failed for want of something else than memory, which trying on would not mend.
    Failed { reason: String },
}

/// Takes what came of the last step, if it was tried, and says the next one. Without an observation, as after an
/// interruption, the last step is said again.
pub fn next(state: &mut State, observation: Option<Observation>) -> Step {
    if let Some(observation) = observation
        && let Some(candidate) = state.pending.take()
    {
        state.attempts.push(Attempt { candidate, observation });
    }
    let step = decide(state);
    if let Step::Try { candidate, .. } = &step {
        state.pending = Some(candidate.clone());
    }
    step
}

fn decide(state: &State) -> Step {
    if let Some(candidate) = &state.pending {
        let reason = "it was interrupted before it ended".to_owned();
        return Step::Try { candidate: candidate.clone(), reason };
    }
    if let Some(Attempt { candidate, observation: Observation::Failed { why } }) =
        state.attempts.last()
    {
        return Step::Failed { reason: format!("{candidate} failed: {why}") };
    }
    let Some(best) = best(state) else { return descend(state) };
    climb(state, best).or_else(|| vary(state, best)).unwrap_or_else(|| Step::Done {
        best: best.candidate.clone(),
        reason: climb::settled(state, best),
    })
}

#[cfg(test)]
mod tests;
