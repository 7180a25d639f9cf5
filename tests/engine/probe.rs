//! `composegen probe` against the real llama-server of the image that `.ci/cpu-image` makes.

use std::process::{Command, Output};

use crate::Case;
use crate::engine::Engine;
use crate::{strategy, tools};

pub(crate) const CASES: &[Case] = &[("probe::asks_and_leaves_nothing", asks_and_leaves_nothing)];

/// One after the other: each looks whether a container is left.
fn asks_and_leaves_nothing(engine: &Engine) {
    let image = strategy::image(engine).unwrap();
    llama_cpp_says_what_it_takes(engine, &image);
    the_answer_is_kept(engine, &image);
    a_plans_answer_is_kept(engine, &image);
    what_it_refuses_is_shown(engine, &image);
    interrupted_it_leaves_nothing(engine, &image);
}

const PRESET: &str = "tests/engine/presets/smollm2.toml";

fn command(engine: &Engine, image: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
    let model = tools::target("engines/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["probe", PRESET, "--format", "json"]);
    command.args(["--no-ledger", "--image", image, "--model"]).arg(model).arg("--").args(flags);
    engine.reach(&mut command);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Containers of probes, running or not.
fn left(engine: &Engine) -> String {
    let filter = "label=dev.composegen.probe";
    String::from_utf8(engine.run(&["ps", "--all", "--quiet", "--filter", filter])).unwrap()
}

/// An engine at work lists a container for a moment that it is removing.
#[track_caller]
fn nothing_is_left(engine: &Engine) {
    let begun = std::time::Instant::now();
    while !left(engine).is_empty() {
        assert!(begun.elapsed().as_secs() < 20, "{}", left(engine));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

fn llama_cpp_says_what_it_takes(engine: &Engine, image: &str) {
    let output = command(engine, image, &["--ctx-size", "2048"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let host = report.pointer("/devices/0").unwrap();
    assert_eq!(host.get("name").unwrap(), "Host");
    // 92 MiB of weights, and at 2048 tokens 45 of cache: 2 * 30 blocks * 192 values * 2 bytes a token.
    assert_eq!(host.get("model").unwrap(), 92);
    assert_eq!(host.get("context").unwrap(), 45);
    assert_eq!(report.get("equal").unwrap(), true, "{report}");
    nothing_is_left(engine);
}

/// In a folder of its own: one line for one answer, found again by `estimate`.
fn the_answer_is_kept(engine: &Engine, image: &str) {
    let strategy = strategy::Strategy::new(engine, "");
    let probe = || strategy.run(&["probe", "server.toml", "--image", image]);
    probe().ends(0, "kept in ledger.jsonl");
    let again = probe().ends(0, "the estimate says the same");
    assert!(!again.err.contains("kept in"), "{again}");
    let text = fs_err::read_to_string(strategy.path().join("ledger.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 1);
    let run: serde_json::Value = serde_json::from_str(&text).unwrap();
    let is = |pointer: &str| run.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!((is("/what"), is("/source")), ("probe".into(), "probed".into()));
    assert_eq!(is("/key/llama/build"), 11434);
    assert_eq!(is("/memory/devices/0/name"), "Host");
    assert_eq!(is("/memory/devices/0/predicted"), is("/memory/devices/0/probed"));
    let identity = engine.run(&["image", "inspect", "--format", "{{.Id}}", image]);
    assert_eq!(is("/key/image"), String::from_utf8(identity).unwrap().trim());

    let model = strategy::models().join(strategy::MODEL);
    let hardware = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/presets/hardware/amd64.toml");
    let flags = ["--", "-c", "4096", "-np", "1", "--cache-ram", "256"];
    let estimate = [&["estimate", model.to_str().unwrap(), "--hardware", hardware][..], &flags];
    strategy.run(&estimate.concat()).ends(0, "llama.cpp b11434 said the same on every device");
}

/// `plan --exact` keeps what it was told as `probe` does, and `--no-ledger` keeps nothing.
fn a_plans_answer_is_kept(engine: &Engine, image: &str) {
    let strategy = strategy::Strategy::new(engine, "");
    let ledger = strategy.path().join("ledger.jsonl");
    let plan = ["plan", "server.toml", "--exact", "--image", image];
    let output = strategy.run(&[&plan[..], &["--no-ledger"]].concat()).ends(0, "PROBED");
    assert!(!ledger.exists(), "{output}");
    strategy.run(&plan).ends(0, "kept in ledger.jsonl");
    let again = strategy.run(&plan).ends(0, "PROBED");
    assert!(!again.err.contains("kept in"), "{again}");
    let text = fs_err::read_to_string(ledger).unwrap();
    let run: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(run.pointer("/what").unwrap(), "probe");
    assert_eq!(run.pointer("/memory/devices/0/predicted"), run.pointer("/memory/devices/0/probed"));
}

fn what_it_refuses_is_shown(engine: &Engine, image: &str) {
    let output = command(engine, image, &["--no-such-flag"]).output().unwrap();
    assert_eq!(output.status.code(), Some(14));
    assert!(said(&output).contains("--no-such-flag"), "{}", said(&output));
    let output = command(engine, image, &["--pooling", "sideways"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("does not take this plan"), "{}", said(&output));
    let output = command(engine, "composegen/no-such:image", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--image"), "{}", said(&output));
    nothing_is_left(engine);
}

fn interrupted_it_leaves_nothing(engine: &Engine, image: &str) {
    let mut child =
        command(engine, image, &[]).stdout(std::process::Stdio::null()).spawn().unwrap();
    // Until its container is there; where it is faster than we look, it has ended by itself.
    while left(engine).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let id = child.id().to_string();
    Command::new("kill").args(["-INT", &id]).status().unwrap();
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    nothing_is_left(engine);
}
