//! `estimate` for flags and files as strangers give them: an answer or an error, and never a panic.

use std::process::Command;

use camino::Utf8PathBuf;
use composegen::gguf::{self, Model};
use composegen::hardware::{Gpu, known};
use composegen::plan::memory::{Request, estimate};
use proptest::prelude::*;

use crate::repository::root;

fn header(name: &str) -> Utf8PathBuf {
    root().join("tests/it/headers").join(name)
}

fn request(flags: &str) -> Request {
    let words: Vec<&str> = flags.split_whitespace().collect();
    Request::from_args(&words).unwrap()
}

/// Exit code, standard output and error.
fn run(args: &[&str]) -> (i32, String, String) {
    let binary = env!("CARGO_BIN_EXE_composegen");
    let output = Command::new(binary).args(args).current_dir(root()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn estimated(model: &str, flags: &str) -> (i32, String, String) {
    let model = header(model);
    let rig = "presets/hardware/rtx4090-rtx5070ti.toml";
    let words = ["estimate", model.as_str(), "--hardware", rig, "--"];
    run(&words.into_iter().chain(flags.split_whitespace()).collect::<Vec<_>>())
}

#[test]
fn flags_that_llama_server_does_not_take_are_refused() {
    for (flags, message) in [
        ("--bogus", "`--bogus` is no option of llama-server"),
        ("-c 4096 stray", "`stray` is no option of llama-server"),
        ("stray", "`stray` is no option of llama-server"),
        ("--ctx-size=4096", "write two words: `--ctx-size` and `4096`"),
        ("--no-mmap", "llama-server no longer has `--no-mmap`"),
        ("-dev CUDA7", "there is no device \"CUDA7\": `-dev` can name CUDA0, CUDA1"),
        ("-sm none -mg 9", "there is no GPU 9 among the 2 in use"),
    ] {
        let (code, _, err) = estimated("gemma3-27b.gguf", flags);
        assert_eq!(code, 2, "{flags}: {err}");
        assert!(err.contains(message), "{flags}: {err}");
    }
    let (code, out, err) = estimated("gemma3-27b.gguf", "/app/llama-server -c 8192 --temp -1");
    assert!(code == 0 && err.is_empty() && out.contains("fits"), "{err}");
    let (code, _, err) = estimated("gemma3-27b.gguf", "-c 8192 -md x.gguf --mmproj y.gguf");
    assert_eq!(code, 0, "{err}");
    for flag in ["--spec-draft-model", "--mmproj"] {
        assert!(err.contains(&format!("warning: what `{flag}` loads is not counted")), "{err}");
    }
}

#[test]
fn a_dense_feed_forward_goes_to_system_memory() {
    let gpus = [known("RTX 4090").unwrap().gpu()];
    let model = gguf::open(&header("gemma3-27b.gguf")).unwrap();
    let on_gpu = |flags: &str| estimate(&model, &gpus, &request(flags)).unwrap().devices[0].model;
    assert!(on_gpu("-c 4096 -ncffn 20") < on_gpu("-c 4096"));
    let rules = r"-c 4096 -ot blk\.0\.ffn_(up|down|gate)\.=CPU,blk\.1\.ffn_(up|down|gate)\.=CPU";
    assert_eq!(on_gpu("-c 4096 --n-cpu-ffn 2"), on_gpu(rules));
}

#[test]
fn memory_is_said_with_gpus_alone() {
    let model = header("gemma3-27b.gguf");
    let rig = "presets/hardware/rtx4090-rtx5070ti.toml";
    let words = ["estimate", model.as_str(), "--hardware", rig, "--ram", "32768"];
    let (code, _, err) = run(&words);
    assert!(code == 2 && err.contains("--ram"), "{err}");
}

/// The file's header with this value under a key of four bytes.
fn with(file: &[u8], key: &str, value: u32) -> Vec<u8> {
    let at = file.windows(key.len()).position(|bytes| bytes == key.as_bytes()).unwrap();
    let at = at + key.len() + 4;
    [&file[..at], &value.to_le_bytes(), &file[at + 4..]].concat()
}

fn opened(bytes: &[u8]) -> Option<Model> {
    let header = gguf::read(&mut std::io::Cursor::new(bytes)).ok()?;
    Model::new(gguf::join(vec![("m.gguf".to_owned(), 1, header)], Vec::new())).ok()
}

#[test]
fn what_llama_server_aborts_on_is_refused() {
    let refused = |flags: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(["estimate", header("gemma3-27b.gguf").as_str(), "--gpu", "RTX 3090", "--"])
            .args(flags.split_whitespace())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused("-b 15 -np 16").contains("a batch of 15 tokens is smaller than the 16 slots"));
    assert!(refused("-b 3").contains("smaller than the 4 slots"));
    assert!(refused("-np 300").contains("300 slots: llama.cpp takes 1 to 256"));
    assert!(refused("-np 0").contains("-np does not take \"0\""));
    let plan = |words: &[&str]| {
        let model = header("qwen3moe-30b.gguf");
        let machine = ["plan", "--only", "--gpu", "RTX 3090", "--model", model.as_str()];
        let (code, _, err) = run(&[&machine[..], words].concat());
        assert_eq!(code, 2, "{words:?}");
        err
    };
    assert!(
        plan(&["--layers", "49"])
            .contains("49 layers with experts are asked for, the model has 48")
    );
    assert!(plan(&["--layers", "1,1"]).contains("layers for 2 GPUs are given, the machine has 1"));
    assert!(plan(&["--parallel", "0"]).contains("one slot or more"));
    // A number that no model has layers for costs neither time nor memory.
    let rules = request("--n-cpu-moe 4000000000").overrides;
    assert_eq!(rules.len(), 512);
}

/// What a file claims decides neither how large a graph gets nor how long that takes.
#[test]
fn a_claim_of_many_experts_is_no_work() {
    let mut model = gguf::open(&header("qwen3moe-30b.gguf")).unwrap();
    let file = std::fs::read(header("qwen3moe-30b.gguf")).unwrap();
    let claimed = opened(&with(&file, "qwen3moe.expert_used_count", u32::MAX)).unwrap();
    let gpus = [known("RTX 3090").unwrap().gpu()];
    let bytes = |model: &Model| {
        let found = estimate(model, &gpus, &request("-c 4096 -ub 64")).unwrap();
        found.devices[0].total()
    };
    assert!(bytes(&claimed) > bytes(&model));
    model.tensors.truncate(1);
    assert!(estimate(&model, &gpus, &request("-c 4096")).is_err(), "tensors are missing");
}

const HYBRID: &str = "qcn-q4km.gguf";

#[test]
fn sizes_that_no_model_has_are_refused() {
    let file = std::fs::read(header(HYBRID)).unwrap();
    let gpus: [Gpu; 1] = [known("RTX 3090").unwrap().gpu()];
    for (key, value) in [
        ("qwen3next.ssm.group_count", 0),
        ("qwen3next.ssm.inner_size", u32::MAX),
        ("qwen3next.ssm.conv_kernel", 0),
        ("qwen3next.attention.key_length", u32::MAX),
    ] {
        let model = opened(&with(&file, key, value)).unwrap();
        let error = estimate(&model, &gpus, &request("-c 4096")).unwrap_err().to_string();
        assert!(error.contains("which no model has"), "{key}: {error}");
    }
    let mut model = opened(&file).unwrap();
    let kernel = model.tensors.iter_mut().find(|t| t.base() == "ssm_conv1d.weight").unwrap();
    kernel.dims[0] = 0;
    let error = estimate(&model, &gpus, &request("-c 4096")).unwrap_err().to_string();
    assert!(error.contains("ssm_conv1d.weight, which no model has"), "{error}");
}

/// What is not known here is named as `inspect` names it.
#[test]
fn an_unknown_type_or_architecture_is_no_missing_tensor() {
    let gpus = [known("RTX 3090").unwrap().gpu()];
    let file = std::fs::read(header("qwen3moe-30b.gguf")).unwrap();
    let (name, mut other) = (b"qwen3moe", file.clone());
    for at in 0..file.len() - name.len() {
        if file[at..].starts_with(name) {
            other[at..at + name.len()].copy_from_slice(b"strange1");
        }
    }
    let mut model = opened(&other).unwrap();
    model.tensors.retain(|tensor| !tensor.name.contains("attn_output"));
    let error = estimate(&model, &gpus, &request("-c 4096")).unwrap_err().to_string();
    assert!(error.contains("strange1") && !error.contains("lacks tensors"), "{error}");
}

/// Keys that decide sizes, in the header of a model with attention and states.
const KEYS: [&str; 13] = [
    "qwen3next.context_length",
    "qwen3next.embedding_length",
    "qwen3next.attention.head_count",
    "qwen3next.attention.head_count_kv",
    "qwen3next.attention.key_length",
    "qwen3next.attention.value_length",
    "qwen3next.expert_count",
    "qwen3next.expert_used_count",
    "qwen3next.ssm.conv_kernel",
    "qwen3next.ssm.state_size",
    "qwen3next.ssm.group_count",
    "qwen3next.ssm.time_step_rank",
    "qwen3next.ssm.inner_size",
];

fn evil() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0_u32..70,
        (0_u32..32).prop_map(|bit| 1 << bit),
        (0_u32..32).prop_map(|bit| (1 << bit) - 1),
        (0_u32..64).prop_map(|less| u32::MAX - less),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_header_makes_it_panic(
        numbers in prop::collection::vec((0..KEYS.len(), evil()), 1..3),
        dim in proptest::option::of((any::<prop::sample::Index>(), 0_usize..2, evil())),
        slots in 1_u32..9,
    ) {
        let mut file = std::fs::read(header(HYBRID)).unwrap();
        for (key, value) in numbers {
            file = with(&file, KEYS[key], value);
        }
        let Some(mut model) = opened(&file) else { return Ok(()) };
        if let Some((at, which, value)) = dim {
            let tensors = model.tensors.len();
            let dims = &mut model.tensors[at.index(tensors)].dims;
            let which = which.min(dims.len() - 1);
            dims[which] = u64::from(value);
        }
        let gpus = [known("RTX 4090").unwrap().gpu(), known("RTX 3090").unwrap().gpu()];
        let flags = request(&format!("-fa on -np {slots} -ot exps=CPU"));
        let _ = estimate(&model, &gpus, &flags);
    }
}
