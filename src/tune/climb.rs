//! The moves: down from the start until something fits, up while there is room, sideways into other settings.

use super::Step;
use super::candidate::{Attempt, Candidate, Figures, Observation, context};
use super::dimension::Judge;
use super::ruled;
use super::state::{Start, State};

/// By how much another setting has to be faster to be taken: less is noise.
const NOISE: f64 = 0.02;

/// The best of what went well, in the order in which it was found: a later one takes its place by being better.
pub(super) fn best(state: &State) -> Option<&Attempt> {
    let good = state.attempts.iter().filter_map(|attempt| Some((attempt, figures(attempt)?)));
    let mut best: Option<(&Attempt, &Figures)> = None;
    for (attempt, figures) in good {
        if best.is_none_or(|best| better(state, (attempt, figures), best)) {
            best = Some((attempt, figures));
        }
    }
    best.map(|(attempt, _)| attempt)
}

fn figures(attempt: &Attempt) -> Option<&Figures> {
    match &attempt.observation {
        Observation::Good(figures) => Some(figures),
        _ => None,
    }
}

/// A larger context first, then more layers, then speed.
fn better(state: &State, new: (&Attempt, &Figures), old: (&Attempt, &Figures)) -> bool {
    let ((new, new_figures), (old, old_figures)) = (new, old);
    let (new, old) = (&new.candidate, &old.candidate);
    if new.ctx_size != old.ctx_size {
        return new.ctx_size > old.ctx_size;
    }
    if new.settings != old.settings {
        let changed =
            state.task.also.iter().find(|d| new.settings.get(&d.key) != old.settings.get(&d.key));
        let judge = changed.map_or(Judge::Decode, |dimension| dimension.judge);
        let of = |figures: &Figures| match judge {
            Judge::Prompt => figures.prompt_tps,
            Judge::Decode => figures.decode_tps,
        };
        return match (of(new_figures), of(old_figures)) {
            (Some(new), Some(old)) => new > old * (1.0 + NOISE),
            _ => false,
        };
    }
    let pairs = || new.layers.iter().zip(&old.layers);
    if pairs().all(|(new, old)| new >= old) {
        return true;
    }
    if pairs().all(|(new, old)| new <= old) {
        return false;
    }
    match (new_figures.decode_tps, old_figures.decode_tps) {
        (Some(new), Some(old)) => new > old,
        _ => new.total() > old.total(),
    }
}

/// From each start down, one layer at a time on the card that failed; then the next context.
pub(super) fn descend(state: &State) -> Step {
    let task = &state.task;
    let mut last = None;
    for start in &task.starts {
        match down(state, start) {
            Ok((candidate, why)) => {
                let reason = why.or_else(|| {
                    last.take().map(|spent| {
                        format!("{spent}: the context goes down to {}", context(start.ctx_size))
                    })
                });
                let first = if task.asked {
                    "as asked for"
                } else {
                    "the most that may fit, by the estimate"
                };
                let reason = reason.unwrap_or_else(|| first.to_owned());
                return Step::Try { candidate, reason };
            }
            Err(spent) => last = Some(spent),
        }
    }
    let reason = last.unwrap_or_else(|| "there is no context to begin with".to_owned());
    Step::Spent { reason: format!("{reason}, and there is no smaller context left to try") }
}

/// The first plan below a start that nothing excludes, with the reason for the last step down. Where there is none,
/// why not.
fn down(state: &State, start: &Start) -> Result<(Candidate, Option<String>), String> {
    let task = &state.task;
    let mut candidate = task.start(start);
    let mut why = None;
    while let Some(by) = ruled::by(task, &state.attempts, &candidate) {
        let tried = &by.candidate;
        let (card, what) = match &by.observation {
            Observation::OutOfMemory { device } => match task.card(device.as_deref()) {
                Some(card) => {
                    let name = task.devices.get(card).map_or("a card", String::as_str);
                    (card, format!("{name} ran out of memory with {tried}"))
                }
                None => (fullest(&candidate), format!("a card ran out of memory with {tried}")),
            },
            Observation::HostMemory => {
                return Err(format!("the machine ran out of memory with {tried}"));
            }
            // Neither is asked here: with a good one there is a best, and after a failure nothing is tried.
            Observation::Good(_) | Observation::Failed { .. } => {
                return Err(format!("{tried} was tried"));
            }
        };
        let Some(less) = candidate.minus(card) else {
            return Err(format!("{what}, and no layer is left there to give back"));
        };
        candidate = less;
        let name = task.devices.get(card).map_or("it", String::as_str);
        why = Some(format!("{what}: one layer fewer on {name}"));
    }
    Ok((candidate, why))
}

/// The card with the most layers, of equals the last.
fn fullest(candidate: &Candidate) -> usize {
    let most = candidate.layers.iter().enumerate().max_by_key(|(_, count)| **count);
    most.map_or(0, |(card, _)| card)
}

/// One layer more where there is room, on the card with the most of it first.
pub(super) fn climb(state: &State, best: &Attempt) -> Option<Step> {
    let task = &state.task;
    let mut cards: Vec<usize> = (0..task.devices.len()).collect();
    cards.sort_by_key(|card| std::cmp::Reverse(free(best, *card)));
    cards.into_iter().find_map(|card| {
        more(state, best, card).ok().map(|candidate| {
            let name = task.devices.get(card).map_or("a card", String::as_str);
            let reason = match free(best, card) {
                Some(free) => format!(
                    "{free} MiB are free on {name} with {}, a layer takes {}: one layer more",
                    best.candidate, task.layer_mib
                ),
                None => format!("{} went well: one layer more on {name}", best.candidate),
            };
            Step::Try { candidate, reason }
        })
    })
}

fn free(best: &Attempt, card: usize) -> Option<u64> {
    figures(best)?.free_mib.get(card).copied()
}

/// The best plan with a layer more on a card, or why that is not worth trying.
fn more(state: &State, best: &Attempt, card: usize) -> Result<Candidate, String> {
    let task = &state.task;
    let name = task.devices.get(card).map_or("a card", String::as_str);
    let candidate = best.candidate.clone().plus(card);
    if candidate.total() > task.blocks {
        return Err("every layer is on a card".to_owned());
    }
    if candidate.layers.get(card).is_some_and(|count| *count > task.most(card)) {
        return Err(format!("every layer of {name} is there"));
    }
    if let Some(by) = ruled::by(task, &state.attempts, &candidate) {
        return Err(match &by.observation {
            Observation::OutOfMemory { .. } => {
                format!("one layer more on {name} runs out of memory, as {} did", by.candidate)
            }
            _ => format!("{} was tried", by.candidate),
        });
    }
    match free(best, card) {
        Some(free) if free < task.layer_mib => {
            Err(format!("{name} has {free} MiB left, a layer takes {}", task.layer_mib))
        }
        _ => Ok(candidate),
    }
}

/// Another value in one of the further dimensions. Each combination is tried once, whatever the layers were.
pub(super) fn vary(state: &State, best: &Attempt) -> Option<Step> {
    let task = &state.task;
    let now = &best.candidate;
    for dimension in &task.also {
        for value in &dimension.values {
            let candidate = now.clone().with(&dimension.key, value);
            let tried = state.attempts.iter().any(|attempt| {
                attempt.candidate.settings == candidate.settings
                    && attempt.candidate.ctx_size == candidate.ctx_size
            });
            if !tried && ruled::by(task, &state.attempts, &candidate).is_none() {
                let reason = format!("no layer more fits: {} {value} instead", dimension.key);
                return Some(Step::Try { candidate, reason });
            }
        }
    }
    None
}

/// Why nothing is left to try.
pub(super) fn settled(state: &State, best: &Attempt) -> String {
    let cards = 0..state.task.devices.len();
    let mut why: Vec<String> = cards.filter_map(|card| more(state, best, card).err()).collect();
    why.dedup();
    if why.is_empty() {
        // No card at all.
        why.push("there is nothing to move".to_owned());
    }
    format!("{}: {}", best.candidate, why.join("; "))
}
