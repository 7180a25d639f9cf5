//! `composegen estimate`: bytes per device for any llama-server command.

use std::io::{Error, Write as _};

use camino::Utf8Path;
use serde::Serialize;

use super::Failure;
use super::calibration::{self, BESIDE, Probed};
use super::machine::{Workers, host, model, needed, profile};
use crate::cli::{self, Format};
use crate::flags::{self, Given, SplitError};
use crate::hardware::Host;
use crate::plan::memory::{Estimate, Request, estimate, fits};
use crate::terminal::{Align, Terminal, table};
use crate::units::Bytes;

pub(super) fn run(args: &cli::Estimate, terminal: &mut Terminal) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage { message };
    let model = model(&args.model)?;
    let flags = llama_server(&args.flags);
    let given = flags::split(flags).map_err(|errors| refused(&errors))?;
    let workers = Workers { endpoints: said(&given), ..Workers::default() };
    let host = needed(host(&args.machine, &workers, terminal)?)?;
    let mut request = Request::from_args(flags).map_err(|error| usage(error.to_string()))?;
    request.profile = profile(&args.buffers)?;
    let found = estimate(&model, &host.gpus, &request).map_err(|error| usage(error.to_string()))?;
    for given in given.iter().filter(|given| BESIDE.contains(&given.flag.long)) {
        let flag = given.flag.long;
        writeln!(terminal.err, "warning: what `{flag}` loads is not counted, it comes on top")?;
    }
    let fits = fits(&found.rooms());
    let memory = SystemMemory::new(&found, &host, &request);
    let subject = calibration::Subject {
        file: &args.model,
        model: &model,
        gpus: &host.gpus,
        words: flags,
        image: None,
    };
    let probed = calibration::find(&args.file.ledger, &subject, &found)?;
    match args.output.format {
        Format::Json => {
            let report = Report {
                devices: devices(&found),
                fits,
                flash_attn: found.flash_attn,
                source: "computed",
                profile: request.profile.as_ref().map(|profile| profile.name.as_str()),
                system_memory: memory,
                probed,
            };
            let text = serde_json::to_string_pretty(&report).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            write!(terminal.out, "{}", text(&found))?;
            let verdict = if fits { "fits" } else { "does not fit" };
            writeln!(
                terminal.out,
                "\n{verdict}; all figures are MiB, computed from the header and the flags"
            )?;
            Probed::tell(probed.as_ref(), terminal)?;
            if let Some(profile) = &request.profile {
                writeln!(
                    terminal.out,
                    "compute buffers with the additions of profile {}: {}",
                    profile.name, profile.about
                )?;
            }
            for line in memory.lines() {
                writeln!(terminal.out, "{line}")?;
            }
        }
    }
    Ok(())
}

/// A command as people paste it begins with the program's name.
fn llama_server(words: &[String]) -> &[String] {
    match words.split_first() {
        Some((first, rest)) if Utf8Path::new(first).file_name() == Some("llama-server") => rest,
        _ => words,
    }
}

fn refused(errors: &[SplitError]) -> Failure {
    let say = |error: &SplitError| match error.help() {
        Some(help) => format!("{error}: {help}"),
        None => error.to_string(),
    };
    Failure::Usage { message: errors.iter().map(say).collect::<Vec<_>>().join("\n") }
}

/// The workers that the flags name.
fn said(given: &[Given<'_>]) -> Option<Vec<String>> {
    let last = given.iter().rfind(|given| given.flag.long == "--rpc")?;
    Some(last.value().split(',').map(str::to_owned).collect())
}

#[derive(Serialize)]
struct Report<'a> {
    devices: Vec<Device>,
    fits: bool,
    flash_attn: bool,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    system_memory: SystemMemory,
    /// What llama.cpp said to the same question.
    #[serde(skip_serializing_if = "Option::is_none")]
    probed: Option<Probed>,
}

/// What llama-server takes of the machine's own memory, in MiB.
#[derive(Serialize)]
pub(super) struct SystemMemory {
    start_mib: f64,
    /// What the prompt cache may grow to; absent without limit.
    prompt_cache_mib: Option<f64>,
    checkpoints_mib: f64,
    /// What there is, where that is known.
    ram_mib: Option<f64>,
    warnings: Vec<String>,
}

impl SystemMemory {
    pub(super) fn new(found: &Estimate, host: &Host, request: &Request) -> Self {
        let memory = &found.host;
        let ram = host.ram.total;
        Self {
            start_mib: memory.at_start().mib(),
            prompt_cache_mib: memory.prompt_cache.map(Bytes::mib),
            checkpoints_mib: memory.checkpoints.mib(),
            ram_mib: ram.map(Bytes::mib),
            warnings: ram.map_or_else(Vec::new, |ram| memory.warnings(ram, request.load_mode)),
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let of = self.ram_mib.map_or_else(String::new, |ram| format!(" of {ram:.0}"));
        let cache = self.prompt_cache_mib.map_or_else(
            || "any number for the prompt cache".to_owned(),
            |cache| format!("{cache:.0} for the prompt cache"),
        );
        let first = format!(
            "system memory: {:.0}{of} at start; later up to {cache} and {:.0} for checkpoints",
            self.start_mib, self.checkpoints_mib
        );
        let warnings = self.warnings.iter().map(|warning| format!("warning: {warning}"));
        std::iter::once(first).chain(warnings).collect()
    }
}

/// One device in MiB.
#[derive(Serialize)]
pub(super) struct Device {
    name: String,
    model_mib: f64,
    context_mib: f64,
    compute_mib: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_mib: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_mib: Option<f64>,
}

/// The GPUs, and the host behind them.
pub(super) fn devices(found: &Estimate) -> Vec<Device> {
    let of = |device: &crate::plan::memory::DeviceMemory| Device {
        name: device.name.clone(),
        model_mib: device.model.mib(),
        context_mib: device.context.mib(),
        compute_mib: device.compute.mib(),
        total_mib: Some(device.total().mib()),
        free_mib: Some(device.free.mib()),
    };
    let host = Device {
        name: "Host".to_owned(),
        model_mib: found.host.model.mib(),
        context_mib: found.host.context.mib(),
        compute_mib: found.host.compute.mib(),
        total_mib: Some((found.host.model + found.host.context + found.host.compute).mib()),
        free_mib: None,
    };
    found.devices.iter().map(of).chain([host]).collect()
}

fn text(found: &Estimate) -> String {
    let head = [
        ("DEVICE", Align::Left),
        ("WEIGHTS", Align::Right),
        ("CONTEXT", Align::Right),
        ("COMPUTE", Align::Right),
        ("SUM", Align::Right),
        ("FREE", Align::Right),
        ("LEFT", Align::Right),
    ];
    let mib = |mib: f64| format!("{mib:.0}");
    let row = |device: Device| {
        let sum = device.model_mib + device.context_mib + device.compute_mib;
        let free = device.free_mib;
        vec![
            device.name,
            mib(device.model_mib),
            mib(device.context_mib),
            mib(device.compute_mib),
            mib(sum),
            free.map_or_else(|| "-".to_owned(), mib),
            free.map_or_else(|| "-".to_owned(), |free| mib(free - sum)),
        ]
    };
    table(&head, devices(found).into_iter().map(row).collect())
}
