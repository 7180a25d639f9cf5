//! What a change did: the same strategies before and after, by what was measured and by what is computed.

use serde::Serialize;

use super::words::{mib, percent};
use super::{Row, Subject, known, settings, standing};
use crate::bench::{Spread, Verdict};
use crate::ledger::{Entry, Ledger, Source, Speed};

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
            let mut rows = settings::changed(old, new);
            let (measured, why) = speeds(old, new, before, after);
            rows.extend(measured);
            rows.extend(predicted(old, new));
            rows.extend(memory(old, new));
            let mut notes: Vec<String> =
                why.map(|why| format!("{}: {why}", new.name)).into_iter().collect();
            if new.computed.is_none() != old.computed.is_none() {
                let side = if new.computed.is_none() { after.name } else { before.name };
                let why = [&new.missing, &old.missing].into_iter().flatten().next();
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                notes.push(format!(
                    "{}: memory and speed could not be computed for {side}{why}",
                    new.name
                ));
            }
            // What could not be compared may well differ.
            if rows.is_empty() && notes.is_empty() {
                changes.same.push(new.name.clone());
            }
            changes.rows.extend(rows);
            changes.notes.extend(notes);
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
        changes.notes.extend(apart(before, after));
        changes
    }
}

/// What was measured of each side's strategy, and what of it cannot be compared. The same run on both sides says
/// nothing, nor does a report that was left as it was while the preset changed.
fn speeds(
    old: &Subject,
    new: &Subject,
    before: Side<'_>,
    after: Side<'_>,
) -> (Vec<Change>, Option<String>) {
    let alone = |side: Side<'_>, other: Side<'_>| {
        (Vec::new(), Some(format!("{} has a run of it, {} has none", side.name, other.name)))
    };
    match (standing(before.ledger, old), standing(after.ledger, new)) {
        (None, None) => (Vec::new(), None),
        (Some(_), None) => alone(before, after),
        (None, Some(_)) => alone(after, before),
        (Some((first, _)), Some((second, _))) => {
            let left =
                second.run.source == Source::Reported && first.run.speeds == second.run.speeds;
            if first.id == second.id || left {
                return (Vec::new(), None);
            }
            (measured(&new.name, first, second), apart(first, second))
        }
    }
}

/// Why two runs have no speed to compare, where they have none.
fn apart(first: &Entry, second: &Entry) -> Option<String> {
    let same = |new: &Speed, old: &Speed| {
        new.depth == old.depth
            && (new.prompt.is_some() && old.prompt.is_some()
                || new.decode.is_some() && old.decode.is_some())
    };
    let (old, new) = (&first.run.speeds, &second.run.speeds);
    let both = new.iter().any(|new| old.iter().any(|old| same(new, old)));
    let none = old.is_empty() && new.is_empty();
    (!both && !none).then(|| {
        format!(
            "no speed was measured at the same depth in both: {} in run {}, {} in run {}",
            depths(old),
            first.id,
            depths(new),
            second.id
        )
    })
}

fn depths(speeds: &[Speed]) -> String {
    let of = |speed: &Speed| {
        speed.depth.map_or_else(|| "at no stated depth".to_owned(), |depth| format!("at {depth}"))
    };
    let list: Vec<String> = speeds.iter().map(of).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
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

#[cfg(test)]
mod tests {
    use super::{Changes, Side};
    use crate::bench::Spread;
    use crate::ledger::{Key, Ledger, PresetKey, Run, Speed};
    use crate::report::Subject;

    fn ledger(depths: &[u64]) -> Ledger {
        let preset = Some(PresetKey { name: "a".to_owned(), digest: None });
        let speed = |depth: &u64| Speed {
            depth: Some(*depth),
            decode: Spread::new(vec![20.0]),
            ..Speed::default()
        };
        let speeds: Vec<Speed> = depths.iter().map(speed).collect();
        let run = Run { key: Key { preset, ..Key::default() }, speeds, ..Run::default() };
        Ledger::parse(&if depths.is_empty() { String::new() } else { format!("{run}\n") })
    }

    #[test]
    fn what_cannot_be_compared_is_not_the_same() {
        let subjects = [Subject { name: "a".to_owned(), ..Subject::default() }];
        let between = |old: &[u64], new: &[u64]| {
            let (old, new) = (ledger(old), ledger(new));
            let before = Side { name: "old", subjects: &subjects, ledger: &old };
            let after = Side { name: "new", ledger: &new, ..before };
            Changes::between(before, after)
        };
        let same = between(&[512], &[512]);
        assert_eq!((same.same.len(), same.notes.len()), (1, 0));
        assert_eq!(between(&[512], &[512, 16]).notes, [""; 0]);
        let apart = between(&[512], &[16]);
        assert_eq!((apart.same.len(), apart.rows.len()), (0, 0));
        assert!(apart.notes[0].contains("at the same depth in both: at 512"), "{apart:?}");
        assert_eq!(between(&[512], &[]).notes, ["a: old has a run of it, new has none"]);
        assert_eq!(between(&[], &[512]).notes, ["a: new has a run of it, old has none"]);
        assert_eq!(between(&[], &[]).same, ["a"]);
        let (old, new) = (ledger(&[512]), ledger(&[16]));
        let runs = Changes::of_runs(&old.entries[0], &new.entries[0]);
        assert!(runs.notes[0].starts_with("no speed was measured"), "{runs:?}");
    }
}
