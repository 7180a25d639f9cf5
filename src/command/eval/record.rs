//! Outcomes as a run of the ledger.

use std::collections::BTreeMap;

use super::target::Target;
use super::work::{Outcome, Setting};
use crate::cli;
use crate::command::{Failure, run_key};
use crate::eval::score::{mean_pass_at, score};
use crate::gpu;
use crate::ledger::{Eval, Gguf, Interval, Key, Llama, Part, Run, Source, What};
use crate::preset::sweep;

/// Of llama-server's own defaults, those that say how an answer was sampled.
const TOLD: &[&str] =
    &["temp", "top_k", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty"];

pub(super) fn run(
    args: &cli::Eval,
    target: &Target,
    setting: &Setting,
    outcomes: &[Outcome],
) -> Result<Run, Failure> {
    let (props, known) = (target.about.props.as_ref(), target.known.as_ref());
    // Another machine's GPUs are not here to be asked.
    let here = target.server.is_local().then(|| gpu::detect().ok()).flatten();
    Ok(Run {
        at: Some(run_key::now()),
        source: Source::Measured,
        by: format!("composegen {}", env!("CARGO_PKG_VERSION")),
        what: What::Eval,
        key: Key {
            preset: known.map(|known| known.key.clone()),
            llama: props.map_or_else(Llama::default, |props| Llama {
                build: props.build,
                commit: props.commit.clone(),
            }),
            image: None,
            gguf: props.map_or_else(Gguf::default, |props| Gguf {
                file: Some(props.model_file().to_owned()),
                header: None,
                bytes: props.model_bytes,
            }),
            devices: here.iter().flat_map(|here| &here.gpus).map(|gpu| gpu.name.clone()).collect(),
            driver: here.as_ref().and_then(|here| here.driver.clone()),
        },
        args: known.map(|known| known.args.clone()).unwrap_or_default(),
        layers: known.map(|known| known.layers.clone()).unwrap_or_default(),
        ctx_size: known.and_then(|known| known.ctx_size).or(props.map(|props| props.n_ctx)),
        eval: Some(eval(target, setting, outcomes)?),
        note: args.note.clone(),
        ..Run::default()
    })
}

fn eval(target: &Target, setting: &Setting, outcomes: &[Outcome]) -> Result<Eval, Failure> {
    let suite = &setting.suite;
    let samples = setting.samples;
    let mut passed = vec![0; suite.entries.len()];
    let mut failures = BTreeMap::new();
    for outcome in outcomes {
        match outcome.verdict.fault {
            None => {
                if let Some(count) = passed.get_mut(outcome.index) {
                    *count += 1;
                }
            }
            Some(fault) => *failures.entry(fault.to_string()).or_default() += 1,
        }
    }
    let none = || Failure::Rejected("there is nothing to score".to_owned());
    let scored = score(&passed, samples).ok_or_else(none)?;
    let tokens: Option<Vec<u64>> = outcomes.iter().map(|outcome| outcome.tokens).collect();
    let seconds = outcomes.iter().map(|outcome| outcome.seconds).sum::<f64>();
    Ok(Eval {
        suite: suite.name.clone(),
        digest: Some(suite.digest.clone()),
        filter: Some(suite.filter.clone()).filter(|filter| !filter.is_empty()),
        model: Some(target.model.clone()),
        problems: Some(passed.len() as u64),
        samples: Some(samples),
        passed: Some(passed.iter().sum()),
        pass_at_1: round(scored.pass_at_1),
        interval: Some(Interval {
            low: round(scored.low),
            high: round(scored.high),
            method: scored.method.to_owned(),
        }),
        pass_at_n: mean_pass_at(samples, &passed, samples).filter(|_| samples > 1).map(round),
        failures,
        tokens: tokens.map(|tokens| tokens.iter().sum()),
        seconds: Some((seconds * 1e3).round() / 1e3),
        doubted: Some(outcomes.iter().filter(|outcome| !outcome.doubts.is_empty()).count() as u64),
        sampling: sampling(target, setting),
        difficulty: difficulty(setting, &passed),
        ..Eval::default()
    })
}

/// What the server was started with, and what was asked for instead.
fn sampling(target: &Target, setting: &Setting) -> BTreeMap<String, f64> {
    let mut sampling = BTreeMap::new();
    for key in TOLD {
        let told =
            target.about.shape.get("params").and_then(|params| params.get(sweep::field(key)));
        if let Some(value) = told.and_then(serde_json::Value::as_f64) {
            sampling.insert((*key).to_owned(), narrow(value));
        }
    }
    sampling.extend(setting.point.iter().map(|(key, value)| ((*key).to_owned(), *value)));
    sampling.insert("seed".to_owned(), f64::from(setting.seed));
    sampling.insert("max_tokens".to_owned(), setting.max_tokens as f64);
    sampling
}

/// llama-server holds single precision, and prints 0.6 as 0.6000000238418579.
fn narrow(value: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "that is what it was")]
    let single = value as f32;
    single.to_string().parse().unwrap_or(value)
}

fn difficulty(setting: &Setting, passed: &[u64]) -> BTreeMap<String, Part> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for (entry, passed) in setting.suite.entries.iter().zip(passed) {
        let Some(difficulty) = &entry.problem.difficulty else { continue };
        let part = parts.entry(difficulty.clone()).or_default();
        part.problems += 1;
        part.passed += passed;
        part.pass_at_1 = round(part.passed as f64 / (part.problems * setting.samples) as f64);
    }
    parts
}

/// To four digits: more than any number of problems can tell.
fn round(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::{narrow, round};

    #[test]
    fn numbers_as_they_were_meant() {
        let written = [0.600_000_023_841_857_9, 1.0, 0.949_999_988_079_071].map(narrow);
        assert_eq!(written.map(|number| number.to_string()), ["0.6", "1", "0.95"]);
        assert_eq!(round(2.0 / 3.0).to_string(), "0.6667");
    }
}
