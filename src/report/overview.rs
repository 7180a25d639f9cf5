//! All strategies beside each other.

use serde::Serialize;

use super::words::{context, plus};
use super::{Figure, Predicted, Subject, known, standing};
use crate::ledger::{Ledger, Run};
use crate::preset::record::Status;

/// What the answers to the fixed task say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Nothing was taken back.
    Clean,
    /// The model corrected itself.
    Doubts,
    #[default]
    Unknown,
}

/// One strategy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    pub name: String,
    pub label: String,
    pub short: String,
    pub title: String,
    pub quant: String,
    pub ctx_size: Option<u64>,
    pub context: String,
    pub cache: String,
    /// `13+6 = 19/48`.
    pub layers: String,
    pub decode_tps: Option<f64>,
    pub approximate: bool,
    pub speed: Option<Figure>,
    /// Only a computed speed, where nothing was measured.
    pub predicted: Option<Predicted>,
    /// Of the answer to the task.
    pub tokens: Option<u64>,
    pub seconds: Option<f64>,
    pub answer: Option<Figure>,
    pub quality: Quality,
    pub quality_words: String,
    pub status: Option<Status>,
    pub status_words: String,
    pub reason: String,
    /// The run that stands for it is of an earlier version of the preset.
    pub outdated: bool,
}

impl Row {
    pub(super) fn new(subject: &Subject, ledger: &Ledger) -> Self {
        let found = standing(ledger, subject);
        let run = found.map(|(entry, _)| &entry.run);
        let speed = run.and_then(|run| run.speed(None));
        let decode = speed.and_then(|speed| speed.decode.as_ref());
        let approximate = speed.is_some_and(|speed| speed.approximate);
        let quality = run.map_or(Quality::Unknown, quality);
        let answer = run.and_then(|run| Answer::of(run, decode.map(crate::bench::Spread::median)));
        Self {
            name: subject.name.clone(),
            label: subject.label.clone().unwrap_or_default(),
            short: subject.short(),
            title: subject.title.clone().unwrap_or_default(),
            quant: subject.quant.clone().unwrap_or_default(),
            ctx_size: subject.ctx_size,
            context: subject.ctx_size.map(context).unwrap_or_default(),
            cache: subject.cache.clone().unwrap_or_default(),
            layers: layers(subject),
            decode_tps: decode.map(crate::bench::Spread::median),
            approximate,
            speed: run.zip(decode).map(|(run, decode)| {
                let about = if approximate { "~" } else { "" };
                let many = decode.samples().len() > 1;
                let around =
                    if many { format!(" \u{b1} {:.1}", decode.mad()) } else { String::new() };
                Figure::new(format!("{about}{:.1}{around} t/s", decode.median()), known(run))
            }),
            predicted: subject.predicted,
            tokens: answer.as_ref().map(|answer| answer.tokens),
            seconds: answer.as_ref().map(|answer| answer.seconds),
            answer: answer.map(|answer| answer.figure),
            quality,
            quality_words: run.map(|run| quality_words(run, quality)).unwrap_or_default(),
            status: subject.status,
            status_words: subject.status.map(|status| status.to_string()).unwrap_or_default(),
            reason: subject.reason.clone().unwrap_or_default(),
            outdated: found.is_some_and(|(_, same)| !same),
        }
    }

    pub fn is_baseline(&self) -> bool {
        self.status == Some(Status::Baseline)
    }
}

fn layers(subject: &Subject) -> String {
    if subject.layers.is_empty() {
        return String::new();
    }
    // Wide enough for what a line of the ledger may claim.
    let on: u64 = subject.layers.iter().map(|count| u64::from(*count)).sum();
    let of = subject.all_layers.map(|all| format!("/{all}")).unwrap_or_default();
    match subject.layers.as_slice() {
        [_] => format!("{on}{of}"),
        several => format!("{} = {on}{of}", plus(several)),
    }
}

/// The answer to the task: what it took in all.
struct Answer {
    tokens: u64,
    seconds: f64,
    figure: Figure,
}

impl Answer {
    /// Of several answers the median one by its tokens. Without a measured time it is the tokens over the speed.
    fn of(run: &Run, speed: Option<f64>) -> Option<Self> {
        let mut answers: Vec<_> = run
            .answers
            .iter()
            .filter_map(|answer| Some((answer.tokens?, answer.seconds)))
            .collect();
        answers.sort_by_key(|(tokens, _)| *tokens);
        let (tokens, measured) = *answers.get(answers.len().checked_sub(1)? / 2)?;
        let seconds = measured.or_else(|| Some(tokens as f64 / speed.filter(|tps| *tps > 0.0)?))?;
        let how =
            if measured.is_some() { known(run) } else { "computed from its speed".to_owned() };
        let figure = Figure::new(format!("{tokens} tokens, {seconds:.1} s"), how);
        Some(Self { tokens, seconds, figure })
    }
}

fn quality(run: &Run) -> Quality {
    let said: Vec<bool> = run.answers.iter().filter_map(|answer| answer.self_correction).collect();
    match said.as_slice() {
        [] => Quality::Unknown,
        all if all.contains(&true) => Quality::Doubts,
        _ => Quality::Clean,
    }
}

/// What somebody wrote about it, else what was counted.
fn quality_words(run: &Run, quality: Quality) -> String {
    let written = run.answers.iter().rev().find_map(|answer| answer.quality.clone());
    written.unwrap_or_else(|| {
        let doubted =
            run.answers.iter().filter(|answer| answer.self_correction == Some(true)).count();
        match quality {
            Quality::Doubts if run.answers.len() > 1 => {
                format!("self-correction in {doubted} of {}", run.answers.len())
            }
            Quality::Doubts => "self-correction".to_owned(),
            Quality::Clean => "no self-correction".to_owned(),
            Quality::Unknown => String::new(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Quality, Row};
    use crate::bench::Spread;
    use crate::ledger::{Answer, Key, Ledger, PresetKey, Run, Source, Speed};
    use crate::report::Subject;

    #[test]
    fn answers_are_timed_and_judged() {
        let answer = |tokens, seconds, doubt| Answer {
            tokens: Some(tokens),
            seconds,
            self_correction: Some(doubt),
            ..Answer::default()
        };
        let row = |answers: Vec<Answer>| {
            let preset = Some(PresetKey { name: "a".to_owned(), digest: None });
            let run = Run {
                source: Source::Reported,
                by: "x".to_owned(),
                key: Key { preset, ..Key::default() },
                speeds: vec![Speed {
                    decode: Spread::new(vec![20.0, 21.0, 22.0]),
                    ..Speed::default()
                }],
                answers,
                ..Run::default()
            };
            let subject =
                Subject { name: "a".to_owned(), layers: vec![13, 6], ..Subject::default() };
            Row::new(&subject, &Ledger::parse(&format!("{run}\n")))
        };
        let clean = row(vec![answer(630, Some(31.0), false)]);
        assert_eq!(clean.speed.unwrap().text, "21.0 \u{b1} 1.0 t/s");
        assert_eq!((clean.quality, clean.seconds), (Quality::Clean, Some(31.0)));
        assert_eq!(clean.answer.unwrap().known, "reported by x");
        assert_eq!(clean.layers, "13+6 = 19");
        let doubts = row(vec![answer(2100, None, true), answer(210, None, false)]);
        assert_eq!(doubts.quality_words, "self-correction in 1 of 2");
        assert_eq!((doubts.tokens, doubts.seconds), (Some(210), Some(10.0)));
        assert_eq!(doubts.answer.unwrap().known, "computed from its speed");
        let none = row(Vec::new());
        assert_eq!((none.quality, none.quality_words.as_str()), (Quality::Unknown, ""));
    }
}
