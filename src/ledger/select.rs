//! Which runs of a ledger are meant.

use super::{Entry, Moment, Run, Source, What};

/// So many digits of an id are meant as one; fewer could be a name that was mistyped.
const SHORTEST: usize = 4;

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub preset: Option<String>,
    pub source: Option<Source>,
    /// The build of llama.cpp.
    pub build: Option<u32>,
    /// What the image's digest begins with, with or without `sha256:`.
    pub image: Option<String>,
    /// A part of the model's file name, as are the next two of names: large or small letters.
    pub model: Option<String>,
    /// Of one of the devices.
    pub device: Option<String>,
    pub driver: Option<String>,
}

impl Filter {
    pub fn admits(&self, entry: &Entry) -> bool {
        let (run, key) = (&entry.run, &entry.run.key);
        let within = |wanted: &Option<String>, name: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| name.is_some_and(|name| has(name, wanted)))
        };
        let image = self.image.as_ref().is_none_or(|wanted| {
            let digits = |text: &str| text.trim_start_matches("sha256:").to_ascii_lowercase();
            let own = key.image.as_ref().map(|image| digits(image.as_str()));
            own.is_some_and(|own| own.starts_with(&digits(wanted)))
        });
        let device = self
            .device
            .as_ref()
            .is_none_or(|wanted| key.devices.iter().any(|name| has(name, wanted)));
        (self.preset.is_none() || run.preset() == self.preset.as_deref())
            && self.source.is_none_or(|source| run.source == source)
            && self.build.is_none_or(|build| key.llama.build == Some(build))
            && within(&self.model, key.gguf.file.as_ref())
            && within(&self.driver, key.driver.as_ref())
            && image
            && device
    }
}

fn has(name: &str, part: &str) -> bool {
    name.to_lowercase().contains(&part.to_lowercase())
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
pub fn pick<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    name: &str,
) -> Result<&'a Entry, Ambiguous> {
    let entries: Vec<&Entry> = entries.into_iter().collect();
    let speedy = |entry: &&Entry| entry.run.preset() == Some(name) && has_speed(entry, None);
    if let Some(entry) = entries.iter().copied().filter(speedy).max_by_key(|entry| rank(entry)) {
        return Ok(entry);
    }
    // The same line twice is one run.
    let mut found: Vec<&Entry> = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.id.starts_with(name)) {
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

/// Of each preset, or server without one, the newest run with a speed at this depth, in the order of their first
/// appearance. `None` where it has speeds at other depths alone.
pub fn latest<'a>(
    entries: &[&'a Entry],
    depth: Option<u64>,
) -> Vec<(&'a Entry, Option<&'a Entry>)> {
    let mut found: Vec<(&Entry, Option<&Entry>)> = Vec::new();
    for entry in entries.iter().copied().filter(|entry| has_speed(entry, None)) {
        let new = Some(entry).filter(|entry| has_speed(entry, depth));
        match found.iter_mut().find(|(first, _)| subject(&first.run) == subject(&entry.run)) {
            None => found.push((entry, new)),
            Some((_, newest)) => {
                *newest = newest.iter().copied().chain(new).max_by_key(|e| rank(e));
            }
        }
    }
    found
}

/// What a run says something of: a preset, or a server that is told from others by its model, devices and address.
fn subject(run: &Run) -> (Option<&str>, Option<&str>, &[String], Option<&str>) {
    match run.preset() {
        Some(preset) => (Some(preset), None, &[], None),
        None => (None, run.key.gguf.file.as_deref(), &run.key.devices, run.url.as_deref()),
    }
}

/// What was measured comes before what somebody wrote down, which often has no date and may be taken over at any time.
fn rank(entry: &Entry) -> (bool, Option<Moment>, usize) {
    (entry.run.source == Source::Measured, entry.run.at, entry.line)
}

/// An attempt's speed is that of a candidate, and not of what the preset says.
fn has_speed(entry: &Entry, depth: Option<u64>) -> bool {
    entry.run.what == What::Bench && entry.run.decode(depth).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, Gguf, Key, Ledger, Llama, PresetKey, Run, Source, Speed, What};
    use super::{Ambiguous, Filter, latest, pick};
    use crate::artifact::Digest;
    use crate::bench::Spread;

    fn run(preset: &str, tps: Option<f64>, source: Source) -> Run {
        let preset = Some(PresetKey { name: preset.to_owned(), digest: None });
        let decode = tps.and_then(|tps| Spread::new(vec![tps]));
        let speeds = vec![Speed { decode, ..Speed::default() }];
        Run { key: Key { preset, ..Key::default() }, source, speeds, ..Run::default() }
    }

    fn lines(found: &[(&Entry, Option<&Entry>)]) -> Vec<Option<usize>> {
        found.iter().map(|(_, newest)| newest.map(|entry| entry.line)).collect()
    }

    fn ledger(runs: &[Run]) -> Ledger {
        Ledger::parse(&runs.iter().map(|run| format!("{run}\n")).collect::<Vec<_>>().concat())
    }

    #[test]
    fn what_was_taken_over_later_is_not_newer() {
        let at = |day: &str, run: Run| Run { at: Some(day.parse().unwrap()), ..run };
        let runs = [
            at("2026-03-02", run("a", Some(10.0), Source::Measured)),
            at("2026-03-01", run("a", Some(11.0), Source::Measured)),
            run("a", Some(21.4), Source::Reported),
            at("2026-03-03", run("a", Some(21.5), Source::Reported)),
        ];
        let ledger = ledger(&runs);
        let all: Vec<_> = ledger.entries.iter().collect();
        assert_eq!(lines(&latest(&all, None)), [Some(1)]);
        assert_eq!(pick(&ledger.entries, "a").unwrap().line, 1);
        assert_eq!(pick(&ledger.entries[2..], "a").unwrap().line, 4);
    }

    #[test]
    fn the_newest_at_a_depth_and_of_each_server() {
        let at = |depth: u64, mut run: Run| {
            run.speeds[0].depth = Some(depth);
            run
        };
        let server = |url: &str| Run {
            key: Key::default(),
            url: Some(url.to_owned()),
            ..run("", Some(9.0), Source::Measured)
        };
        let runs = [
            at(512, run("a", Some(10.0), Source::Measured)),
            at(16, run("a", Some(30.0), Source::Measured)),
            at(16, run("b", Some(30.0), Source::Measured)),
            server("http://a:1"),
            server("http://b:1"),
            server("http://a:1"),
        ];
        let ledger = ledger(&runs);
        let all: Vec<_> = ledger.entries.iter().collect();
        assert_eq!(lines(&latest(&all, None)), [Some(2), Some(3), Some(6), Some(5)]);
        assert_eq!(lines(&latest(&all, Some(512))), [Some(1), None, None, None]);
    }

    #[test]
    fn by_what_a_run_is_keyed_by() {
        let key = Key {
            llama: Llama { build: Some(11434), commit: None },
            image: Some(Digest::of(b"i")),
            gguf: Gguf { file: Some("Qwen3-Q6.gguf".to_owned()), ..Gguf::default() },
            devices: vec!["NVIDIA GeForce RTX 4090".to_owned(), "RTX 5070 Ti".to_owned()],
            driver: Some("570.86".to_owned()),
            ..Key::default()
        };
        let ledger = ledger(&[Run { key, ..Run::default() }, Run::default()]);
        let digest = Digest::of(b"i");
        let some = |text: &str| Some(text.to_owned());
        let none = Filter::default();
        for (filter, count) in [
            (Filter { build: Some(11434), ..none.clone() }, 1),
            (Filter { build: Some(1), ..none.clone() }, 0),
            (Filter { image: some(&digest.as_str()[..15]), ..none.clone() }, 1),
            (Filter { image: some("ffff00"), ..none.clone() }, 0),
            (Filter { model: some("qwen3"), ..none.clone() }, 1),
            (Filter { device: some("rtx 5070"), ..none.clone() }, 1),
            (Filter { device: some("H100"), ..none.clone() }, 0),
            (Filter { driver: some("570"), ..none.clone() }, 1),
            (none.clone(), 2),
        ] {
            let found = ledger.entries.iter().filter(|entry| filter.admits(entry)).count();
            assert_eq!(found, count, "{filter:?}");
        }
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
        assert_eq!(pick(&ledger.entries, "a").unwrap().line, 3);
        for entry in &ledger.entries {
            assert_eq!(pick(&ledger.entries, &entry.id).unwrap(), entry);
        }
        assert_eq!(pick(&ledger.entries, "zz"), Err(Ambiguous::None { name: "zz".to_owned() }));
        assert_eq!(pick(&ledger.entries, ""), Err(Ambiguous::None { name: String::new() }));
        let all: Vec<_> = ledger.entries.iter().collect();
        assert_eq!(lines(&latest(&all, None)), [Some(3), Some(2)]);
        let filter = Filter {
            preset: Some("a".to_owned()),
            source: Some(Source::Reported),
            ..Filter::default()
        };
        assert_eq!(all.iter().filter(|entry| filter.admits(entry)).count(), 1);
        // The same line written twice.
        let twice = Ledger::parse(&format!("{text}{text}"));
        assert_eq!(pick(&twice.entries, &ledger.entries[1].id).unwrap().line, 2);
        let mut many = ledger.clone();
        many.entries[0].id = "abcd00000000".to_owned();
        many.entries[1].id = "abcd11111111".to_owned();
        let several = Ambiguous::Several { name: "abcd".to_owned(), count: 2 };
        assert_eq!(pick(&many.entries, "abcd"), Err(several));
        assert_eq!(pick(&many.entries, "abcd1").unwrap().line, 2);
        assert!(pick(&many.entries, "abc").is_err(), "too short to be meant as an id");
    }
}
