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

/// What llama-server b11434 placed by its own `--fit`, in MiB of weights on GPUs, where its choice is hardest to reach: an
/// oracle's answers to random cases.
#[test]
fn fit_never_places_more() {
    let file = header("qcn-q4km.gguf");
    for (gpus, flags, margin, fit) in [
        (&["24576:24000:8.6"][..], ["65536", "4096", "4096", "2"], "0", 21519.0),
        (&["8192:7900:8.9"; 2], ["4096", "2048", "2048", "1"], "0", 14211.0),
        (&["11264:10900:7.5", "16303:12761:12.0"], ["131072", "2048", "512", "2"], "512", 19659.0),
    ] {
        let mut words = vec!["plan", "--only", "--format", "json", "--model", file.as_str()];
        for gpu in gpus {
            words.extend(["--gpu", gpu]);
        }
        words.extend(["--cache-type-k", "q8_0", "--cache-type-v", "q8_0", "--margin", margin]);
        let keys = ["--ctx-size", "--batch-size", "--ubatch-size", "--parallel"];
        words.extend(keys.into_iter().zip(flags).flat_map(|(key, word)| [key, word]));
        let (out, _) = said(&words, 0);
        let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
        let devices =
            plan["devices"].as_array().unwrap().iter().filter(|row| row["name"] != "Host");
        let ours: f64 = devices.map(|row| row["model_mib"].as_f64().unwrap()).sum();
        assert_eq!(plan["fits"], true);
        assert!(ours >= fit, "{ours} MiB on {gpus:?}, {fit} by `--fit`");
    }
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

/// Standard output and error of a run that ends with this code.
fn said(args: &[&str], code: i32) -> (String, String) {
    let output = run(args);
    assert_eq!(output.status.code(), Some(code), "{}", transcript(&output));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// One number counts for all devices, on the devices as in the alternatives; one too many is an error.
#[test]
fn margins_and_reserves_are_per_device() {
    let ud6 = header(UD6);
    let plan = ["plan", "ud-q6", "--model", ud6.as_str()];
    let (out, _) = said(&[&plan[..], &["--only", "--reserve", "500"]].concat(), 0);
    assert_eq!(out.matches("margin 1524,").count(), 2, "{out}");
    let json = |words: &[&str]| -> serde_json::Value {
        let (out, _) = said(&[&plan[..], words, &["--format", "json"]].concat(), 0);
        serde_json::from_str(&out).unwrap()
    };
    let reserved = json(&["--reserve", "500"]);
    let others = reserved["alternatives"].as_array().unwrap().clone();
    let smaller = others.into_iter().find(|other| other["change"] == "margin 512 MiB").unwrap();
    let same = json(&["--only", "--margin", "1012"]);
    let rows = same["devices"].as_array().unwrap();
    let left = rows
        .iter()
        .filter(|row| row["free_mib"].is_number())
        .map(|row| row["free_mib"].as_f64().unwrap() - row["total_mib"].as_f64().unwrap() - 1012.0);
    let left: Vec<f64> = left.collect();
    let listed = smaller["left_mib"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap());
    assert!(left.iter().zip(listed).all(|(a, b)| (a - b).abs() < 1.0), "{left:?} {smaller}");
    for flag in ["--margin", "--reserve"] {
        let (_, err) = said(&[&plan[..], &[flag, "1,2,3"]].concat(), 2);
        assert!(err.contains(&format!("`{flag}` has 3 numbers, the machine has 2 GPUs")), "{err}");
    }
}

/// The words are those of the plan: what the preset says of memory is among them.
#[test]
fn words_say_what_was_planned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    let text = |placement: &str| {
        format!(
            "[model]\nfile = \"m.gguf\"\n[context]\nctx_checkpoints = 4\ncache_ram = 0\n[batching]\nthreads = 6\n\
             [placement]\n{placement}\n"
        )
    };
    std::fs::write(&path, text("load_mode = \"none\"")).unwrap();
    let dense = header("gemma3-27b.gguf");
    let plan =
        ["plan", path.to_str().unwrap(), "--model", dense.as_str(), "--gpu", "RTX 4090", "--only"];
    let (out, _) = said(&plan, 0);
    for words in [" -lm none", " -t 6", " -cram 0", " -ctxcp 4"] {
        assert!(out.contains(words), "{words}\n{out}");
    }
    // Which GPU is the main one is nothing that layers could be planned for.
    std::fs::write(&path, text("split_mode = \"none\"\nmain_gpu = 1")).unwrap();
    let (_, err) = said(&plan, 2);
    assert!(err.contains("`split_mode = \"none\"` does not: use"), "{err}");
}

#[test]
fn no_advice_that_nothing_can_follow() {
    let oss = header("gpt-oss-20b.gguf");
    let two = ["--gpu", "RTX 4090", "--gpu", "RTX 3090", "-c", "8192"];
    let (out, _) = said(&[&["plan", "--model", oss.as_str()][..], &two].concat(), 0);
    assert!(out.contains("one layer less on CUDA0") && !out.contains("one layer more"), "{out}");
    let ud6 = header(UD6);
    let cluster = ["--cluster", "presets/clusters/two-small.toml", "-c", "65536"];
    let (out, _) =
        said(&[&["plan", "--model", ud6.as_str(), "--parallel", "1"][..], &cluster].concat(), 0);
    assert!(out.contains("the machines cannot hold the model together"), "{out}");
    assert!(!out.contains("this host alone cannot"), "{out}");
    let gemma = header("gemma3-27b.gguf");
    let idle = ["--cluster", "presets/clusters/desk-and-server.toml", "-c", "4096"];
    let (out, _) = said(&[&["plan", "--model", gemma.as_str()][..], &idle].concat(), 0);
    let empty = out.contains("nothing is placed on");
    assert!(!empty || !out.contains("hint: RPC0"), "{out}");
}
