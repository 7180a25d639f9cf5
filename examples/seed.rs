//! What was measured in February 2026 (`presets/*.toml`) beside what is computed, as tables for the documentation.
//!
//! `seed --headers DIR`: DIR holds headers of Qwen3-Coder-Next as `qcn-q4km`, `qcn-q5km`, `qcn-q6k` and `qcn-ud6`
//! (in parts or not). To be run where `presets/` is. Ends with 1 where a strategy or an attempt went otherwise than computed.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use composegen::gguf::{self, Model, inspect};
use composegen::hardware::Host;
use composegen::plan::memory::{Estimate, Request, estimate};
use composegen::plan::pattern::override_string;
use composegen::plan::placement::{Granularity, Task, place};
use composegen::plan::speed::System;
use composegen::preset::record::Outcome;
use composegen::preset::resolve::Library;
use composegen::preset::value;
use composegen::profile::Profile;
use composegen::strategy::Strategy;
use composegen::units::Bytes;

/// The strategies, and the headers to compute them with. That of `UD-Q5_K_XL` is not at hand: `Q5_K_M` stands in for it.
const STRATEGIES: [(&str, &str); 7] = [
    ("q5-64k", "qcn-q5km"),
    ("q5-256k", "qcn-q5km"),
    ("ud-q5", "qcn-q5km"),
    ("q6", "qcn-q6k"),
    ("ud-q6", "qcn-ud6"),
    ("ud-q6-kv-q4", "qcn-ud6"),
    ("q4-64k", "qcn-q4km"),
];

/// MiB of the whole cache as they were written down: type, context, figure.
const CACHES: [(&str, u64, f64); 8] = [
    ("Q8_0", 65_536, 816.0),
    ("Q8_0", 131_072, 1632.0),
    ("Q8_0", 262_144, 3264.0),
    ("Q4_0", 65_536, 408.0),
    ("Q4_0", 131_072, 816.0),
    ("Q4_0", 262_144, 1632.0),
    ("Q5_0", 262_144, 2448.0),
    ("F16", 262_144, 6528.0),
];

fn find(model: &str, folder: &Utf8Path) -> Result<Model, String> {
    let entries = folder.read_dir_utf8().map_err(|e| format!("{folder}: {e}"))?;
    let mut files: Vec<Utf8PathBuf> =
        entries.flatten().map(camino::Utf8DirEntry::into_path).collect();
    files.sort();
    let split = format!("{model}-00001-of-");
    let named =
        |f: &&Utf8PathBuf| f.file_stem().is_some_and(|s| s == model || s.starts_with(&split));
    let file = files.iter().find(named).ok_or_else(|| format!("no header of {model}"))?;
    gguf::open(file).map_err(|e| e.to_string())
}

fn preset(name: &str) -> Result<Strategy, String> {
    let load = |path: &Utf8Path| fs_err::read_to_string(path);
    let mut library = Library::new(&load);
    let path = Utf8PathBuf::from(format!("presets/{name}.toml"));
    let resolved = library.resolve(&path).map_err(|e| e.to_string())?;
    Strategy::new(&resolved, None).ok_or_else(|| format!("{path} is no strategy"))
}

/// The strategy's own command, with other layers where they are given.
fn request(strategy: &Strategy, layers: &[u32]) -> Result<Request, String> {
    let mut args = strategy.args_without(&["--override-tensor", "--fit"]);
    let devices: Vec<String> = (0..layers.len()).map(|i| format!("CUDA{i}")).collect();
    args.extend(["--override-tensor".to_owned(), override_string(layers, &devices)]);
    Request::from_args(&args).map_err(|e| e.to_string())
}

fn joined<T: ToString>(list: &[T], with: &str) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(with)
}

fn mib(found: &Estimate, of: impl Fn(&composegen::plan::memory::DeviceMemory) -> f64) -> String {
    found.devices.iter().map(|d| format!("{:.0}", of(d))).collect::<Vec<_>>().join(" / ")
}

/// One run: a strategy's own layers, or those of an attempt.
struct Run<'a> {
    strategy: &'a Strategy,
    layers: &'a [u32],
    /// The device that ran out of memory.
    failed: Option<&'a str>,
    weights: Option<&'a [u32]>,
}

impl Run<'_> {
    /// What is left on each device; where weights were measured those count, so that a stand-in for a header does not.
    fn left(&self, found: &Estimate) -> Vec<f64> {
        let devices = found.devices.iter().enumerate();
        let weights = |i: usize, computed: f64| {
            self.weights.and_then(|w| w.get(i)).map_or(computed, |mib| f64::from(*mib))
        };
        devices
            .map(|(i, d)| {
                d.free.mib() - weights(i, d.model.mib()) - d.context.mib() - d.compute.mib()
            })
            .collect()
    }

    /// Whether it went as computed: with room everywhere, or out of memory first on this device.
    fn agrees(&self, left: &[f64]) -> bool {
        let first = left.iter().position(|mib| *mib < 0.0);
        first.map(|i| format!("CUDA{i}")).as_deref() == self.failed
    }
}

fn strategies(folder: &Utf8Path, profile: &Arc<Profile>) -> Result<(String, u32), String> {
    let mut text = format!(
        "| strategy | layers | it | weights, measured | computed | compute today | left today | left with `{}` | agrees |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        profile.name
    );
    let mut cards = "| strategy | cards in use, measured | computed with the profile | other programs, driver |\n|---|---|---|---|\n".to_owned();
    let mut disagree = 0;
    for (name, header) in STRATEGIES {
        let strategy = preset(name)?;
        let model = find(header, folder)?;
        let host = host(&strategy)?;
        let measured = strategy.measured.first();
        let weights = measured.and_then(|m| value(&m.weights_mib)).map(Vec::as_slice);
        let own = Run { strategy: &strategy, layers: &strategy.layers, failed: None, weights };
        let mut runs = vec![own];
        for attempt in &strategy.attempts {
            let layers = value(&attempt.layers).map(Vec::as_slice).unwrap_or_default();
            let out = value(&attempt.outcome) == Some(&Outcome::OutOfMemory);
            let failed = value(&attempt.device).map(String::as_str).filter(|_| out);
            runs.push(Run { strategy: &strategy, layers, failed, weights: None });
        }
        for (i, run) in runs.iter().enumerate() {
            let mut request = request(run.strategy, run.layers)?;
            let today = estimate(&model, &host.gpus, &request).map_err(|e| e.to_string())?;
            request.profile = Some(profile.clone());
            let then = estimate(&model, &host.gpus, &request).map_err(|e| e.to_string())?;
            let (now, left) = (run.left(&today), run.left(&then));
            // With the header alone it has to hold, too.
            let bare = Run { weights: None, ..*run };
            let agrees = run.agrees(&left) && (i > 0 || bare.agrees(&bare.left(&then)));
            disagree += u32::from(!agrees);
            let round = |list: &[f64]| {
                list.iter().map(|n| format!("{n:.0}")).collect::<Vec<_>>().join(" / ")
            };
            _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                if i == 0 { strategy.label.as_deref().unwrap_or("-") } else { "" },
                joined(run.layers, "+"),
                run.failed
                    .map_or_else(|| "ran".to_owned(), |on| format!("ran out of memory on {on}")),
                run.weights.map_or_else(|| "-".to_owned(), |w| joined(w, " / ")),
                mib(&today, |d| d.model.mib()),
                mib(&today, |d| d.compute.mib()),
                round(&now),
                round(&left),
                if agrees { "yes" } else { "NO" },
            );
            if let Some(vram) = measured.and_then(|m| value(&m.vram_mib)).filter(|_| i == 0) {
                let sums: Vec<f64> =
                    host.gpus.iter().zip(&left).map(|(gpu, left)| gpu.free.mib() - left).collect();
                let rest: Vec<f64> =
                    vram.iter().zip(&sums).map(|(card, sum)| f64::from(*card) - sum).collect();
                _ = writeln!(
                    cards,
                    "| {} | {} | {} | {} |",
                    strategy.label.as_deref().unwrap_or("-"),
                    joined(vram, " / "),
                    round(&sums),
                    round(&rest)
                );
            }
        }
    }
    Ok((format!("{text}\n{cards}"), disagree))
}

fn host(strategy: &Strategy) -> Result<&Host, String> {
    strategy.host.as_deref().ok_or_else(|| "a preset without hardware".to_owned())
}

fn caches(folder: &Utf8Path) -> Result<String, String> {
    let model = find("qcn-q6k", folder)?;
    let strategy = preset("q6")?;
    let state = inspect(&model).caches.state_per_slot;
    let mut text = "| cache | context | written down | computed |\n|---|---|---|---|\n".to_owned();
    for (ty, context, written) in CACHES {
        let (context_word, ty) = (context.to_string(), ty.to_lowercase());
        let args =
            ["-c", &context_word, "-ctk", &ty, "-ctv", &ty, "-np", "1", "-fa", "on", "-cmoe"];
        let request = Request::from_args(&args).map_err(|e| e.to_string())?;
        let found =
            estimate(&model, &host(&strategy)?.gpus, &request).map_err(|e| e.to_string())?;
        let all: Bytes = found.devices.iter().map(|device| device.context).sum();
        let computed = all.saturating_sub(state).mib();
        _ = writeln!(text, "| {ty} | {}K | {written:.0} | {computed:.0} |", context / 1024);
    }
    Ok(text)
}

fn plans(folder: &Utf8Path, profile: &Arc<Profile>) -> Result<String, String> {
    let margins = [0, 256, 512, 1024];
    let mut text = "| strategy | by hand |".to_owned();
    for margin in margins {
        _ = write!(text, " margin {margin} |");
    }
    text.push_str(" today, margin 256 |\n|---|---|---|---|---|---|---|\n");
    for (name, header) in STRATEGIES {
        let strategy = preset(name)?;
        let model = find(header, folder)?;
        let host = host(&strategy)?;
        _ = write!(
            text,
            "| {} | {} |",
            strategy.label.as_deref().unwrap_or("-"),
            joined(&strategy.layers, "+")
        );
        for (margin, profile) in
            margins.map(|m| (m, Some(profile))).into_iter().chain([(256, None)])
        {
            let mut request = request(&strategy, &[])?;
            request.overrides.clear();
            request.profile = profile.cloned();
            let margin = [Bytes::from_mib(margin)];
            let task = Task {
                model: &model,
                gpus: &host.gpus,
                system: System::of(host),
                ram: None,
                request: &request,
                margin: &margin,
                granularity: Granularity::Layer,
                layers: &[],
            };
            let found = place(&task).map_err(|e| e.to_string())?;
            let layers: Vec<u32> = found.slices.iter().map(|slice| slice.resident).collect();
            _ = write!(text, " {} |", joined(&layers, "+"));
        }
        text.push('\n');
    }
    Ok(text)
}

fn run() -> Result<(String, u32), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [flag, folder] = args.as_slice() else { return Err("seed --headers DIR".to_owned()) };
    if flag != "--headers" {
        return Err(format!("{flag}: there is only --headers DIR"));
    }
    let folder = Utf8Path::new(folder);
    let profile = Profile::named("seed-2026-02").ok_or("no such profile")?;
    let (strategies, disagree) = strategies(folder, &profile)?;
    Ok((format!("{strategies}\n{}\n{}", caches(folder)?, plans(folder, &profile)?), disagree))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
fn main() -> ExitCode {
    match run() {
        Ok((text, disagree)) => {
            print!("{text}");
            if disagree == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
