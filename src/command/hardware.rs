//! `composegen hardware`: the machine described for planning, and the cards that are known by name.

use std::io::{Error, ErrorKind, Write as _};

use camino::Utf8Path;
use serde::Serialize;

use super::Failure;
use super::machine::gpus;
use crate::cli::{Cards, Detect, Format, Hardware, HardwareCommand};
use crate::gpu::{self, Bandwidth, Source};
use crate::hardware::text::{Remarks, file_name, text, title};
use crate::hardware::{Host, known};
use crate::plan::speed::CONSTANTS;
use crate::store::{self, StoreError};
use crate::terminal::{Align, Terminal, table};
use crate::units::Bytes;

pub(super) fn run(args: &Hardware, terminal: &mut Terminal) -> Result<(), Failure> {
    match &args.command {
        HardwareCommand::Detect(args) => detect(args, terminal),
        HardwareCommand::List(args) => list(args, terminal),
    }
}

fn detect(args: &Detect, terminal: &mut Terminal) -> Result<(), Failure> {
    if let Some(name) = &args.name {
        safe(name)?;
    }
    let (mut host, head) = found(args, terminal)?;
    let remarks = Remarks { head, ram: if args.no_measure { None } else { bandwidth(&mut host) } };
    let name = args.name.clone().unwrap_or_else(|| file_name(&host.gpus));
    host.name = args.name.clone().unwrap_or_else(|| title(&host.gpus));
    let path = match &args.out {
        Some(path) => path.clone(),
        None => Utf8Path::new("presets/hardware").join(format!("{name}.toml")),
    };
    if path == "-" {
        write!(terminal.out, "{}", text(&host, &remarks, false))?;
        return Ok(());
    }
    let schema = path.with_file_name("schema.json").exists();
    store::single(&path, &text(&host, &remarks, schema), args.force).map_err(|error| match error {
        StoreError::Io(error) if error.kind() == ErrorKind::AlreadyExists => {
            Failure::Edited(format!(
                "`{path}` is there already and was not overwritten; look at what would be written with `--out -`, \
                 choose another `--name`, or overwrite with --force"
            ))
        }
        error => Failure::File(format!("{error}\nhelp: {}", error.help())),
    })?;
    writeln!(terminal.err, "{path}: {}", summary(&host))?;
    writeln!(terminal.err, "presets name it: hardware = \"{}\"", named(&path))?;
    Ok(())
}

/// Fills in how fast system memory is, and says how that is known.
fn bandwidth(host: &mut Host) -> Option<String> {
    let threads = host.cpu.cores.or(host.cpu.threads).unwrap_or(1) as usize;
    let (gbs, remark) = match gpu::bandwidth(threads, host.ram.total)? {
        Bandwidth::Firmware(memory) => (
            memory.gbs(),
            format!(
                "By the firmware's table: {} channels, {} bytes wide together, {} MT/s.",
                memory.channels, memory.bytes, memory.mts
            ),
        ),
        Bandwidth::Measured { gbs, threads } => (
            // Predictions count with what memory is rated for.
            gbs / CONSTANTS.speed.cpu_efficiency,
            format!(
                "Measured: {threads} threads read {gbs:.1} GB/s, about {:.0} % of what memory is rated for. A busy machine \
                 shows less; channels x MT/s x 8 / 1000 is the rating.",
                CONSTANTS.speed.cpu_efficiency * 100.0
            ),
        ),
    };
    host.ram.bandwidth_gbs = Some((gbs * 10.0).round() / 10.0);
    Some(remark)
}

/// As a preset beside `hardware/` would say it, or the file.
fn named(path: &Utf8Path) -> &str {
    let beside = path.parent().and_then(Utf8Path::file_name) == Some("hardware");
    path.file_stem().filter(|_| beside).unwrap_or(path.as_str())
}

fn summary(host: &Host) -> String {
    let gpus = match host.gpus.as_slice() {
        [] => "no GPU".to_owned(),
        gpus => {
            let free: Bytes = gpus.iter().map(|gpu| gpu.free).sum();
            format!("{}, {:.0} MiB free", title(gpus), free.mib())
        }
    };
    let speed = |gbs: f64| format!(" at {gbs:.0} GB/s");
    let speed = host.ram.bandwidth_gbs.map_or_else(String::new, speed);
    let ram =
        host.ram.total.map_or_else(String::new, |ram| format!(", {:.0} MiB RAM{speed}", ram.mib()));
    let cores = host.cpu.cores.map_or_else(String::new, |cores| format!(", {cores} cores"));
    format!("{gpus}{ram}{cores}")
}

/// The machine, still without a name, and what its file should say about where the figures are from.
fn found(args: &Detect, terminal: &mut Terminal) -> Result<(Host, Vec<String>), Failure> {
    let name = String::new();
    if args.cpu || !args.gpu.is_empty() {
        let (cpu, ram) = gpu::machine();
        let gpus = gpus(&args.gpu)?;
        let remark = if gpus.is_empty() {
            "Processor and memory as `composegen hardware detect --cpu` found them; the GPUs are not described."
        } else {
            "GPUs as they were named, with figures of the known cards; processor and memory as they were found."
        };
        let host = Host { name, gpus, cpu, ram, driver: None, speed: None };
        return Ok((host, vec![remark.to_owned()]));
    }
    let found = gpu::detect().map_err(|error| {
        Failure::Unresolved(format!(
            "{error}\nhelp: `nvidia-smi` has to work first: after an update of the driver the machine wants a restart, \
             in a container the GPUs have to be passed on\n{BY_HAND}"
        ))
    })?;
    if found.gpus.is_empty() {
        return Err(Failure::Unresolved(format!(
            "{}\nhelp: run this on the machine that has the GPUs\n{BY_HAND}",
            found.notes.join("\n")
        )));
    }
    for note in &found.notes {
        writeln!(terminal.err, "note: {note}")?;
    }
    for (i, gpu) in found.gpus.iter().enumerate() {
        if gpu.free.0 < gpu.memory.0 / 10 * 9 {
            writeln!(
                terminal.err,
                "note: CUDA{i} ({}) had only {:.0} of {:.0} MiB free: stop what uses it and detect again, unless it \
                 always runs beside the server",
                gpu.name,
                gpu.free.mib(),
                gpu.memory.mib()
            )?;
        }
    }
    let source = match found.source {
        Source::Nvml => "NVML",
        Source::NvidiaSmi => "nvidia-smi",
        Source::None => "nothing",
    };
    let remarks = vec![
        format!(
            "As `composegen hardware detect` found it with {source}. The free memory is what was free then, less what"
        ),
        "a CUDA context takes; correct it where other programs come and go.".to_owned(),
    ];
    let (gpus, cpu, ram) = (found.gpus, found.cpu, found.ram);
    let host = Host { name, gpus, cpu, ram, driver: found.driver, speed: None };
    Ok((host, remarks))
}

const BY_HAND: &str = "\
help: or name the cards: `composegen hardware detect --gpu \"RTX 4090\"`; `composegen hardware list` has those that are known
help: or describe them by hand: `composegen hardware detect --cpu` writes this machine without a GPU, and what to fill in";

/// A name that is a file's and nothing else.
fn safe(name: &str) -> Result<(), Failure> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(fine) {
        return Err(Failure::Usage {
            message: format!(
                "`--name {name}`: a file is called after it, so write letters, digits, dots, dashes and underscores; \
                 a path goes into --out"
            ),
        });
    }
    Ok(())
}

/// A known card.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    memory_mib: f64,
    free_mib: f64,
    bandwidth_gbs: f64,
    compute_capability: String,
}

fn list(args: &Cards, terminal: &mut Terminal) -> Result<(), Failure> {
    let rows = known::all().map(|card| Row {
        name: card.name,
        memory_mib: card.memory.mib(),
        free_mib: card.free.mib(),
        bandwidth_gbs: card.bandwidth_gbs,
        compute_capability: card.compute_capability.to_string(),
    });
    let rows: Vec<Row> = rows.collect();
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&rows).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            let head = [
                ("CARD", Align::Left),
                ("MIB", Align::Right),
                ("FREE", Align::Right),
                ("GB/S", Align::Right),
                ("CAPABILITY", Align::Right),
            ];
            let cells = |row: Row| {
                vec![
                    row.name.to_owned(),
                    format!("{:.0}", row.memory_mib),
                    format!("{:.0}", row.free_mib),
                    format!("{:.0}", row.bandwidth_gbs),
                    row.compute_capability,
                ]
            };
            write!(terminal.out, "{}", table(&head, rows.into_iter().map(cells).collect()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::{named, safe};

    #[test]
    fn names_are_files() {
        for name in ["rig", "rtx-4090_b.2"] {
            assert!(safe(name).is_ok(), "{name}");
        }
        for name in ["", "../x", ".x", "-x", "a b", "é", "a/b"] {
            assert!(safe(name).is_err(), "{name}");
        }
        assert_eq!(named(&Utf8PathBuf::from("presets/hardware/a.toml")), "a");
        assert_eq!(named(&Utf8PathBuf::from("a.toml")), "a.toml");
    }
}
