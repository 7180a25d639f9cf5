//! What a build costs: `cargo bench --bench build` prints a table of medians.
//!
//! All presets of the repository in one run of the program, thousands of generated ones, and the bare start. The
//! whole program is timed, process start and writing included; memory is the largest resident size.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark may fail loudly, prints, and prepares its own files"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_composegen");

fn main() {
    // `cargo test` and clippy build benches, too, and ask them to do nothing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!("| what | runs | median ms | largest MiB |\n|---|---|---|---|");
    row("start (`--version`)", 30, |_| command(Path::new("."), &["--version"]));

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let presets: Vec<PathBuf> = toml_files(&root.join("presets"));
    let gpus: Vec<String> = presets
        .iter()
        .map(|path| path.to_str().unwrap().to_owned())
        .filter(|path| !path.ends_with("cpu.toml"))
        .collect();
    let name = format!("all {} presets for one machine, first build", gpus.len());
    row(&name, 10, |dir| {
        let mut args = vec!["build", "--out", dir.to_str().unwrap()];
        args.extend(gpus.iter().map(String::as_str));
        command(root, &args)
    });

    for count in [1_000, 5_000, 10_000] {
        let source = tempfile::tempdir().unwrap();
        let names = generate(source.path(), count);
        row(&format!("{count} generated presets, first build"), 3, |dir| {
            let mut args = vec!["build", "--out", dir.to_str().unwrap()];
            args.extend(names.iter().map(String::as_str));
            command(source.path(), &args)
        });
    }
}

/// Presets that extend one parent, each with values of its own.
fn generate(dir: &Path, count: usize) -> Vec<String> {
    std::fs::create_dir(dir.join("base")).unwrap();
    let parent = "[context]\ncache_type_k = \"q8_0\"\ncache_type_v = \"q8_0\"\n\n[placement]\nlayers = [13, 6]\n";
    std::fs::write(dir.join("base/parent.toml"), parent).unwrap();
    let one = |i: usize| {
        let name = format!("p{i:05}.toml");
        let text = format!(
            "extends = \"base/parent\"\ntitle = \"preset {i}\"\n\n[model]\nfile = \"model-{i}.gguf\"\n\n\
             [context]\nctx_size = {}\n\n[sampling]\ntemp = 0.{}\n",
            4096 + 256 * (i % 100),
            1 + i % 9
        );
        std::fs::write(dir.join(&name), text).unwrap();
        name
    };
    (0..count).map(one).collect()
}

fn toml_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// Runs the program. Returns its largest resident size in MiB, as last seen before it ended.
fn command(dir: &Path, args: &[&str]) -> u64 {
    let mut child = Command::new(PROGRAM)
        .args(args)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{args:?}");
            return peak.div_ceil(1024);
        }
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

fn row(what: &str, runs: usize, run: impl Fn(&Path) -> u64) {
    let mut times = Vec::new();
    let mut memory = 0;
    for _ in 0..=runs {
        let out = tempfile::tempdir().unwrap();
        let start = Instant::now();
        memory = memory.max(run(&out.path().join("out")));
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    // The first run warms the file cache.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!("| {what} | {runs} | {median:.1} | {memory} |");
}
