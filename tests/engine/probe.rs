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
    what_it_refuses_is_shown(engine, &image);
    interrupted_it_leaves_nothing(engine, &image);
}

const PRESET: &str = "tests/engine/presets/smollm2.toml";

fn command(engine: &Engine, image: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
    let model = tools::target("engines/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["probe", PRESET, "--format", "json"]);
    command.arg("--model").arg(model).args(["--image", image, "--"]).args(flags);
    if let Some(host) = &engine.host {
        command.env("DOCKER_HOST", host);
    }
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
    assert_eq!(left(engine), "");
}

fn what_it_refuses_is_shown(engine: &Engine, image: &str) {
    let output = command(engine, image, &["--no-such-flag"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--no-such-flag"), "{}", said(&output));
    let output = command(engine, "composegen/no-such:image", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--image"), "{}", said(&output));
    assert_eq!(left(engine), "");
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
    assert_eq!(left(engine), "");
}
