//! `composegen probe`: the memory of a strategy as the image's own llama.cpp says it, beside the estimate.

mod ask;
mod keep;

use std::io::{Error, Write as _};

use camino::Utf8PathBuf;
use serde::Serialize;

use super::checked::{Checked, checked};
use super::machine::{Workers, host, model, needed};
use super::{Failure, header, run_key};
use crate::cli::{self, Format};
use crate::gguf::Model;
use crate::hardware::Gpu;
use crate::ledger::PresetKey;
use crate::plan::memory::{Estimate, Request, estimate, fits};
use crate::preset::value;
use crate::probe::{Answer, Question, Row, differences, rooms};
use crate::terminal::{Align, Terminal, table};

pub(super) use ask::{Asked, Prober};
pub(super) use keep::{About, Answered, keep};

/// What is asked about.
struct Subject {
    read: Checked,
    model: Model,
    file: Utf8PathBuf,
    gpus: Vec<Gpu>,
    words: Vec<String>,
    image: String,
}

pub(super) fn run(args: &cli::Probe, terminal: &mut Terminal) -> Result<(), Failure> {
    let subject = subject(args, terminal)?;
    let usage = |message: String| Failure::Usage { message };
    let request = Request::from_args(&subject.words).map_err(|error| usage(error.to_string()))?;
    let ours = estimate(&subject.model, &subject.gpus, &request)
        .map_err(|error| usage(error.to_string()))?;
    let question = Question::new(&subject.gpus, &subject.model.parts, &subject.words);
    let prober = Prober::new(&subject.image, &subject.file, &subject.model)?;
    let asked = prober.ask(std::slice::from_ref(&question))?;
    let rows = match asked.answers.first() {
        Some(Answer::Rows(rows)) => rows.clone(),
        Some(Answer::Failed(lines)) => {
            return Err(Failure::Rejected(format!(
                "llama.cpp in `{}` does not take this plan:\n  {}",
                subject.image,
                lines.join("\n  ")
            )));
        }
        None => Vec::new(),
    };
    let report = Report {
        image: &subject.image,
        source: "probed",
        fits: fits(&rooms(&rows, &subject.gpus, &[])),
        equal: differences(&rows, &ours).is_empty(),
        devices: &rows,
    };
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&report).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => write!(terminal.out, "{}", text(&report, &ours, &subject.gpus))?,
    }
    if args.no_ledger {
        return Ok(());
    }
    let Subject { read, model, file, gpus, words, .. } = &subject;
    let preset = run_key::preset(&read.strategy);
    // With more flags it is not what the preset says.
    let preset = if args.flags.is_empty() { preset } else { PresetKey { digest: None, ..preset } };
    let answered =
        Answered { words, layers: read.strategy.layers.clone(), rows: &rows, ours: &ours };
    let about = About { preset: Some(preset), file, model, gpus };
    keep(&args.file.ledger, &about, &asked, &[answered], terminal)
}

#[derive(Serialize)]
struct Report<'a> {
    image: &'a str,
    /// How the figures are known.
    source: &'static str,
    fits: bool,
    /// Whether the estimate says the same, to the MiB.
    equal: bool,
    devices: &'a [Row],
}

fn subject(args: &cli::Probe, terminal: &mut Terminal) -> Result<Subject, Failure> {
    let machine = host(&args.machine, &Workers::default(), terminal)?;
    let path = super::preset_path(&args.preset);
    let out = super::strategy::deploy(&path);
    let read = checked(&args.preset, Some(&out), terminal)?;
    let Checked { resolved, strategy, placed, .. } = &read;
    if !placed && value(&resolved.preset.placement.auto) == Some(&true) {
        return Err(Failure::Usage {
            message: format!(
                "the placement of `{path}` was not planned yet: `composegen build {path}` locks it, \
                 `composegen plan {path} --exact` asks about a new one"
            ),
        });
    }
    let host = needed(machine.or_else(|| strategy.host.as_deref().cloned()))?;
    if host.gpus.iter().any(|gpu| gpu.remote.is_some()) {
        return Err(Failure::Usage {
            message: "an image can be shown the GPUs of one machine, not those of workers; \
                      `composegen estimate --cluster` computes them"
                .to_owned(),
        });
    }
    let (file, model) = match &args.model {
        Some(file) => (file.clone(), model(file)?),
        None => header::of(&read, &out, args.models.dir.as_deref())?,
    };
    let mut words = strategy.args_without(&[]);
    words.extend(args.flags.iter().cloned());
    let image = args.image.clone().unwrap_or_else(|| strategy.image.name.to_string());
    Ok(Subject { read, model, file, gpus: host.gpus, words, image })
}

fn text(report: &Report<'_>, ours: &Estimate, gpus: &[Gpu]) -> String {
    let mut rows = Vec::new();
    for row in report.devices {
        let device = ours.devices.iter().find(|device| device.name == row.name);
        let estimate = device
            .map_or([ours.host.model, ours.host.context, ours.host.compute], |device| {
                [device.model, device.context, device.compute]
            });
        let free = ours.devices.iter().position(|device| device.name == row.name);
        let free = free.and_then(|i| gpus.get(i)).map(|gpu| gpu.free.0 >> 20);
        let [model, context, compute] = estimate.map(|bytes| bytes.0 >> 20);
        let pair = |probed: u64, ours: u64| {
            if probed == ours { probed.to_string() } else { format!("{probed} ({ours})") }
        };
        rows.push(vec![
            row.name.clone(),
            pair(row.model, model),
            pair(row.context, context),
            pair(row.compute, compute),
            pair(row.total(), model + context + compute),
            free.map(|mib| mib.to_string()).unwrap_or_default(),
        ]);
    }
    let head = [
        ("DEVICE", Align::Left),
        ("WEIGHTS", Align::Right),
        ("CACHE", Align::Right),
        ("COMPUTE", Align::Right),
        ("TOTAL", Align::Right),
        ("FREE", Align::Right),
    ];
    let verdict = if report.fits { "fits" } else { "does not fit" };
    let equal = if report.equal {
        "the estimate says the same"
    } else {
        "where the estimate says otherwise, it stands in brackets"
    };
    format!(
        "{}\n{verdict}; MiB as llama.cpp in `{}` allocates them (probed); {equal}\n",
        table(&head, rows),
        report.image
    )
}
