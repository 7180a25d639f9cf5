//! What a probe left in the ledger, as `estimate` and `plan` find it again.

use std::process::{Command, Output};

use camino::Utf8PathBuf;
use composegen::gguf;
use composegen::ledger::{Buffers, Device, Gguf, Key, Llama, Memory, Run, Source, What};
use composegen::preset::resolve::Library;
use composegen::store;
use composegen::strategy::Strategy;

use crate::repository::root;

const FLAGS: &[&str] = &["--ctx-size", "8192", "--fit", "off", "--n-gpu-layers", "20"];

fn header() -> Utf8PathBuf {
    root().join("tests/it/headers/qwen3moe-30b.gguf")
}

/// What b11434 was asked about this model.
fn probe() -> Run {
    let model = gguf::open(&header()).unwrap();
    Run {
        source: Source::Probed,
        what: What::Probe,
        key: Key {
            llama: Llama { build: Some(11434), commit: None },
            gguf: Gguf {
                header: Some(gguf::digest(&header(), &model.parts).unwrap()),
                ..Gguf::default()
            },
            ..Key::default()
        },
        ..Run::default()
    }
}

fn estimate(folder: &std::path::Path, gpu: &str, flags: &[&str]) -> serde_json::Value {
    let said = run(folder, &["--format", "json"], gpu, flags);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

fn run(folder: &std::path::Path, options: &[&str], gpu: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
    let model = header();
    command.current_dir(folder).args(["estimate", model.as_str(), "--gpu", gpu]);
    command.args(options).arg("--").args(flags).output().unwrap()
}

#[test]
fn the_same_question_finds_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let gpu = "24564:23671:8.9";
    let before = estimate(folder.path(), gpu, FLAGS);
    assert!(before.get("probed").is_none());
    let mib = |what: &str, device: usize| -> u64 {
        let mib = before.pointer(&format!("/devices/{device}/{what}_mib")).unwrap();
        // As llama.cpp prints them.
        format!("{:.0}", mib.as_f64().unwrap().floor()).parse().unwrap()
    };
    let device = |name: &str, at: usize| Device {
        name: name.to_owned(),
        predicted: None,
        probed: Some(Buffers {
            model: mib("model", at),
            context: mib("context", at),
            compute: mib("compute", at),
        }),
    };
    let probe = Run {
        at: Some("2026-11-24T10:30:00Z".parse().unwrap()),
        // Other words for the same.
        args: ["-ngl", "20", "-c", "8192", "--jinja"].map(str::to_owned).to_vec(),
        gpus: vec![gpu.to_owned()],
        memory: Memory {
            devices: vec![device("CUDA0", 0), device("Host", 1)],
            ..Memory::default()
        },
        ..probe()
    };
    let ledger = Utf8PathBuf::from_path_buf(folder.path().join("ledger.jsonl")).unwrap();
    store::append(&ledger, &[probe.to_string()]).unwrap();
    let found = estimate(folder.path(), gpu, FLAGS);
    assert_eq!(found.pointer("/probed/equal"), Some(&true.into()), "{found}");
    let said = run(folder.path(), &[], gpu, FLAGS);
    let said = String::from_utf8(said.stdout).unwrap();
    let line = "llama.cpp b11434 said the same on every device (probed 2026-11-24)";
    assert!(said.contains(line), "{said}");

    // Another card, another context, another file beside the model: other questions.
    for (gpu, flags) in [
        ("24564:23000:8.9", FLAGS.to_vec()),
        (gpu, [FLAGS, &["--ctx-size", "4096"]].concat()),
        (gpu, [FLAGS, &["--mmproj", "x.gguf"]].concat()),
    ] {
        assert!(estimate(folder.path(), gpu, &flags).get("probed").is_none(), "{flags:?}");
    }

    // The newest counts, and what is not the same is shown.
    let mut later = probe.clone();
    later.memory.devices[0].probed.as_mut().unwrap().compute += 7;
    store::append(&ledger, &[later.to_string()]).unwrap();
    let said = run(folder.path(), &[], gpu, FLAGS);
    let said = String::from_utf8(said.stdout).unwrap();
    let compute = mib("compute", 0) + 7;
    let line = format!("said otherwise (probed 2026-11-24): CUDA0 {} + ", mib("model", 0));
    assert!(said.contains(&line) && said.contains(&format!(" + {compute}, Host")), "{said}");
}

/// The page names the probe as the source of what it shows.
#[test]
fn the_report_says_that_it_was_probed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    fs_err::create_dir_all(dir.join("presets/hardware")).unwrap();
    let card = "[[gpu]]\nmemory_mib = 24564\nfree_mib = 23671\ncompute_capability = \"8.9\"\n";
    fs_err::write(dir.join("presets/hardware/box.toml"), card).unwrap();
    let preset = dir.join("presets/one.toml");
    let text = format!(
        "hardware = \"box\"\n\n[model]\nfile = \"m.gguf\"\nheader = {:?}\n\n[context]\nctx_size = 8192\n\n[placement]\n\
         n_gpu_layers = 20\n",
        header().as_str()
    );
    fs_err::write(&preset, text).unwrap();
    let report = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
        let output = command.current_dir(&dir).args(["report", "--out", "-"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let load = |path: &camino::Utf8Path| fs_err::read_to_string(path);
    let resolved = Library::new(&load).resolve(&preset).unwrap();
    let strategy = Strategy::new(&resolved, None).unwrap();
    let probe = Run {
        args: strategy.args_without(&[]),
        gpus: vec!["24564:23671:8.9".to_owned()],
        ..probe()
    };
    let ledger = dir.join("ledger.jsonl");
    let other = Run { gpus: vec!["24564:23000:8.9".to_owned()], ..probe.clone() };
    store::append(&ledger, &[other.to_string()]).unwrap();
    assert!(!report().contains("b11434"), "a probe of another card");
    store::append(&ledger, &[probe.to_string()]).unwrap();
    let page = report();
    assert!(page.contains("llama.cpp b11434 said the same on every device"), "{page}");
}
