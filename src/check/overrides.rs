//! Tensor overrides by llama.cpp's own grammar, against the devices there are.

use super::Subject;
use crate::diagnostic::{Code, Diagnostic};
use crate::plan::pattern::{Fault, Matcher, Overrides};
use crate::preset::value;
use crate::strategy::devices;
use crate::table::Set;

/// More blocks than any model that llama.cpp loads has names for here: enough to see what a pattern claims.
const BLOCKS: usize = 200;

pub(super) fn check(subject: &mut Subject<'_>) {
    let placement = &subject.preset.placement;
    for set in [&placement.override_tensor, &placement.pinned_tensor].into_iter().flatten() {
        let findings = rules(subject, set);
        subject.findings.extend(findings);
    }
}

fn rules(subject: &Subject<'_>, set: &Set<Vec<String>>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (i, item) in set.value.iter().enumerate() {
        let say = |code, message: String, help: String| {
            Diagnostic::new(code, message).at(set.item(i)).help(help)
        };
        match item.parse::<Overrides>() {
            Err(error) => {
                findings.push(say(
                    Code::OverrideGrammar,
                    format!("`{item}`: {error}"),
                    error.help(),
                ));
            }
            Ok(rules) if rules.rules().len() > 1 => findings.push(say(
                Code::OverrideGrammar,
                format!("`{item}` is several rules in one item"),
                "write one item for each rule; a comma always separates".to_owned(),
            )),
            Ok(rules) => {
                for fault in rules.check(&buffers(subject, &rules)) {
                    let code = match fault {
                        Fault::Pattern { .. } => Code::OverrideRegex,
                        Fault::UnknownBuffer { .. } => Code::UnknownBuffer,
                    };
                    findings.push(say(code, format!("`{item}`: {fault}"), fault.help()));
                }
                findings.extend(
                    rules.rules().first().and_then(|rule| unscoped(rule.pattern())).map(|scoped| {
                        let message = format!("`{item}` also claims blocks it does not name");
                        say(Code::OverrideUnscoped, message, format!("end the number: `{scoped}`"))
                    }),
                );
            }
        }
    }
    findings
}

/// What may stand after the `=`: the GPUs, and what RPC workers are called. Where the machine is not described,
/// any CUDA device is believed.
fn buffers(subject: &Subject<'_>, rules: &Overrides) -> Vec<String> {
    let named = || rules.rules().iter().map(|rule| rule.buffer().to_owned());
    let mut known = match subject.host {
        Some(host) if subject.has_devices() => devices(Some(host), 0),
        None if subject.is_cuda() => named().filter(|name| name.starts_with("CUDA")).collect(),
        _ => Vec::new(),
    };
    if value(&subject.preset.placement.rpc).is_some() {
        known.extend(named().filter(|name| name.starts_with("RPC") && name.ends_with(']')));
    }
    known
}

/// The pattern with its block number ended, where that claims fewer blocks: `blk\.1` matches `blk.10` too.
fn unscoped(pattern: &str) -> Option<String> {
    let end = pattern.trim_end_matches(".*");
    if !pattern.contains("blk")
        || !end.ends_with(|c: char| c.is_ascii_digit() || c == ')' || c == ']')
    {
        return None;
    }
    let scoped = format!("{end}\\.");
    let blocks = |pattern: &str| -> Option<usize> {
        let matcher = Matcher::new(pattern).ok()?;
        let name = |i: usize| format!("blk.{i}.ffn_up_exps.weight");
        Some((0..BLOCKS).filter(|i| matcher.is_match(&name(*i)).unwrap_or(false)).count())
    };
    let (all, fewer) = (blocks(pattern)?, blocks(&scoped)?);
    (fewer < all && fewer > 0).then_some(scoped)
}

#[cfg(test)]
mod tests {
    use super::unscoped;

    #[test]
    fn a_number_that_is_not_ended_claims_too_much() {
        assert_eq!(unscoped("blk.1").as_deref(), Some("blk.1\\."));
        assert_eq!(unscoped("blk\\.(1|2)").as_deref(), Some("blk\\.(1|2)\\."));
        for fine in ["blk\\.1\\.", "exps", "blk\\.([0-9]|1[0-2])\\.", "blk\\..*"] {
            assert_eq!(unscoped(fine), None, "{fine}");
        }
    }
}
