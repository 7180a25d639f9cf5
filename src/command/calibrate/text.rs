//! What `calibrate` prints, and what the hardware file says about where its constants are from.

use std::fmt::Write as _;

use super::{Constants, Errors, Prompt, Report};
use crate::terminal::{Align, table};

fn percent(error: f64) -> String {
    format!("{:+.0} %", error * 100.0)
}

fn errors(errors: Errors) -> String {
    format!("{:.0} % (largest {:.0} %)", errors.spread * 100.0, errors.largest * 100.0)
}

pub(super) fn report(report: &Report) -> String {
    let head = [
        ("MODEL", Align::Left),
        ("PLACEMENT", Align::Left),
        ("MEASURED", Align::Right),
        ("BEFORE", Align::Right),
        ("FITTED", Align::Right),
        ("HELD OUT", Align::Right),
    ];
    let rows = report.runs.iter().map(|row| {
        vec![
            row.model.clone(),
            row.placement.clone(),
            format!("{:.1} t/s", row.measured_tps),
            percent(row.before),
            percent(row.after),
            percent(row.held_out),
        ]
    });
    let mut text = table(&head, rows.collect());
    if !report.prompts.is_empty() {
        text.push('\n');
        text.push_str(&prompts(&report.prompts));
    }
    let head = [("CONSTANT", Align::Left), ("BEFORE", Align::Right), ("FITTED", Align::Right)];
    text.push('\n');
    text.push_str(&table(&head, constants(&report.before, &report.after)));
    // Nothing can fail that is written into a text.
    let _ = write!(
        text,
        "\nerror of tokens per second, root of the mean square:\n  before    {}\n  fitted    {}\n  held out  {}: each run \
         predicted by what was fitted without its model in its placement\n",
        errors(report.before.errors),
        errors(report.after.errors),
        errors(report.held_out)
    );
    text
}

/// Beside what is predicted, to which nothing is fitted.
fn prompts(prompts: &[Prompt]) -> String {
    let head = [
        ("PROMPTS OF", Align::Left),
        ("PLACEMENT", Align::Left),
        ("UBATCH", Align::Right),
        ("MEASURED", Align::Right),
        ("PREDICTED", Align::Right),
    ];
    let rows = prompts.iter().map(|prompt| {
        let kept = if prompt.op_offload { "" } else { " --no-op-offload" };
        vec![
            prompt.model.clone(),
            format!("{}{kept}", prompt.placement),
            prompt.ubatch.to_string(),
            format!("{:.0} t/s", prompt.measured_tps),
            percent(prompt.predicted_tps / prompt.measured_tps - 1.0),
        ]
    });
    table(&head, rows.collect())
}

fn constants(before: &Constants, after: &Constants) -> Vec<Vec<String>> {
    let both = before.speed.keys().into_iter().zip(after.speed.keys());
    both.map(|((key, old), (_, new))| vec![key.to_owned(), old.to_string(), new.to_string()])
        .collect()
}

/// A comment for the file.
pub(super) fn origin(report: &Report) -> String {
    let build = report.build.map_or_else(String::new, |build| format!(" of b{build}"));
    format!(
        "# By `composegen calibrate` from {} runs{build}: {:.0} % off on runs it was not fitted to, {:.0} % before.\n",
        report.runs.len(),
        report.held_out.spread * 100.0,
        report.before.errors.spread * 100.0
    )
}
