//! The run that stands for a strategy.

use super::Subject;
use crate::ledger::{Entry, Ledger, Source, What};

/// Of the runs with a speed the newest that was measured with the preset as it is now; else one that was reported of
/// it; else the newest of an earlier version. The flag says whether it is the preset as it is.
pub fn standing<'a>(ledger: &'a Ledger, subject: &Subject) -> Option<(&'a Entry, bool)> {
    let ours = |entry: &&Entry| {
        entry.run.what == What::Bench
            && entry.run.preset() == Some(subject.name.as_str())
            && (entry.run.decode(None).is_some() || !entry.run.answers.is_empty())
    };
    let same = |entry: &Entry| {
        let digest = entry.run.key.preset.as_ref().and_then(|key| key.digest.as_ref());
        // Who reports often knows no digest.
        digest.is_none() || subject.digest.is_none() || digest == subject.digest.as_ref()
    };
    let rank = |entry: &Entry| (same(entry), entry.run.source == Source::Measured, entry.run.at);
    let mut best: Option<&Entry> = None;
    for entry in ledger.entries.iter().filter(ours) {
        if best.is_none_or(|best| rank(entry) >= rank(best)) {
            best = Some(entry);
        }
    }
    best.map(|entry| (entry, same(entry)))
}

#[cfg(test)]
mod tests {
    use super::standing;
    use crate::artifact::Digest;
    use crate::bench::Spread;
    use crate::ledger::{Key, Ledger, PresetKey, Run, Source, Speed};
    use crate::report::Subject;

    fn run(digest: Option<&[u8]>, source: Source, tps: f64) -> Run {
        let digest = digest.map(Digest::of);
        let preset = Some(PresetKey { name: "a".to_owned(), digest });
        let speeds = vec![Speed { decode: Spread::new(vec![tps]), ..Speed::default() }];
        Run { source, key: Key { preset, ..Key::default() }, speeds, ..Run::default() }
    }

    #[test]
    fn the_preset_as_it_is_comes_first_then_what_was_measured() {
        let subject = Subject {
            name: "a".to_owned(),
            digest: Some(Digest::of(b"new")),
            ..Subject::default()
        };
        let found = |runs: &[Run]| {
            let lines: Vec<String> = runs.iter().map(|run| format!("{run}\n")).collect();
            let ledger = Ledger::parse(&lines.concat());
            standing(&ledger, &subject).map(|(entry, same)| (entry.line, same))
        };
        let old = || run(Some(b"old"), Source::Measured, 1.0);
        let said = || run(Some(b"new"), Source::Reported, 2.0);
        let new = || run(Some(b"new"), Source::Measured, 3.0);
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[old()]), Some((1, false)));
        assert_eq!(found(&[said(), old()]), Some((1, true)));
        assert_eq!(found(&[new(), said(), old()]), Some((1, true)));
        assert_eq!(found(&[new(), new(), said()]), Some((2, true)));
        let at = |day: &str, run: Run| Run { at: Some(day.parse().unwrap()), ..run };
        let later = at("2026-03-02", new());
        assert_eq!(found(&[later.clone(), at("2026-03-01", new()), new()]), Some((1, true)));
        assert_eq!(found(&[new(), later]), Some((2, true)));
        assert_eq!(found(&[run(None, Source::Reported, 1.0), old()]), Some((1, true)));
    }
}
