//! How far the memory estimate is from what llama-server says itself.
//!
//! `accuracy [--headers DIR]... [--worst N] FILE.jsonl...`: one row per line, as the oracle writes them:
//! `model` (a file in a directory of headers), `gpus` (`TOTAL:FREE:CAPABILITY,...` in MiB) or `rig`,
//! `args`, and `devices` with MiB truncated to whole numbers.
#![allow(clippy::format_push_string, reason = "a program for the terminal")]

#[path = "oracle/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use composegen::gguf::{self, Model};
use composegen::plan::memory::{Estimate, Request, estimate};
use composegen::units::Bytes;

use rows::{Measured, RIGS, Row, find, gpus};

/// Differences of one row, in MiB, estimated minus measured.
struct Case {
    text: String,
    /// Largest difference of whole MiB in weights, and in context.
    model: i64,
    context: i64,
    /// Per device: the difference of the total, its share, and the measured total.
    totals: Vec<(f64, f64, f64)>,
    host: f64,
    detail: String,
}

fn compare(row: &Row, found: &Estimate) -> Case {
    let mut case = Case {
        text: format!(
            "{} {} {}",
            row.model,
            row.rig.as_deref().or(row.gpus.as_deref()).unwrap_or_default(),
            row.args.join(" ")
        ),
        model: 0,
        context: 0,
        totals: Vec::new(),
        host: 0.0,
        detail: String::new(),
    };
    let whole = |bytes: Bytes| i64::try_from(bytes.0 >> 20).unwrap_or(i64::MAX);
    let signed = |mib: u64| i64::try_from(mib).unwrap_or(i64::MAX);
    let host = &found.host;
    let all = found
        .devices
        .iter()
        .map(|device| (device.name.as_str(), device.model, device.context, device.compute))
        .chain([("Host", host.model, host.context, host.compute)]);
    for (name, model, context, compute) in all {
        let Some(measured) = row.devices.get(name) else { continue };
        let differs = |a: i64, b: i64| if a.abs() > b.abs() { a } else { b };
        let (dm, dc) =
            (whole(model) - signed(measured.model), whole(context) - signed(measured.context));
        let dk = whole(compute) - signed(measured.compute);
        case.model = differs(dm, case.model);
        case.context = differs(dc, case.context);
        let Measured { model, context, compute } = *measured;
        _ = write!(case.detail, " {name}: {model}{dm:+} {context}{dc:+} {compute}{dk:+}");
        let total = (measured.model + measured.context + measured.compute) as f64;
        let off = (dm + dc + dk) as f64;
        if name == "Host" {
            case.host = off;
        } else {
            case.totals.push((off, off / total.max(1.0), total));
        }
    }
    case
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = ((sorted.len().max(1) - 1) as f64 * q).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

fn report(cases: &[Case], worst: usize, time: Duration) -> String {
    let mut share: Vec<f64> =
        cases.iter().flat_map(|case| &case.totals).map(|total| total.1.abs()).collect();
    share.sort_by(f64::total_cmp);
    let too_low =
        |case: &Case| case.totals.iter().any(|(off, _, total)| -off > (total * 0.01).max(64.0));
    let mut host: Vec<f64> = cases.iter().map(|case| case.host.abs()).collect();
    host.sort_by(f64::total_cmp);
    let mut text = format!(
        "{} rows, {} devices, {:.0} us per estimate\n\
         weights differ in {} rows, context in {}, any device's total in {}\n\
         total per device: median {:.3} %, 90 % {:.3} %, 99 % {:.3} %, worst {:.3} %\n\
         too low by more than 1 % and 64 MiB: {} rows; host off by more than 1 MiB in {} rows (99 %: {} MiB)\n",
        cases.len(),
        share.len(),
        time.as_secs_f64() * 1e6 / cases.len().max(1) as f64,
        cases.iter().filter(|case| case.model != 0).count(),
        cases.iter().filter(|case| case.context != 0).count(),
        cases.iter().filter(|case| case.totals.iter().any(|total| total.0 != 0.0)).count(),
        quantile(&share, 0.5) * 100.0,
        quantile(&share, 0.9) * 100.0,
        quantile(&share, 0.99) * 100.0,
        quantile(&share, 1.0) * 100.0,
        cases.iter().filter(|case| too_low(case)).count(),
        host.iter().filter(|off| **off > 1.0).count(),
        quantile(&host, 0.99),
    );
    let badness = |case: &Case| {
        let total = case.totals.iter().map(|total| total.1.abs()).fold(0.0, f64::max);
        total
            + 1000.0 * f64::from(u8::from(case.model != 0 || case.context != 0))
            + case.host.abs() * 1e-9
    };
    let mut order: Vec<&Case> = cases.iter().filter(|case| badness(case) > 0.0).collect();
    order.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
    for case in order.iter().take(worst) {
        _ = writeln!(text, "{}\n   {}", case.text, case.detail);
    }
    text
}

fn run() -> Result<String, String> {
    let mut folders = Vec::new();
    let mut files = Vec::new();
    let mut worst = 10;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--headers" => folders.push(Utf8PathBuf::from(value()?)),
            "--worst" => worst = value()?.parse().map_err(|_| "--worst needs a number")?,
            _ => files.push(Utf8PathBuf::from(arg)),
        }
    }
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    let mut cases = Vec::new();
    let mut time = Duration::ZERO;
    let mut failed = BTreeMap::new();
    for file in &files {
        let text = fs_err::read_to_string(file).map_err(|e| e.to_string())?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let row: Row = serde_json::from_str(line).map_err(|e| format!("{file}: {e}"))?;
            if row.devices.is_empty() {
                continue;
            }
            let rig = || RIGS.iter().find(|rig| Some(rig.0) == row.rig.as_deref()).map(|rig| rig.1);
            let text = row.gpus.as_deref().or_else(rig).ok_or("a row without gpus")?;
            let gpus = gpus(text)?;
            if !models.contains_key(&row.model) {
                let path = find(&row.model, &folders)?;
                let model = gguf::open(Utf8Path::new(&path)).map_err(|e| e.to_string())?;
                models.insert(row.model.clone(), model);
            }
            let Some(model) = models.get(&row.model) else { continue };
            let request = Request::from_args(&row.args).map_err(|e| e.to_string())?;
            let start = Instant::now();
            let found = estimate(model, &gpus, &request);
            time += start.elapsed();
            match found {
                Ok(found) => cases.push(compare(&row, &found)),
                Err(error) => *failed.entry(format!("{}: {error}", row.model)).or_insert(0) += 1,
            }
        }
    }
    let mut text = report(&cases, worst, time);
    for (why, rows) in failed {
        _ = writeln!(text, "{rows} rows: {why}");
    }
    Ok(text)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
