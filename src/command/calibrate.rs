//! `composegen calibrate`: fits the constants of the speed model to the ledger's runs of one machine, and says how much
//! better they predict runs that they were not fitted to.

mod buffers;
mod runs;
mod text;
mod write;

use std::io::Write as _;

use camino::Utf8Path;
use serde::Serialize;

use super::machine::{Workers, host, needed};
use super::{Failure, ledger};
use crate::cli::{self, Format, Machine};
use crate::hardware::Speed;
use crate::plan::speed::{Sample, System, fit, largest, spread};
use crate::terminal::Terminal;
use runs::{Prompt, Used};

/// A run beside what is predicted for it, as relative errors.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    model: String,
    placement: String,
    measured_tps: f64,
    before: f64,
    after: f64,
    /// By constants that were fitted without this model in this placement.
    held_out: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    hardware: String,
    build: Option<u32>,
    runs: Vec<Row>,
    prompts: Vec<Prompt>,
    before: Constants,
    after: Constants,
    held_out: Errors,
    better: bool,
}

#[derive(Debug, Serialize)]
struct Constants {
    speed: Speed,
    errors: Errors,
}

/// Of all runs: root of the mean square, and the largest.
#[derive(Clone, Copy, Debug, Serialize)]
struct Errors {
    spread: f64,
    largest: f64,
}

impl Errors {
    fn of(errors: &[f64]) -> Self {
        Self { spread: spread(errors), largest: largest(errors) }
    }
}

pub(super) fn run(args: &cli::Calibrate, terminal: &mut Terminal) -> Result<(), Failure> {
    match (&args.buffers, &args.hardware) {
        (Some(to), _) => buffers::run(args, to, terminal),
        (None, Some(hardware)) => speeds(args, hardware, terminal),
        (None, None) => needed(None).map(drop),
    }
}

fn speeds(
    args: &cli::Calibrate,
    hardware: &Utf8Path,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let machine = Machine { hardware: Some(hardware.to_owned()), ..Machine::default() };
    let host = needed(host(&machine, &Workers::default(), terminal)?)?;
    let ledger = ledger::read(&args.file.ledger, terminal)?;
    let Used { build, rows, prompts, notes } = runs::of(&ledger, &host, args);
    for note in notes {
        writeln!(terminal.err, "note: {note}")?;
    }
    let shipped = System::of(&host).costs(None);
    let samples: Vec<Sample> = rows.iter().map(|row| row.sample.clone()).collect();
    let Some(fit) = fit(&samples, &shipped) else {
        return Err(Failure::Rejected(format!(
            "{} of `{}`'s runs can be used, of fewer than three placements: what is fitted to two cannot be tried on a \
             third; measure more with `composegen bench`, with other models or other layers on the CPU",
            rows.len(),
            hardware
        )));
    };
    let held_out = Errors::of(&fit.held_out);
    let errors = fit.before.iter().zip(&fit.after).zip(&fit.held_out);
    let report = Report {
        hardware: host.name.clone(),
        build,
        prompts,
        better: held_out.spread < spread(&fit.before),
        before: Constants { speed: shipped, errors: Errors::of(&fit.before) },
        after: Constants { speed: rounded(fit.speed), errors: Errors::of(&fit.after) },
        held_out,
        runs: rows
            .into_iter()
            .zip(errors)
            .map(|(row, ((before, after), held_out))| Row {
                id: row.id,
                model: row.model,
                placement: row.placement,
                measured_tps: row.sample.tps,
                before: *before,
                after: *after,
                held_out: *held_out,
            })
            .collect(),
    };
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => write!(terminal.out, "{}", text::report(&report))?,
    }
    if !args.write {
        return Ok(());
    }
    if !report.better {
        return Err(Failure::Rejected(format!(
            "nothing was written: on runs that they were not fitted to, the new constants are no better ({:.0} % instead of \
             {:.0} %); measure more placements",
            held_out.spread * 100.0,
            report.before.errors.spread * 100.0
        )));
    }
    write::into(hardware, &report.after.speed, &text::origin(&report))?;
    writeln!(terminal.err, "{hardware}: `[speed]` written")?;
    Ok(())
}

/// As many digits as mean something.
fn rounded(speed: Speed) -> Speed {
    let to = |number: f64, digits: i32| {
        let scale = 10_f64.powi(digits);
        (number * scale).round() / scale
    };
    Speed {
        gpu_efficiency: to(speed.gpu_efficiency, 3),
        cpu_efficiency: to(speed.cpu_efficiency, 3),
        block_us: to(speed.block_us, 1),
        recurrent_us: to(speed.recurrent_us, 1),
        visit_us: to(speed.visit_us, 1),
        error: to(speed.error, 2),
    }
}
