//! `plan` and `estimate` as a user meets them, and what every placement promises.

use std::process::{Command, Output};

use camino::Utf8PathBuf;
use composegen::gguf::{self, Model};
use composegen::hardware::Gpu;
use composegen::plan::memory::{Request, estimate};
use composegen::plan::pattern::{Overrides, Verdict, claims};
use composegen::plan::placement::{Granularity, Placement, Task, place};
use composegen::plan::speed::System;
use composegen::units::Bytes;

use crate::repository::{root, snapshots};

fn header(name: &str) -> Utf8PathBuf {
    root().join("tests/it/headers").join(name)
}

fn model(name: &str) -> Model {
    gguf::open(&header(name)).unwrap()
}

const UD6: &str = "qcn-ud6-00001-of-00003.gguf";

fn gpu(total: u64, free: u64, gbs: f64) -> Gpu {
    Gpu {
        name: String::new(),
        memory: Bytes::from_mib(total),
        free: Bytes::from_mib(free),
        compute_capability: "8.9".parse().unwrap(),
        bandwidth_gbs: Some(gbs),
        pci: None,
        uuid: None,
        remote: None,
    }
}

fn request(flags: &str) -> Request {
    let words: Vec<&str> = flags.split_whitespace().collect();
    Request::from_args(&words).unwrap()
}

fn placed(model: &Model, gpus: &[Gpu], request: &Request, granularity: Granularity) -> Placement {
    let margin = [Bytes::from_mib(1024)];
    let task = Task {
        model,
        gpus,
        system: System { ram_gbs: Some(50.0), ..System::default() },
        ram: None,
        request,
        margin: &margin,
        granularity,
        layers: &[],
    };
    place(&task).unwrap()
}

/// Every placement is what llama.cpp would make of the request it hands out, and its rules are what they say.
#[test]
fn promises_of_every_placement() {
    let rigs = [
        vec![gpu(24564, 23671, 1008.0), gpu(16303, 12761, 896.0)],
        vec![gpu(12288, 11900, 360.0), gpu(24576, 24000, 936.0)],
        vec![gpu(8192, 7900, 448.0)],
        vec![gpu(16384, 15900, 500.0); 3],
    ];
    let requests = [
        "-c 65536 -ub 512 -np 1 -fa on -ctk q8_0 -ctv q8_0",
        "-c 131072 -ub 2048 -np 2 -fa on",
        "-c 16384 -ub 512 -fa on -ot token_embd=CPU",
    ];
    for file in [UD6, "gpt-oss-20b.gguf", "gemma3-27b.gguf", "qwen3moe-30b.gguf"] {
        let model = model(file);
        for rig in &rigs {
            for flags in requests {
                let request = request(flags);
                for granularity in [Granularity::Layer, Granularity::Tensor] {
                    let plan = placed(&model, rig, &request, granularity);
                    let what = format!("{file} {flags} {granularity:?} {:?}", plan.tensor_split);
                    promises(&model, rig, &request, &plan, &what);
                }
            }
        }
    }
}

fn promises(model: &Model, rig: &[Gpu], asked: &Request, plan: &Placement, what: &str) {
    assert_eq!(estimate(model, rig, &plan.request).unwrap(), plan.estimate, "{what}");
    if plan.fits {
        for device in &plan.estimate.devices {
            assert!(device.total() + Bytes::from_mib(1024) <= device.free, "{what}");
        }
    }
    let on_gpus: u32 = plan.tensor_split.iter().sum();
    assert!(on_gpus <= model.block_count + 1, "{what}");
    assert!(plan.rules.len() <= 2 * rig.len() + 2, "{what}: {:?}", plan.rules);
    if plan.rules.is_empty() {
        return;
    }
    assert_eq!(plan.request.overrides[..asked.overrides.len()], asked.overrides[..], "{what}");
    let value: Vec<String> =
        plan.rules.iter().map(|rule| format!("{}={}", rule.pattern, rule.buffer)).collect();
    let overrides: Overrides = value.join(",").parse().unwrap();
    let claims = claims(&overrides, model.tensors.iter().map(|t| t.name.as_str())).unwrap();
    for (claim, rule) in claims.rules.iter().zip(&plan.rules) {
        assert_eq!(claim.verdict(), Verdict::Decides, "{what}: {rule:?}");
        assert!(claim.lost.is_empty(), "{what}: {rule:?}");
        if rule.layers.is_empty() {
            continue;
        }
        let tensors = || claim.names.iter().map(|name| model.tensor(name).unwrap());
        assert!(tensors().all(|tensor| tensor.base().contains("exps")), "{what}: {rule:?}");
        let mut layers: Vec<u32> = tensors().filter_map(|tensor| tensor.layer).collect();
        layers.sort_unstable();
        layers.dedup();
        assert_eq!(layers, rule.layers, "{what}");
    }
}

#[test]
fn single_tensors_never_place_less_than_whole_layers() {
    let model = model(UD6);
    let rig = [gpu(24564, 23671, 1008.0), gpu(16303, 12761, 896.0)];
    for flags in ["-c 65536", "-c 131072", "-c 262144"] {
        let request = request(&format!("{flags} -ub 2048 -np 1 -fa on -ctk q8_0 -ctv q8_0"));
        let layer = placed(&model, &rig, &request, Granularity::Layer);
        let tensor = placed(&model, &rig, &request, Granularity::Tensor);
        assert!(layer.fits && tensor.fits);
        assert!(tensor.experts_placed >= layer.experts_placed, "{flags}");
        assert!(layer.slices.iter().all(|slice| slice.partial.is_none()));
    }
}

/// What is left on each GPU is less than the smallest tensor of experts that stayed in system memory, or the plan says why.
#[test]
fn single_tensors_fill_every_gpu() {
    let rigs = [
        vec![gpu(24564, 23671, 1008.0), gpu(16303, 12761, 896.0)],
        vec![gpu(12288, 11900, 360.0), gpu(24576, 24000, 936.0)],
        vec![gpu(16384, 15900, 500.0); 3],
        vec![gpu(24564, 23900, 1008.0)],
    ];
    let mut filled = 0_u32;
    for file in [UD6, "gpt-oss-20b.gguf", "qwen3moe-30b.gguf"] {
        let model = model(file);
        for rig in &rigs {
            for flags in ["-c 65536 -ub 2048", "-c 131072 -ub 512", "-c 262144 -ub 2048"] {
                let request = request(&format!("{flags} -b 2048 -np 1 -fa on -ctk q8_0 -ctv q8_0"));
                let plan = placed(&model, rig, &request, Granularity::Tensor);
                assert!(plan.fits, "{file} {flags}");
                if plan.experts_placed == plan.experts {
                    continue;
                }
                let away = model.tensors.iter().filter(|tensor| {
                    tensor.base().ends_with("_exps.weight")
                        && plan.rules.iter().any(|rule| {
                            tensor.layer.is_some_and(|layer| rule.layers.contains(&layer))
                        })
                });
                let least = away.map(|tensor| tensor.bytes).min().unwrap();
                for device in &plan.estimate.devices {
                    let left = device.free.saturating_sub(device.total() + Bytes::from_mib(1024));
                    let said = plan.notes.iter().any(|note| {
                        note.starts_with(&format!("{} keeps {:.0} MiB", device.name, left.mib()))
                    });
                    let what = format!("{file} {flags} {} {left} {:?}", device.name, plan.rules);
                    assert_eq!(left >= least, said, "{what}");
                    filled += u32::from(left < least);
                }
            }
        }
    }
    assert!(filled > 20, "{filled} GPUs were full");
}

/// llama-server aborts on such a rule, but only if it claims a tensor.
#[test]
fn a_rule_for_a_gpu_that_is_not_in_use_is_refused() {
    let model = model("qwen3moe-30b.gguf");
    let rig = [gpu(24564, 23671, 1008.0), gpu(16303, 12761, 896.0)];
    let ask = |flags: &str| estimate(&model, &rig, &request(flags)).map_err(|e| e.to_string());
    for flags in ["-dev CUDA1", "-sm none -mg 1"] {
        let error = ask(&format!(r"-c 4096 {flags} -ot blk\.3\.=CUDA0,exps=CPU")).unwrap_err();
        let named = error.starts_with("a rule puts \"blk.3.");
        assert!(named && error.contains("on CUDA0, which is not among"), "{error}");
        assert!(ask(&format!("-c 4096 {flags} -ot nothing=CUDA0,exps=CPU")).is_ok());
    }
}

#[test]
fn pinned_layers_stay() {
    let model = model(UD6);
    let rig = [gpu(24564, 23671, 1008.0), gpu(16303, 12761, 896.0)];
    let request = request("-c 65536 -ub 512 -np 1 -fa on -ctk q8_0 -ctv q8_0");
    let margin = [Bytes::from_mib(1024)];
    let layers = [Some(11), Some(5)];
    let plan = place(&Task {
        model: &model,
        gpus: &rig,
        system: System::default(),
        ram: None,
        request: &request,
        margin: &margin,
        granularity: Granularity::Tensor,
        layers: &layers,
    })
    .unwrap();
    assert!(plan.fits);
    let found: Vec<u32> = plan.slices.iter().map(|slice| slice.resident).collect();
    assert_eq!(found, [11, 5]);
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(args)
        .current_dir(root())
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n--- out\n{out}--- err\n{err}", output.status.code().unwrap())
}

#[test]
fn what_it_prints_is_reviewed() {
    let ud6 = header(UD6);
    let gemma = header("gemma3-27b.gguf");
    let hardware = "presets/hardware/rtx4090-rtx5070ti.toml";
    for (name, args) in [
        ("ud-q6", &["plan", "ud-q6", "--model", ud6.as_str()][..]),
        ("ud-q6-json", &["plan", "ud-q6", "--model", ud6.as_str(), "--format", "json", "--only"]),
        (
            "dense",
            &["plan", "--model", gemma.as_str(), "--gpu", "12288:11900:8.6", "--ctx-size", "8192"],
        ),
        // Fewer layers than fit, and more than fit.
        ("left-over", &["plan", "ud-q6", "--model", ud6.as_str(), "--layers", "11,5"]),
        ("does-not-fit", &["plan", "ud-q6", "--model", ud6.as_str(), "--layers", "15,5"]),
        (
            "far-from-fitting",
            &["plan", "ud-q6", "--model", ud6.as_str(), "--layers", "18,6", "--only"],
        ),
        (
            "little-memory",
            &[
                "plan",
                "ud-q6",
                "--model",
                ud6.as_str(),
                "--gpu",
                "RTX 3060 12GB:4600",
                "--ram",
                "32768",
            ],
        ),
        ("inspect", &["inspect", "tests/it/headers/gemma3-27b.gguf"]),
        ("inspect-missing", &["inspect", "tests/it/headers/none-00001-of-00002.gguf"]),
        ("inspect-no-model", &["inspect", "Cargo.toml"]),
        ("verify-ud-q6", &["verify", "ud-q6", "--model", ud6.as_str()]),
        ("no-machine", &["plan", "--model", gemma.as_str()]),
        (
            "estimate",
            &["estimate", gemma.as_str(), "--hardware", hardware, "--", "-c", "8192", "-fa", "on"],
        ),
        (
            "estimate-json",
            &[
                "estimate",
                gemma.as_str(),
                "--gpu",
                "8192:7900:8.6",
                "--format",
                "json",
                "--",
                "-c",
                "8192",
                "-ngl",
                "20",
            ],
        ),
    ] {
        snapshots("plan").bind(|| insta::assert_snapshot!(name, transcript(&run(args))));
    }
}

#[test]
fn writes_into_the_preset_and_keeps_its_comments() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let text = "# mine\n[model]\nfile = \"m.gguf\" # the model\n\n[placement]\nlayers = [13, 6]\nfit = \"off\" # no\n";
    std::fs::write(&path, text).unwrap();
    let ud6 = header(UD6);
    let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(["plan", path.to_str().unwrap(), "--model", ud6.as_str(), "--write", "--only"])
        .args([
            "--gpu",
            "24564:23671:8.9",
            "--gpu",
            "16303:12761:12.0",
            "--ctx-size",
            "65536",
            "--parallel",
            "1",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", transcript(&output));
    let written = std::fs::read_to_string(&path).unwrap();
    for kept in [
        "# mine\n",
        "file = \"m.gguf\" # the model",
        "fit = \"off\" # no",
        "n_gpu_layers = \"all\"",
    ] {
        assert!(written.contains(kept), "{written}");
    }
    assert!(!written.contains("layers = [13"), "{written}");
    assert!(written.contains("_(ch|)exps=CPU"), "{written}");
    let shown = Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(["verify", path.to_str().unwrap(), "--model", ud6.as_str()])
        .output()
        .unwrap();
    assert!(shown.status.success(), "{}", transcript(&shown));
}
