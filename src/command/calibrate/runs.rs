//! Which runs of the ledger say something about the machine's speed, and what a token of each reads.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Serialize;

use crate::artifact::Digest;
use crate::bench::Spread;
use crate::cli::Calibrate;
use crate::command::header::{declared, said};
use crate::command::machine::whole;
use crate::command::{load, preset_path};
use crate::gguf::{self, Model};
use crate::hardware::{Host, short_name};
use crate::ledger::{Entry, Ledger, Outcome, Run, Source, Speed, What};
use crate::plan::memory::{Prepared, Request};
use crate::plan::speed::{Sample, of_trial, predict};
use crate::preset::resolve::Library;

/// Deeper than this the reads of the cache count, which the prediction leaves out.
const SHALLOW: u64 = 4096;

/// Runs of one build.
pub(super) struct Used {
    pub(super) build: Option<u32>,
    pub(super) rows: Vec<Row>,
    pub(super) prompts: Vec<Prompt>,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
}

pub(super) struct Row {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) placement: String,
    pub(super) sample: Sample,
}

/// A prompt's speed beside what is predicted; nothing is fitted to it.
#[derive(Debug, Serialize)]
pub(super) struct Prompt {
    pub(super) model: String,
    pub(super) placement: String,
    pub(super) ubatch: u64,
    pub(super) op_offload: bool,
    pub(super) measured_tps: f64,
    pub(super) predicted_tps: f64,
}

pub(super) fn of(ledger: &Ledger, host: &Host, args: &Calibrate) -> Used {
    let (measured, reported): (Vec<&Entry>, Vec<&Entry>) = ledger
        .entries
        .iter()
        .filter(|entry| decode(&entry.run).or(prompt(&entry.run)).is_some())
        .partition(|entry| entry.run.source == Source::Measured);
    let (measured, foreign): (Vec<&Entry>, Vec<&Entry>) =
        measured.into_iter().partition(|entry| own(&entry.run, host));
    let build = args.build.or(measured.iter().filter_map(|entry| entry.run.key.llama.build).max());
    let (mine, others): (Vec<&Entry>, Vec<&Entry>) =
        measured.into_iter().partition(|entry| entry.run.key.llama.build == build);
    let mut notes = Vec::new();
    let mut left_out = |count: usize, why: &str| {
        if count > 0 {
            let runs = if count == 1 { "run is" } else { "runs are" };
            notes.push(format!("{count} {runs} left out: {why}"));
        }
    };
    // Often rounded, at a depth that nobody wrote down: the constants would take that for the machine's.
    left_out(reported.len(), "reported, not measured");
    left_out(foreign.len(), "other GPUs than the hardware file's");
    left_out(others.len(), "another build of llama.cpp (`--build N`)");
    let mut models = Models::new(&args.models);
    let mut best: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut prompts = Vec::new();
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    for entry in mine {
        let file = entry.run.key.gguf.file.clone().unwrap_or_default();
        let both = models.get(&entry.run).and_then(|model| row(entry, model, host));
        let (row, prompt) = match both {
            Ok(both) => both,
            Err(why) => {
                *missing.entry(format!("{file}: {why}")).or_default() += 1;
                continue;
            }
        };
        prompts.extend(prompt);
        let Some(row) = row else { continue };
        // Of runs that differ in threads alone the fastest counts: that is how somebody would run it.
        let key = (row.model.clone(), row.placement.clone());
        let faster = best.get(&key).is_none_or(|known| known.sample.tps < row.sample.tps);
        if faster {
            best.insert(key, row);
        }
    }
    for (why, count) in &missing {
        left_out(*count, why);
    }
    Used { build, rows: best.into_values().collect(), prompts, notes }
}

/// Tokens per second of an answer at a nearly empty context.
fn decode(run: &Run) -> Option<f64> {
    fastest(run, |speed| speed.decode.as_ref())
}

/// The same of a prompt.
fn prompt(run: &Run) -> Option<f64> {
    fastest(run, |speed| speed.prompt.as_ref())
}

fn fastest(run: &Run, of: fn(&Speed) -> Option<&Spread>) -> Option<f64> {
    if run.what != What::Bench || run.outcome != Outcome::Ok {
        return None;
    }
    let shallow = |depth: Option<u64>| depth.is_none_or(|depth| depth <= SHALLOW);
    let speeds = run.speeds.iter().filter(|speed| shallow(speed.depth) && !speed.approximate);
    // Relative to nothing every error is infinite.
    speeds.filter_map(of).map(Spread::median).filter(|tps| *tps > 0.0).reduce(f64::max)
}

/// Whether it ran on these GPUs, as far as it says.
fn own(run: &Run, host: &Host) -> bool {
    let ours = host.gpus.iter().map(|gpu| short_name(&gpu.name));
    run.key.devices.iter().map(|name| short_name(name)).eq(ours)
}

/// What tells one placement from another.
fn placement(args: &[String]) -> String {
    const TELLING: [&str; 8] = [
        "--n-gpu-layers",
        "--tensor-split",
        "--override-tensor",
        "--n-cpu-moe",
        "--cpu-moe",
        "--split-mode",
        "--main-gpu",
        "--device",
    ];
    let mut words = Vec::new();
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        if TELLING.contains(&flag.as_str()) {
            words.push(flag.as_str());
            if flag != "--cpu-moe" {
                words.extend(args.next().map(String::as_str));
            }
        }
    }
    words.join(" ")
}

fn row(entry: &Entry, model: &Model, host: &Host) -> Result<(Option<Row>, Option<Prompt>), String> {
    let run = &entry.run;
    let request = Request::from_args(&run.args).map_err(|error| error.to_string())?;
    let prepared = Prepared::new(model, &host.gpus, &request).map_err(|error| error.to_string())?;
    let trial = prepared.requested().map_err(|error| error.to_string())?;
    let (rates, traffic) = of_trial(model, host, &request, &prepared, &trial);
    let file = run.key.gguf.file.clone().unwrap_or_default();
    let placement = placement(&run.args);
    let prompt = prompt(run).map(|measured_tps| Prompt {
        model: file.clone(),
        placement: placement.clone(),
        ubatch: request.ubatch_size,
        op_offload: request.op_offload,
        measured_tps,
        predicted_tps: predict(&rates, &traffic, &request, false).prompt_tps,
    });
    let row = decode(run).map(|tps| Row {
        id: entry.id.clone(),
        sample: Sample::new(format!("{file} {placement}"), tps, &rates, &traffic),
        model: file,
        placement,
    });
    Ok((row, prompt))
}

/// Headers by file name, each read once: from `--models`, else as the preset of the run names them.
pub(super) struct Models<'a> {
    dir: &'a Utf8Path,
    /// By the preset, too, since each can have its header elsewhere.
    known: BTreeMap<(String, String), Result<Model, String>>,
}

impl<'a> Models<'a> {
    pub(super) const fn new(dir: &'a Utf8Path) -> Self {
        Self { dir, known: BTreeMap::new() }
    }

    pub(super) fn get(&mut self, run: &Run) -> Result<&Model, String> {
        let Some(file) = run.key.gguf.file.as_deref() else {
            return Err("the run does not say which model it was".to_owned());
        };
        let name = file.rsplit('/').next().unwrap_or(file);
        let preset = run.key.preset.as_ref().map(|preset| preset.name.clone()).unwrap_or_default();
        let found = self.known.entry((name.to_owned(), preset));
        let model = found
            .or_insert_with(|| open(&self.dir.join(name)).or_else(|why| of_preset(run).ok_or(why)));
        let model = model.as_ref().map_err(String::clone)?;
        let other = run.key.gguf.bytes.is_some_and(|bytes| {
            // llama-bench counts tensors, `bench` whole files; a header's file has the same promise.
            let tensors = model.bytes().0;
            bytes.abs_diff(tensors) > tensors / 20
        });
        if other {
            Err(format!("`{}` is another model of that name", self.dir.join(name)))
        } else {
            Ok(model)
        }
    }
}

/// By `model.header` of the preset that ran, where that is the header which the run had.
fn of_preset(run: &Run) -> Option<Model> {
    let path = preset_path(Utf8Path::new(&run.key.preset.as_ref()?.name));
    let mut library = Library::new(&load);
    let resolved = library.resolve(&path).ok()?;
    let path = declared(&resolved, &library.sources)?;
    let model = open(&path).ok()?;
    let same = |digest: &Digest| gguf::digest(&path, &model.parts).is_ok_and(|own| own == *digest);
    run.key.gguf.header.as_ref().is_none_or(same).then_some(model)
}

fn open(path: &Utf8Path) -> Result<Model, String> {
    let model =
        gguf::open(path).map_err(|error| format!("no header in --models: {}", said(&error)))?;
    whole(&model, path)?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::bench::Spread;
    use crate::ledger::{Run, Speed};

    #[test]
    fn what_is_no_speed_is_not_fitted() {
        let of = |tps: f64, approximate| {
            let decode = Spread::new(vec![tps]);
            Run {
                speeds: vec![Speed { decode, approximate, ..Speed::default() }],
                ..Run::default()
            }
        };
        assert_eq!(decode(&of(20.0, false)), Some(20.0));
        for wrong in [of(0.0, false), of(-1.0, false), of(20.0, true)] {
            assert_eq!(decode(&wrong), None);
        }
    }
}
