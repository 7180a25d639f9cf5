//! What was measured, one line of JSON per run. Text in, text out; `store` appends the lines and reads the file.
//!
//! A line is never rewritten. One that was cut off by a crash is passed over and named, as is one that a later
//! version wrote.

mod eval;
pub mod llama_bench;
mod moment;
mod run;
mod select;
mod trial;

use crate::artifact::Digest;

pub use eval::{Eval, Interval, Part};
pub use moment::Moment;
pub use run::{
    Answer, Buffers, Device, Gguf, Key, Llama, Memory, Outcome, PresetKey, Run, Source, Speed, What,
};
pub use select::{Ambiguous, Filter, latest, pick};
pub use trial::{HOST, Trial};

/// Its name where no other is given.
pub const FILE: &str = "ledger.jsonl";

/// The layout of a line that this version writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// One run with the place it has in the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Twelve hex digits of the line's digest.
    pub id: String,
    /// From 1.
    pub line: usize,
    pub run: Run,
}

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub line: usize,
    pub why: String,
}

/// A whole ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// In the order in which they were written.
    pub entries: Vec<Entry>,
    pub skipped: Vec<Skipped>,
}

impl Ledger {
    /// Reads a text of lines.
    pub fn parse(text: &str) -> Self {
        Self::read(text.as_bytes())
    }

    /// Reads the file's bytes. Takes every line on its own, so that a damaged one costs no other: a crash may cut a line
    /// off in the middle of a character, and what follows is as good as before.
    pub fn read(bytes: &[u8]) -> Self {
        let mut ledger = Self::default();
        let whole = bytes.ends_with(b"\n");
        let lines = || bytes.split(|byte| *byte == b'\n');
        let count = lines().count();
        for (i, line) in lines().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let number = i + 1;
            let text = std::str::from_utf8(line).map_err(|_| "no run: it is no UTF-8".to_owned());
            match text.and_then(|line| Ok((line, Run::parse(line)?))) {
                Ok((line, run)) => {
                    let id = id(line);
                    ledger.entries.push(Entry { id, line: number, run });
                }
                Err(why) => {
                    let cut = number == count && !whole;
                    let why = if cut { "not written to its end".to_owned() } else { why };
                    ledger.skipped.push(Skipped { line: number, why });
                }
            }
        }
        ledger
    }

    /// Whether the same thing was already reported. What a preset compiles to may have changed since.
    pub fn has_reported(&self, run: &Run) -> bool {
        let facts = |run: &Run| {
            let mut run = run.clone();
            run.key.preset = run.key.preset.map(|preset| PresetKey { digest: None, ..preset });
            run.args.clear();
            run
        };
        self.entries.iter().any(|entry| facts(&entry.run) == facts(run))
    }
}

fn id(line: &str) -> String {
    let digest = Digest::of(line.trim_end().as_bytes());
    digest.as_str().trim_start_matches("sha256:").chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::{Ledger, Run};

    fn run(by: &str) -> Run {
        Run { by: by.to_owned(), note: Some("a\nb".to_owned()), ..Run::default() }
    }

    fn text(runs: &[Run]) -> String {
        runs.iter().map(ToString::to_string).flat_map(|line| [line, "\n".to_owned()]).collect()
    }

    #[test]
    fn cut_off_anywhere_it_costs_one_run() {
        let runs = [run("a"), run("b"), run("ü c")];
        let whole = text(&runs);
        assert_eq!(Ledger::parse(&whole).entries.len(), 3);
        let second = text(&runs[..2]).len();
        // In the middle of a character, too.
        for end in second..whole.len() {
            let cut = &whole.as_bytes()[..end];
            let ledger = Ledger::read(cut);
            let complete = end + 1 == whole.len();
            assert_eq!(ledger.entries.len(), if complete { 3 } else { 2 }, "{end}");
            let skipped = usize::from(!complete && end > second);
            assert_eq!(ledger.skipped.len(), skipped, "{end}");
            // The next writer begins on a line of its own.
            let next = text(&[run("d")]);
            let ledger = Ledger::read(&[cut, b"\n", next.as_bytes()].concat());
            assert_eq!(ledger.entries.last().unwrap().run, run("d"));
            assert_eq!(
                ledger.entries.len() + ledger.skipped.len(),
                3 + usize::from(complete || skipped > 0)
            );
        }
    }

    #[test]
    fn names_the_lines_it_cannot_use() {
        let newer = run("a").to_string().replacen("\"v\":1", "\"v\":9", 1);
        let ledger = Ledger::parse(&format!("{newer}\nnonsense\n\n{}\n[]", run("b")));
        assert_eq!(ledger.entries.iter().map(|e| e.line).collect::<Vec<_>>(), [4]);
        let skipped: Vec<String> =
            ledger.skipped.iter().map(|s| format!("{}: {}", s.line, s.why)).collect();
        assert_eq!(skipped[0], "1: written by a newer composegen (layout 9)");
        assert!(skipped[1].starts_with("2: no run: expected"), "{skipped:?}");
        assert_eq!(skipped[2], "5: not written to its end");
    }

    #[test]
    fn the_same_report_is_known_again() {
        let mut changed = run("seed");
        let ledger = Ledger::parse(&text(&[run("seed")]));
        changed.args.push("--jinja".to_owned());
        assert!(ledger.has_reported(&changed));
        changed.note = None;
        assert!(!ledger.has_reported(&changed));
    }
}
