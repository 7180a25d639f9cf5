//! `composegen verify`: which tensors each override of a preset claims in a given model.

use std::collections::BTreeSet;
use std::io::Write as _;

use super::Failure;
use super::checked::checked;
use super::machine::model;
use crate::cli::Verify;
use crate::plan::pattern::{Overrides, Verdict, claims};
use crate::terminal::{Align, Terminal, table};
use crate::units::Bytes;

pub(super) fn run(args: &Verify, terminal: &mut Terminal) -> Result<(), Failure> {
    let strategy = checked(&args.preset, None, terminal)?.strategy;
    let model = model(&args.model)?;
    let word = strategy.word("--override-tensor").filter(|word| !word.is_empty());
    let Some(word) = word else {
        let others: Vec<String> = ["--cpu-moe", "--n-cpu-moe", "--n-cpu-ffn"]
            .into_iter()
            .filter(|flag| strategy.word(flag).is_some())
            .map(|flag| format!("`{flag}`"))
            .collect();
        if others.is_empty() {
            writeln!(terminal.out, "the preset has no overrides")?;
        } else {
            writeln!(
                terminal.out,
                "the preset has no rules of its own; {} stands for rules that llama.cpp makes itself",
                others.join(", ")
            )?;
        }
        return Ok(());
    };
    let rejected = |text: String| Failure::Rejected(text);
    let overrides: Overrides = word.parse().map_err(|e| rejected(format!("{e}")))?;
    let names = model.tensors.iter().map(|tensor| tensor.name.as_str());
    let claims = claims(&overrides, names).map_err(|e| rejected(e.to_string()))?;
    let mut rows = Vec::new();
    let mut idle = 0;
    for claim in &claims.rules {
        let claimed = || claim.names.iter().filter_map(|name| model.tensor(name));
        let layers: BTreeSet<u32> = claimed().filter_map(|tensor| tensor.layer).collect();
        let bytes: Bytes = claimed().map(|tensor| tensor.bytes).sum();
        let verdict = match claim.verdict() {
            Verdict::Decides if claim.lost.is_empty() => "ok".to_owned(),
            Verdict::Decides => format!("ok; {} tensors went to earlier rules", claim.lost.len()),
            Verdict::MatchesNothing => "matches nothing".to_owned(),
            Verdict::Shadowed(by) => format!("shadowed by rules {by:?}"),
        };
        idle += u32::from(claim.verdict() != Verdict::Decides);
        rows.push(vec![
            claim.rule.pattern().to_owned(),
            claim.rule.buffer().to_owned(),
            ranges(&layers),
            claim.names.len().to_string(),
            bytes.to_string(),
            verdict,
        ]);
    }
    let head = [
        ("PATTERN", Align::Left),
        ("BUFFER", Align::Left),
        ("LAYERS", Align::Left),
        ("TENSORS", Align::Right),
        ("SIZE", Align::Right),
        ("VERDICT", Align::Left),
    ];
    write!(terminal.out, "{}", table(&head, rows))?;
    if idle > 0 {
        return Err(rejected(format!("{idle} of the rules decide nothing in this model")));
    }
    Ok(())
}

/// `0-12, 19`.
pub(super) fn ranges(layers: &BTreeSet<u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for layer in layers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *layer => *last = *layer,
            _ => runs.push((*layer, *layer)),
        }
    }
    let run = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    if runs.is_empty() {
        "-".to_owned()
    } else {
        runs.iter().map(run).collect::<Vec<_>>().join(", ")
    }
}
