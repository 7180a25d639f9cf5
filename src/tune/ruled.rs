//! What a measurement excludes: only plans of which it is certain that they end in the same way.
//!
//! Blocks with experts on cards are counted from block 0 in device order, so what a card holds depends on the cards
//! before it: with another number there, other blocks of other sizes are its own. What it holds besides (the rest of
//! the blocks whose experts are in system memory) can only grow when later cards take fewer blocks. Hence: out of
//! memory on a card excludes as many or more layers on it with the same on the cards before and no more on those
//! behind, at this context or a larger one. If the card is not known, the same layers alone. All of it holds for one
//! split of everything else: `tensor_split` belongs to the task's key, and stays as it is while layers are tried.

use super::candidate::{Attempt, Candidate, Observation};
use super::dimension::Memory;
use super::state::Task;

/// The first attempt that excludes the candidate, be it that it was this very candidate.
pub(super) fn by<'a>(
    task: &Task,
    attempts: &'a [Attempt],
    candidate: &Candidate,
) -> Option<&'a Attempt> {
    attempts.iter().find(|attempt| excludes(task, attempt, candidate))
}

fn excludes(task: &Task, attempt: &Attempt, candidate: &Candidate) -> bool {
    let tried = &attempt.candidate;
    if tried == candidate {
        return true;
    }
    let no_smaller = candidate.ctx_size >= tried.ctx_size && needs_as_much(task, tried, candidate);
    no_smaller
        && match &attempt.observation {
            Observation::Good(_) | Observation::Failed { .. } => false,
            Observation::OutOfMemory { device } => match task.card(device.as_deref()) {
                None => candidate.layers == tried.layers,
                Some(failed) => {
                    let pairs = candidate.layers.iter().zip(&tried.layers).enumerate();
                    pairs.into_iter().all(|(card, (new, old))| match card.cmp(&failed) {
                        std::cmp::Ordering::Less => new == old,
                        std::cmp::Ordering::Equal => new >= old,
                        std::cmp::Ordering::Greater => new <= old,
                    })
                }
            },
            // Experts that are not on a card are in system memory.
            Observation::HostMemory => candidate.total() <= tried.total(),
        }
}

/// Whether the candidate's settings need all the memory that those of the tried one do.
fn needs_as_much(task: &Task, tried: &Candidate, candidate: &Candidate) -> bool {
    task.also.iter().all(|dimension| {
        let of = |candidate: &Candidate| {
            candidate.settings.get(&dimension.key).unwrap_or(&dimension.base).clone()
        };
        let (old, new) = (of(tried), of(candidate));
        old == new
            || match dimension.memory {
                Memory::Same => true,
                Memory::Unknown => false,
                Memory::Grows => match (old.parse::<u64>(), new.parse::<u64>()) {
                    (Ok(old), Ok(new)) => new >= old,
                    _ => false,
                },
            }
    })
}

#[cfg(test)]
pub(super) fn excluded_by(task: &Task, attempt: &Attempt, candidate: &Candidate) -> bool {
    excludes(task, attempt, candidate)
}
