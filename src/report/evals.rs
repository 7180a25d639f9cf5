//! Results of coding benchmarks: our own with their interval, published ones with where they stand.

use serde::Serialize;

use super::{Published, Subject, known};
use crate::ledger::{Entry, Ledger, Source};

/// One model, setting and suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvalRow {
    pub suite: String,
    /// A strategy of ours, or a model's name.
    pub model: String,
    pub setting: String,
    pub pass_at_1: f64,
    /// Where it lies with 95 % certainty.
    pub interval: Option<[f64; 2]>,
    /// `62.5 %`, and the interval behind it.
    pub score: String,
    /// Of how many problems and answers.
    pub of: String,
    pub answer: String,
    pub known: String,
    pub note: String,
    /// Measured here, with one of our strategies.
    pub ours: bool,
}

/// By suite, the best first. Of a strategy at one setting the newest result counts.
pub(super) fn rows(ledger: &Ledger, subjects: &[Subject], published: &[Published]) -> Vec<EvalRow> {
    let mut newest: Vec<EvalRow> = Vec::new();
    for row in ledger.entries.iter().filter_map(|entry| row(entry, subjects)) {
        let same = |other: &EvalRow| {
            (&other.suite, &other.model, &other.setting, other.ours)
                == (&row.suite, &row.model, &row.setting, row.ours)
        };
        match newest.iter_mut().find(|other| same(other)) {
            Some(older) => *older = row,
            None => newest.push(row),
        }
    }
    newest.extend(published.iter().map(|one| {
        EvalRow {
            suite: one.suite.clone(),
            model: one.model.clone(),
            setting: String::new(),
            pass_at_1: one.pass_at_1,
            interval: None,
            score: percent(one.pass_at_1),
            of: String::new(),
            answer: String::new(),
            known: [format!("published: {}", one.source), one.date.clone()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(", "),
            note: one.note.clone(),
            ours: false,
        }
    }));
    newest.sort_by(|a, b| {
        a.suite.cmp(&b.suite).then(b.pass_at_1.total_cmp(&a.pass_at_1)).then(a.model.cmp(&b.model))
    });
    newest
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn row(entry: &Entry, subjects: &[Subject]) -> Option<EvalRow> {
    let run = &entry.run;
    let eval = run.eval.as_ref()?;
    let ours = run.source == Source::Measured;
    let subject = subjects.iter().find(|one| run.preset() == Some(one.name.as_str()));
    let name = subject.map(Subject::with_context);
    let name = name.or_else(|| run.preset().map(str::to_owned)).or_else(|| eval.model.clone());
    let mut suite = eval.suite.clone();
    if let Some(filter) = &eval.filter {
        suite = format!("{suite}, {filter}");
    }
    let setting: Vec<String> =
        eval.sampling.iter().map(|(key, value)| format!("{key} {value}")).collect();
    let interval = eval.interval.as_ref().map(|interval| [interval.low, interval.high]);
    let of = match (eval.problems, eval.samples) {
        (Some(problems), Some(samples)) if samples > 1 => {
            format!("{problems} problems, {samples} answers each")
        }
        (Some(problems), _) => format!("{problems} problems"),
        _ => String::new(),
    };
    let mut answer: Vec<String> = Vec::new();
    answer.extend(eval.tokens_per_answer().map(|tokens| format!("{tokens:.0} tokens")));
    answer.extend(eval.seconds_per_answer().map(|seconds| format!("{seconds:.0} s")));
    Some(EvalRow {
        suite,
        model: name.unwrap_or_else(|| run.by.clone()),
        setting: setting.join(", "),
        pass_at_1: eval.pass_at_1,
        score: match interval {
            Some([low, high]) => {
                format!("{} ({:.1} to {:.1})", percent(eval.pass_at_1), low * 100.0, high * 100.0)
            }
            None => percent(eval.pass_at_1),
        },
        interval,
        of,
        answer: answer.join(", "),
        known: match &eval.url {
            Some(url) => format!("published: {url}"),
            None => known(run),
        },
        note: run.note.clone().unwrap_or_default(),
        ours,
    })
}

#[cfg(test)]
mod tests {
    use super::rows;
    use crate::ledger::{Eval, Interval, Key, Ledger, PresetKey, Run, Source, What};
    use crate::report::{Published, Subject};

    #[test]
    fn the_newest_of_each_and_published_ones_beside() {
        let run = |pass: f64, temp: f64| Run {
            what: What::Eval,
            source: Source::Measured,
            key: Key {
                preset: Some(PresetKey { name: "a".to_owned(), digest: None }),
                ..Key::default()
            },
            eval: Some(Eval {
                suite: "s".to_owned(),
                pass_at_1: pass,
                interval: Some(Interval {
                    low: pass - 0.1,
                    high: pass + 0.1,
                    method: "wilson".to_owned(),
                }),
                problems: Some(40),
                samples: Some(2),
                tokens: Some(80_000),
                sampling: [("temp".to_owned(), temp)].into(),
                ..Eval::default()
            }),
            ..Run::default()
        };
        let lines = [run(0.5, 0.6), run(0.7, 1.0), run(0.6, 0.6)].map(|run| format!("{run}\n"));
        let ledger = Ledger::parse(&lines.concat());
        let subject = Subject {
            name: "a".to_owned(),
            quant: Some("Q6".to_owned()),
            ctx_size: Some(4096),
            ..Subject::default()
        };
        let published = Published {
            suite: "s".to_owned(),
            model: "M".to_owned(),
            pass_at_1: 0.65,
            source: "a page".to_owned(),
            date: String::new(),
            note: String::new(),
        };
        let found = rows(&ledger, &[subject], &[published]);
        let found: Vec<_> =
            found.iter().map(|row| (row.model.as_str(), row.score.as_str(), row.ours)).collect();
        assert_eq!(
            found,
            [
                ("Q6 4K", "70.0 % (60.0 to 80.0)", true),
                ("M", "65.0 %", false),
                ("Q6 4K", "60.0 % (50.0 to 70.0)", true),
            ]
        );
    }
}
