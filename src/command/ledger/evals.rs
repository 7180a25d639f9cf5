//! Coding benchmarks side by side: what was measured here, and what others have published, each with its source.

use std::io::Write as _;

use serde::Serialize;

use super::{Row, json, read};
use crate::cli::{Format, LedgerEvals};
use crate::command::Failure;
use crate::command::report::read_published;
use crate::ledger::{Entry, Eval, Source};
use crate::report::Published;
use crate::terminal::{Align, Terminal, table};

#[derive(Serialize)]
struct All<'a> {
    runs: Vec<Row<'a>>,
    published: &'a [Published],
}

pub(super) fn run(args: &LedgerEvals, terminal: &mut Terminal) -> Result<(), Failure> {
    let ledger = read(&args.file.ledger, terminal)?;
    let wanted = |suite: &str| args.suite.as_ref().is_none_or(|wanted| wanted == suite);
    let mut published = match &args.published {
        Some(path) => read_published(path, terminal)?,
        None => Vec::new(),
    };
    // A published one may name the part behind a comma.
    published.retain(|one| wanted(one.suite.split(',').next().unwrap_or_default()));
    let mut found: Vec<(&Entry, &Eval)> = Vec::new();
    for entry in &ledger.entries {
        found.extend(
            entry.run.eval.as_ref().filter(|eval| wanted(&eval.suite)).map(|eval| (entry, eval)),
        );
    }
    if args.output.format == Format::Json {
        let runs = found.iter().map(|(entry, _)| Row::new(entry)).collect();
        return json(&All { runs, published: &published }, terminal);
    }
    write!(terminal.out, "{}", text(&found, &published))?;
    let differs = |(i, (_, eval)): &(usize, &(&Entry, &Eval))| {
        let before = found.iter().take(*i).filter(|(_, other)| other.suite == eval.suite);
        let mut known = before.filter_map(|(_, other)| other.digest.as_ref());
        eval.digest.as_ref().is_some_and(|digest| known.any(|other| other != digest))
    };
    if let Some((_, (_, eval))) = found.iter().enumerate().find(differs) {
        writeln!(
            terminal.err,
            "note: `{}` stands for files that differ; their scores are of other problems",
            eval.suite
        )?;
    }
    Ok(())
}

/// By suite, the best first.
fn text(found: &[(&Entry, &Eval)], published: &[Published]) -> String {
    let head = [
        ("SUITE", Align::Left),
        ("WHICH", Align::Left),
        ("MODEL", Align::Left),
        ("SAMPLING", Align::Left),
        ("PASS@1", Align::Right),
        ("95 %", Align::Right),
        ("PROBLEMS", Align::Right),
        ("TOKENS", Align::Right),
        ("SECONDS", Align::Right),
        ("SOURCE", Align::Left),
    ];
    let ours =
        found.iter().map(|(entry, eval)| (eval.suite.as_str(), eval.pass_at_1, row(entry, eval)));
    let theirs = published.iter().map(|one| (one.suite.as_str(), one.pass_at_1, their(one)));
    let mut rows: Vec<_> = ours.chain(theirs).collect();
    let suite = |name: &str| name.split(',').next().unwrap_or_default().to_owned();
    rows.sort_by(|a, b| suite(a.0).cmp(&suite(b.0)).then(b.1.total_cmp(&a.1)));
    table(&head, rows.into_iter().map(|(.., row)| row).collect())
}

fn their(one: &Published) -> Vec<String> {
    let (suite, which) = one.suite.split_once(',').unwrap_or((&one.suite, "-"));
    let dash = || "-".to_owned();
    let source = [one.source.as_str(), one.date.as_str()];
    vec![
        suite.to_owned(),
        which.trim().to_owned(),
        one.model.clone(),
        dash(),
        format!("{:.1} %", one.pass_at_1 * 100.0),
        dash(),
        dash(),
        dash(),
        dash(),
        source.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
    ]
}

fn row(entry: &Entry, eval: &Eval) -> Vec<String> {
    let dash = || "-".to_owned();
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let run = &entry.run;
    let when = run.at.map(|at| at.to_string().chars().take(10).collect::<String>());
    let model = run.preset().map(str::to_owned).or_else(|| eval.model.clone());
    vec![
        eval.suite.clone(),
        eval.filter.clone().unwrap_or_else(dash),
        model.unwrap_or_else(dash),
        sampling(eval),
        format!("{} %", percent(eval.pass_at_1)),
        eval.interval.as_ref().map_or_else(dash, |interval| {
            format!("{} to {}", percent(interval.low), percent(interval.high))
        }),
        eval.problems.map_or_else(dash, |count| match eval.samples {
            Some(samples) if samples > 1 => format!("{count} × {samples}"),
            _ => count.to_string(),
        }),
        eval.tokens_per_answer().map_or_else(dash, |tokens| format!("{tokens:.0}")),
        eval.seconds_per_answer().map_or_else(dash, |seconds| format!("{seconds:.1}")),
        match (run.source, &eval.url) {
            (Source::Measured | Source::Probed, _) => {
                when.map_or_else(|| "measured".to_owned(), |day| format!("measured {day}"))
            }
            (Source::Reported, Some(url)) => format!("{}, {url}", run.by),
            (Source::Reported, None) => run.by.clone(),
        },
    ]
}

/// What tells one run from another.
pub(in crate::command) fn sampling(eval: &Eval) -> String {
    let told = |(key, _): &(&String, &f64)| !matches!(key.as_str(), "seed" | "max_tokens");
    let neutral = |(key, value): &(&String, &f64)| {
        let off = match key.as_str() {
            "presence_penalty" | "frequency_penalty" | "min_p" | "top_k" => 0.0,
            "repeat_penalty" | "top_p" => 1.0,
            _ => return false,
        };
        (**value - off).abs() < f64::EPSILON
    };
    let words = eval.sampling.iter().filter(|item| told(item) && !neutral(item));
    let words: Vec<String> = words.map(|(key, value)| format!("{key} {value}")).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
