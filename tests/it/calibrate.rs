//! The speed model beside speeds that were measured, and `calibrate`, which fits it to a machine.
//!
//! `speed/h100.jsonl` is what llama-bench of b11434 printed on one H100, with models whose weights are zeros
//! (`examples/hollow.rs`). An MXFP4 block of zeros has a scale that processors are slow with; such answers are left out.

use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};
use composegen::ledger::{Buffers, Device, Gguf, Key, Llama, Memory, PresetKey, Run, Source, What};
use serde_json::Value;

use crate::repository::root;

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Self { folder };
        fs_err::copy(root().join("tests/it/speed/h100.toml"), machine.hardware()).unwrap();
        machine
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    fn hardware(&self) -> Utf8PathBuf {
        self.path("h100.toml")
    }

    fn import(&self, rows: &Utf8Path) -> Output {
        let ledger = self.path("ledger.jsonl");
        composegen(&[
            "ledger",
            "import",
            "--llama-bench",
            rows.as_str(),
            "--ledger",
            ledger.as_str(),
        ])
    }

    fn calibrate(&self, more: &[&str]) -> Output {
        let (hardware, ledger) = (self.hardware(), self.path("ledger.jsonl"));
        let headers = root().join("tests/it/headers");
        let args = ["calibrate", "--hardware", hardware.as_str(), "--models", headers.as_str()];
        let args = [&args, &["--ledger", ledger.as_str()][..], more].concat();
        composegen(&args)
    }

    fn report(&self) -> Value {
        let output = self.calibrate(&["--format", "json"]);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn composegen(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_composegen")).args(args).output().unwrap()
}

fn rows() -> Utf8PathBuf {
    root().join("tests/it/speed/h100.jsonl")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn the_shipped_constants_are_within_their_error() {
    let machine = Machine::new();
    assert!(machine.import(&rows()).status.success());
    let report = machine.report();
    let error = number(&report["before"]["speed"]["error"]);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 10, "{runs:#?}");
    for run in runs {
        assert!(number(&run["before"]).abs() <= error, "{run}");
    }
    let prompts = report["prompts"].as_array().unwrap();
    assert_eq!(prompts.len(), 17, "{prompts:#?}");
    for prompt in prompts {
        let error = number(&prompt["predicted_tps"]) / number(&prompt["measured_tps"]) - 1.0;
        assert!(error.abs() <= composegen::plan::speed::CONSTANTS.prompt_error, "{prompt}");
    }
}

#[test]
fn what_is_fitted_is_better_on_what_it_was_not_fitted_to_and_counts_from_then_on() {
    let machine = Machine::new();
    assert!(machine.import(&rows()).status.success());
    let again = machine.import(&rows());
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(text.ends_with("0 of 26 runs are new\n"), "{text}");

    let before = machine.report();
    assert!(number(&before["held_out"]["spread"]) < number(&before["before"]["errors"]["spread"]));
    let output = machine.calibrate(&["--write"]);
    assert!(output.status.success(), "{}", said(&output));
    // Two of the models have no header here.
    assert!(said(&output).contains("llama-70b.gguf: no header in --models"), "{}", said(&output));
    let text = fs_err::read_to_string(machine.hardware()).unwrap();
    assert!(
        text.contains("\n# By `composegen calibrate` from 10 runs") && text.contains("\n[speed]\n"),
        "{text}"
    );
    let after = machine.report();
    assert_eq!(after["before"]["speed"], before["after"]["speed"]);

    // And the planner predicts with it.
    let model = root().join("tests/it/headers/qwen3moe-30b.gguf");
    let plan = |hardware: &Utf8Path| {
        let args = ["plan", "--model", model.as_str(), "--hardware", hardware.as_str()];
        let output =
            composegen(&[&args[..], &["--only", "--format", "json", "-c", "4096"]].concat());
        assert!(output.status.success(), "{}", said(&output));
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        (number(&plan["predicted"]["decode_tps"]), number(&plan["predicted"]["error"]))
    };
    let (shipped, _) = plan(&root().join("tests/it/speed/h100.toml"));
    let (fitted, error) = plan(&machine.hardware());
    // 287 tokens/s were measured with all of it on the GPU.
    assert!((fitted - 287.0).abs() < (shipped - 287.0).abs(), "{shipped} {fitted}");
    assert!((error - number(&before["after"]["speed"]["error"])).abs() < 1e-9);
}

#[test]
fn too_few_placements_are_refused_and_nothing_is_written() {
    let machine = Machine::new();
    let few = machine.path("few.jsonl");
    let text = fs_err::read_to_string(rows()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("gemma3")).collect();
    fs_err::write(&few, lines.join("\n")).unwrap();
    assert!(machine.import(&few).status.success());
    let before = fs_err::read_to_string(machine.hardware()).unwrap();
    let output = machine.calibrate(&["--write"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("of fewer than three placements"), "{}", said(&output));
    assert_eq!(fs_err::read_to_string(machine.hardware()).unwrap(), before);
}

#[test]
fn runs_of_other_cards_are_left_out() {
    let machine = Machine::new();
    let other = machine.path("other.jsonl");
    let text = fs_err::read_to_string(rows()).unwrap();
    fs_err::write(&other, text.replace("NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 4090"))
        .unwrap();
    assert!(machine.import(&other).status.success());
    let output = machine.calibrate(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("26 runs are left out: other GPUs"), "{}", said(&output));
}

#[test]
fn what_was_reported_is_left_out() {
    let machine = Machine::new();
    assert!(machine.import(&rows()).status.success());
    let ledger = machine.path("ledger.jsonl");
    let text = fs_err::read_to_string(&ledger).unwrap();
    let line = text.lines().find(|line| line.contains("\"decode\"")).unwrap();
    let said_so = line.replace("\"measured\"", "\"reported\"");
    composegen::store::append(&ledger, &[said_so]).unwrap();
    let output = machine.calibrate(&[]);
    assert!(output.status.success(), "{}", said(&output));
    let why = "1 run is left out: reported, not measured";
    assert!(said(&output).contains(why), "{}", said(&output));
}

/// What a build said that reserves so much more on each GPU than is computed.
fn probe(preset: Option<&str>, ubatch: u64, more: [u64; 2]) -> String {
    let device = |(index, more): (usize, u64)| {
        let predicted = Buffers { model: 1000, context: 100, compute: 500 };
        let probed = Buffers { compute: 500 + more, ..predicted };
        Device { name: format!("CUDA{index}"), predicted: Some(predicted), probed: Some(probed) }
    };
    Run {
        source: Source::Probed,
        what: What::Probe,
        key: Key {
            preset: preset.map(|name| PresetKey { name: name.to_owned(), digest: None }),
            llama: Llama { build: Some(12000), commit: None },
            gguf: Gguf { file: Some("qcn-q4km.gguf".to_owned()), ..Gguf::default() },
            ..Key::default()
        },
        args: vec!["--ubatch-size".to_owned(), ubatch.to_string()],
        memory: Memory {
            devices: more.into_iter().enumerate().map(device).collect(),
            ..Memory::default()
        },
        ..Run::default()
    }
    .to_string()
}

#[test]
fn probes_of_another_build_become_a_profile_that_plans_count_with() {
    let machine = Machine::new();
    let (ledger, profile) = (machine.path("ledger.jsonl"), machine.path("b12000.toml"));
    composegen::store::append(&ledger, &[probe(None, 512, [50, 10]), probe(None, 2048, [180, 60])])
        .unwrap();
    let headers = root().join("tests/it/headers");
    let write = |more: &[&str]| {
        let args = ["calibrate", "--buffers", profile.as_str(), "--models", headers.as_str()];
        composegen(&[&args[..], &["--ledger", ledger.as_str()], more].concat())
    };
    let output = write(&[]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("200 + 60 at 2048"), "{text}");

    let model = headers.join("qcn-q4km.gguf");
    let compute = |profile: Option<&str>| {
        let mut args = vec!["estimate", model.as_str(), "--gpu", "RTX 4090", "--gpu", "RTX 4090"];
        args.extend(["--format", "json"]);
        args.extend(profile.into_iter().flat_map(|file| ["--profile", file]));
        args.extend(["--", "-c", "4096", "-ub", "1024", "--cpu-moe"]);
        let output = composegen(&args);
        assert!(output.stderr.is_empty(), "{}", said(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        [0, 1].map(|gpu| number(&found["devices"][gpu]["compute_mib"]))
    };
    let ([first, second], [more, other]) = (compute(None), compute(Some(profile.as_str())));
    assert_eq!(((more - first).round(), (other - second).round()), (100.0, 30.0));

    let again = write(&[]);
    assert!(!again.status.success(), "a file that is there is not overwritten");
    assert!(write(&["--force"]).status.success());
}

/// A header that lies elsewhere than the models is found by the preset of the run.
#[test]
fn the_preset_of_a_run_names_its_header() {
    let machine = Machine::new();
    let ledger = machine.path("ledger.jsonl");
    let header = root().join("tests/it/headers/qcn-q4km.gguf");
    fs_err::create_dir(machine.path("presets")).unwrap();
    let preset = format!("[model]\nfile = \"qcn-q4km.gguf\"\nheader = \"{header}\"\n");
    fs_err::write(machine.path("presets/own.toml"), preset).unwrap();
    let buffers = |presets: [Option<&str>; 2]| {
        let _ = fs_err::remove_file(&ledger);
        let runs = presets.map(|preset| probe(preset, 512, [50, 10]));
        composegen::store::append(&ledger, &runs).unwrap();
        Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(["calibrate", "--buffers", "b12000.toml", "--ledger", "ledger.jsonl"])
            .current_dir(machine.path(""))
            .output()
            .unwrap()
    };
    let output = buffers([None, Some("lost")]);
    assert!(!output.status.success(), "{}", said(&output));
    // What is not found without the preset is looked for again with it.
    let output = buffers([None, Some("own")]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("no header in --models").count(), 1, "{}", said(&output));
}
