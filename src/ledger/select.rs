//! Which runs of a ledger are meant.

use super::{Entry, Ledger, Source, What};

/// So many digits of an id are meant as one; fewer could be a name that was mistyped.
const SHORTEST: usize = 4;

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub preset: Option<String>,
    pub source: Option<Source>,
}

impl Filter {
    pub fn admits(&self, entry: &Entry) -> bool {
        let preset = self.preset.as_deref();
        (preset.is_none() || entry.run.preset() == preset)
            && self.source.is_none_or(|source| entry.run.source == source)
    }
}

/// A name that does not say which run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    #[error(
        "no run is called `{name}`: write four or more digits of an id, or a preset with a measured speed"
    )]
    None { name: String },
    #[error("`{name}` begins the ids of {count} runs: write more digits")]
    Several { name: String, count: usize },
}

/// The run with this id, or one that it begins; else the newest of the preset that has a speed.
pub fn pick<'a>(ledger: &'a Ledger, name: &str) -> Result<&'a Entry, Ambiguous> {
    let speedy = |entry: &&Entry| entry.run.preset() == Some(name) && has_speed(entry);
    if let Some(entry) = ledger.entries.iter().rev().find(speedy) {
        return Ok(entry);
    }
    // The same line twice is one run.
    let mut found: Vec<&Entry> = Vec::new();
    for entry in ledger.entries.iter().filter(|entry| entry.id.starts_with(name)) {
        if name.len() >= SHORTEST && found.iter().all(|other| other.id != entry.id) {
            found.push(entry);
        }
    }
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Ambiguous::None { name: name.to_owned() }),
        several => Err(Ambiguous::Several { name: name.to_owned(), count: several.len() }),
    }
}

/// Of each preset the newest run with a speed, in the order of their first appearance.
pub fn latest<'a>(entries: &[&'a Entry]) -> Vec<&'a Entry> {
    let mut found: Vec<&Entry> = Vec::new();
    for entry in entries.iter().filter(|entry| has_speed(entry)) {
        match found.iter_mut().find(|other| other.run.preset() == entry.run.preset()) {
            Some(older) => *older = entry,
            None => found.push(entry),
        }
    }
    found
}

/// An attempt's speed is that of a candidate, and not of what the preset says.
fn has_speed(entry: &Entry) -> bool {
    entry.run.what == What::Bench && entry.run.speeds.iter().any(|speed| speed.decode.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::{Key, Ledger, PresetKey, Run, Source, Speed, What};
    use super::{Ambiguous, Filter, latest, pick};
    use crate::bench::Spread;

    fn run(preset: &str, tps: Option<f64>, source: Source) -> Run {
        let preset = Some(PresetKey { name: preset.to_owned(), digest: None });
        let decode = tps.and_then(|tps| Spread::new(vec![tps]));
        let speeds = vec![Speed { decode, ..Speed::default() }];
        Run { key: Key { preset, ..Key::default() }, source, speeds, ..Run::default() }
    }

    #[test]
    fn by_preset_and_by_id() {
        let runs = [
            run("a", Some(20.0), Source::Reported),
            run("b", Some(30.0), Source::Measured),
            run("a", Some(25.0), Source::Measured),
            run("a", None, Source::Measured),
            Run { what: What::Attempt, ..run("a", Some(9.0), Source::Measured) },
        ];
        let text = runs.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n";
        let ledger = Ledger::parse(&text);
        assert_eq!(pick(&ledger, "a").unwrap().line, 3);
        for entry in &ledger.entries {
            assert_eq!(pick(&ledger, &entry.id).unwrap(), entry);
        }
        assert_eq!(pick(&ledger, "zz"), Err(Ambiguous::None { name: "zz".to_owned() }));
        assert_eq!(pick(&ledger, ""), Err(Ambiguous::None { name: String::new() }));
        let all: Vec<_> = ledger.entries.iter().collect();
        let lines: Vec<_> = latest(&all).iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [3, 2]);
        let filter = Filter { preset: Some("a".to_owned()), source: Some(Source::Reported) };
        assert_eq!(all.iter().filter(|entry| filter.admits(entry)).count(), 1);
        // The same line written twice.
        let twice = Ledger::parse(&format!("{text}{text}"));
        assert_eq!(pick(&twice, &ledger.entries[1].id).unwrap().line, 2);
        let mut many = ledger.clone();
        many.entries[0].id = "abcd00000000".to_owned();
        many.entries[1].id = "abcd11111111".to_owned();
        let several = Ambiguous::Several { name: "abcd".to_owned(), count: 2 };
        assert_eq!(pick(&many, "abcd"), Err(several));
        assert_eq!(pick(&many, "abcd1").unwrap().line, 2);
        assert!(pick(&many, "abc").is_err(), "too short to be meant as an id");
    }
}
