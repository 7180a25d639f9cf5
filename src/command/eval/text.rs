//! Scores as a table.

use super::Done;
use crate::ledger::{Eval, Run};
use crate::terminal::{Align, table};

pub(super) fn runs(all: &[Done]) -> String {
    let head = [
        ("SERVER", Align::Left),
        ("SAMPLING", Align::Left),
        ("PROBLEMS", Align::Right),
        ("PASSED", Align::Right),
        ("PASS@1", Align::Right),
        ("95 %", Align::Right),
        ("TOKENS", Align::Right),
        ("SECONDS", Align::Right),
        ("DOUBTED", Align::Right),
        ("FAILED BY", Align::Left),
    ];
    let rows = all.iter().filter_map(|done| Some(row(&done.run, done.run.eval.as_ref()?)));
    let mut text = table(&head, rows.collect());
    text.push_str("tokens and seconds per answer\n");
    text
}

fn row(run: &Run, eval: &Eval) -> Vec<String> {
    let dash = || "-".to_owned();
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let samples = eval.samples.unwrap_or(1);
    let passed = eval.passed.unwrap_or_default();
    let failures: Vec<String> =
        eval.failures.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
    let server = run.preset().map(str::to_owned).or_else(|| eval.model.clone());
    vec![
        server.unwrap_or_else(dash),
        crate::command::ledger::sampling(eval),
        eval.problems.map_or_else(dash, |count| count.to_string()),
        if samples > 1 {
            format!("{passed} of {}", eval.problems.unwrap_or_default() * samples)
        } else {
            passed.to_string()
        },
        format!("{} %", percent(eval.pass_at_1)),
        eval.interval.as_ref().map_or_else(dash, |interval| {
            format!("{} to {}", percent(interval.low), percent(interval.high))
        }),
        eval.tokens_per_answer().map_or_else(dash, |tokens| format!("{tokens:.0}")),
        eval.seconds_per_answer().map_or_else(dash, |seconds| format!("{seconds:.1}")),
        eval.doubted.map_or_else(dash, |count| count.to_string()),
        failures.join(", "),
    ]
}
