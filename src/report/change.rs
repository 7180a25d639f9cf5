//! What a change did: the same strategies before and after, by what was measured and by what is computed.

use serde::Serialize;

use super::words::{mib, percent, plus};
use super::{Row, Subject, known, standing};
use crate::bench::{Spread, Verdict};
use crate::ledger::{Entry, Ledger, Source};

/// One side: the strategies and what was measured of them.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What to call it: a branch, a file, a run.
    pub name: &'a str,
    pub subjects: &'a [Subject],
    pub ledger: &'a Ledger,
}

/// All that is worth a row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Changes {
    pub before: String,
    pub after: String,
    pub rows: Vec<Change>,
    /// What is new, what is gone, and what could not be compared.
    pub notes: Vec<String>,
    /// Strategies of which nothing differs.
    pub same: Vec<String>,
}

/// One figure of one strategy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub strategy: String,
    pub figure: String,
    pub before: String,
    pub after: String,
    /// By how much.
    pub change: String,
    /// Whether it is more than chance; or that it was computed.
    pub known: String,
}

impl Changes {
    pub fn between(before: Side<'_>, after: Side<'_>) -> Self {
        let mut changes = Self {
            before: before.name.to_owned(),
            after: after.name.to_owned(),
            ..Self::default()
        };
        for new in after.subjects {
            let Some(old) = before.subjects.iter().find(|old| old.name == new.name) else {
                changes.notes.push(format!("{} is new", new.name));
                changes.rows.extend(alone(new, after.ledger));
                continue;
            };
            let mut rows = setting(old, new);
            rows.extend(speeds(old, new, before.ledger, after.ledger));
            rows.extend(predicted(old, new));
            rows.extend(memory(old, new));
            if rows.is_empty() {
                changes.same.push(new.name.clone());
            }
            changes.rows.extend(rows);
            if new.computed.is_none() != old.computed.is_none() {
                let side = if new.computed.is_none() { after.name } else { before.name };
                let why = [&new.missing, &old.missing].into_iter().flatten().next();
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                changes.notes.push(format!(
                    "{}: memory and speed could not be computed for {side}{why}",
                    new.name
                ));
            }
        }
        for old in before.subjects {
            if !after.subjects.iter().any(|new| new.name == old.name) {
                changes.notes.push(format!("{} is gone", old.name));
            }
        }
        changes
    }

    /// Two runs of one ledger.
    pub fn of_runs(before: &Entry, after: &Entry) -> Self {
        let name =
            |entry: &Entry| format!("{} ({})", entry.run.preset().unwrap_or("no preset"), entry.id);
        let mut changes = Self { before: name(before), after: name(after), ..Self::default() };
        let strategy = after.run.preset().unwrap_or("run").to_owned();
        for (what, old, new) in before.run.key.differences(&after.run.key) {
            changes.notes.push(format!("{what}: {old} -> {new}"));
        }
        changes.rows = measured(&strategy, before, after);
        changes
    }
}

fn setting(old: &Subject, new: &Subject) -> Vec<Change> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let context = |one: &Subject| one.ctx_size.map(super::words::context).unwrap_or_default();
    let pairs = [
        ("layers on GPUs", plus(&old.layers), plus(&new.layers)),
        ("context", context(old), context(new)),
        ("cache", text(&old.cache), text(&new.cache)),
        ("quant", text(&old.quant), text(&new.quant)),
    ];
    pairs
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(figure, before, after)| Change {
            strategy: new.name.clone(),
            figure: figure.to_owned(),
            before,
            after,
            change: String::new(),
            known: "set in the preset".to_owned(),
        })
        .collect()
}

/// What was measured of each side's strategy. The same run on both sides says nothing, nor does a report that was left as
/// it was while the preset changed.
fn speeds(old: &Subject, new: &Subject, before: &Ledger, after: &Ledger) -> Vec<Change> {
    let (Some((first, _)), Some((second, _))) = (standing(before, old), standing(after, new))
    else {
        return Vec::new();
    };
    let left = second.run.source == Source::Reported && first.run.speeds == second.run.speeds;
    if first.id == second.id || left {
        return Vec::new();
    }
    measured(&new.name, first, second)
}

fn measured(strategy: &str, first: &Entry, second: &Entry) -> Vec<Change> {
    let mut rows = Vec::new();
    for new in &second.run.speeds {
        let Some(old) = first.run.speeds.iter().find(|old| old.depth == new.depth) else {
            continue;
        };
        let depth = new.depth.map(|depth| format!(" at {depth}")).unwrap_or_default();
        for (name, old, new) in
            [("prompt", &old.prompt, &new.prompt), ("decode", &old.decode, &new.decode)]
        {
            let (Some(old), Some(new)) = (old, new) else { continue };
            let verdict = Verdict::apart(old, new);
            rows.push(Change {
                strategy: strategy.to_owned(),
                figure: format!("{name} t/s{depth}"),
                before: speed(old),
                after: speed(new),
                change: percent(verdict.change()),
                known: format!("{}; {}", known(&second.run), judged(verdict)),
            });
        }
    }
    let vram = first.run.memory.vram_mib.iter().zip(&second.run.memory.vram_mib);
    for (i, (old, new)) in vram.enumerate().filter(|(_, (old, new))| old != new) {
        rows.push(Change {
            strategy: strategy.to_owned(),
            figure: format!("CUDA{i} in use, MiB"),
            before: old.to_string(),
            after: new.to_string(),
            change: signed(*new as f64 - *old as f64),
            known: known(&second.run),
        });
    }
    rows
}

fn speed(spread: &Spread) -> String {
    match spread.samples().len() {
        1 => format!("{:.1}", spread.median()),
        _ => format!("{:.1} \u{b1} {:.1}", spread.median(), spread.mad()),
    }
}

fn judged(verdict: Verdict) -> String {
    match verdict {
        Verdict::Different { .. } => "more than chance".to_owned(),
        Verdict::TooClose { .. } => "too close to call".to_owned(),
        Verdict::TooFew { needed, .. } => {
            format!("no verdict with fewer than {needed} samples each")
        }
    }
}

fn predicted(old: &Subject, new: &Subject) -> Vec<Change> {
    let (Some(first), Some(second)) = (old.predicted, new.predicted) else { return Vec::new() };
    let figures = [
        ("decode t/s", first.decode_tps, second.decode_tps, second.error),
        ("prompt t/s", first.prompt_tps, second.prompt_tps, second.prompt_error),
    ];
    figures
        .into_iter()
        .filter(|(_, old, new, _)| format!("{old:.1}") != format!("{new:.1}"))
        .map(|(figure, old, after, error)| Change {
            strategy: new.name.clone(),
            figure: figure.to_owned(),
            before: format!("{old:.1}"),
            after: format!("{after:.1}"),
            change: percent(after / old - 1.0),
            known: format!("predicted \u{b1} {:.0} %", error * 100.0),
        })
        .collect()
}

fn memory(old: &Subject, new: &Subject) -> Vec<Change> {
    let (Some((first, _)), Some((second, how))) = (&old.computed, &new.computed) else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for (i, (old, new_parts)) in first.iter().zip(second).enumerate() {
        let sum = |parts: &[f64; 3]| parts.iter().sum::<f64>();
        let known_rows = rows.len();
        for (name, old, after) in [
            ("weights", old[0], new_parts[0]),
            ("cache", old[1], new_parts[1]),
            ("compute", old[2], new_parts[2]),
            ("in all", sum(old), sum(new_parts)),
        ] {
            if mib(old) == mib(after) {
                continue;
            }
            rows.push(Change {
                strategy: new.name.clone(),
                figure: format!("CUDA{i} {name}, MiB"),
                before: mib(old),
                after: mib(after),
                change: signed(after - old),
                known: how.clone(),
            });
        }
        let card = new.cards.get(i);
        let over = card.map(|card| sum(new_parts) - card.free_mib).filter(|over| *over > 0.0);
        // What did not fit before either is no change.
        let over = over.filter(|_| rows.len() > known_rows);
        if let (Some(over), Some(card)) = (over, card) {
            rows.push(Change {
                strategy: new.name.clone(),
                figure: format!("CUDA{i} over what is free, MiB"),
                before: String::new(),
                after: mib(over),
                change: format!("does not fit into {}", mib(card.free_mib)),
                known: how.clone(),
            });
        }
    }
    rows
}

/// What is known of a strategy that has no other side.
fn alone(new: &Subject, ledger: &Ledger) -> Vec<Change> {
    let row = Row::new(new, ledger);
    let figure = |figure: &str, after: String, known: String| Change {
        strategy: new.name.clone(),
        figure: figure.to_owned(),
        before: String::new(),
        after,
        change: "new".to_owned(),
        known,
    };
    let mut rows = Vec::new();
    rows.extend(row.speed.map(|speed| figure("decode", speed.text, speed.known)));
    if let Some(predicted) = new.predicted {
        let known = format!("predicted \u{b1} {:.0} %", predicted.error * 100.0);
        rows.push(figure("decode t/s", format!("{:.1}", predicted.decode_tps), known));
    }
    if let Some((devices, how)) = &new.computed {
        for (i, parts) in devices.iter().enumerate() {
            let total = mib(parts.iter().sum());
            rows.push(figure(&format!("CUDA{i} in all, MiB"), total, how.clone()));
        }
    }
    rows
}

fn signed(mib: f64) -> String {
    format!("{mib:+.0}").replace('-', "\u{2212}")
}
