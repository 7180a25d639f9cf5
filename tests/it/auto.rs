//! `placement.auto`: planned where the model's header is at hand, locked, and the same from the lock file alone.

use std::path::Path;
use std::process::{Command, Output};

use composegen::gguf::DType;

use crate::gguf::synthetic::Synthetic;

/// A mixture of experts that is larger than the card below: `layers` blocks of about 200 MiB.
pub(crate) fn model(layers: u32) -> Synthetic {
    let mut file = Synthetic::new("qwen3moe").key("general.name", "small").keys(&[
        ("qwen3moe.block_count", layers),
        ("qwen3moe.context_length", 32_768),
        ("qwen3moe.embedding_length", 2048),
        ("qwen3moe.feed_forward_length", 6144),
        ("qwen3moe.attention.head_count", 32),
        ("qwen3moe.attention.head_count_kv", 4),
        ("qwen3moe.attention.key_length", 128),
        ("qwen3moe.attention.value_length", 128),
        ("qwen3moe.expert_count", 64),
        ("qwen3moe.expert_used_count", 8),
        ("qwen3moe.expert_feed_forward_length", 768),
        ("qwen3moe.vocab_size", 32_000),
    ]);
    file = file
        .tensor("token_embd.weight", &[2048, 32_000], DType::Q8_0)
        .tensor("output_norm.weight", &[2048], DType::F32)
        .tensor("output.weight", &[2048, 32_000], DType::Q8_0);
    for layer in 0..layers {
        let name = |base: &str| format!("blk.{layer}.{base}.weight");
        file = file
            .tensor(&name("attn_norm"), &[2048], DType::F32)
            .tensor(&name("attn_q"), &[2048, 4096], DType::Q8_0)
            .tensor(&name("attn_k"), &[2048, 512], DType::Q8_0)
            .tensor(&name("attn_v"), &[2048, 512], DType::Q8_0)
            .tensor(&name("attn_output"), &[4096, 2048], DType::Q8_0)
            .tensor(&name("attn_q_norm"), &[128], DType::F32)
            .tensor(&name("attn_k_norm"), &[128], DType::F32)
            .tensor(&name("ffn_norm"), &[2048], DType::F32)
            .tensor(&name("ffn_gate_inp"), &[2048, 64], DType::F32)
            .tensor(&name("ffn_gate_exps"), &[2048, 768, 64], DType::Q8_0)
            .tensor(&name("ffn_up_exps"), &[2048, 768, 64], DType::Q8_0)
            .tensor(&name("ffn_down_exps"), &[768, 2048, 64], DType::Q8_0);
    }
    file
}

/// A directory with a preset, its machine and what else is written into it.
pub(crate) struct Place(tempfile::TempDir);

pub(crate) const PRESET: &str = "hardware = \"rig\"\n[model]\nfile = \"m.gguf\"\n[context]\nctx_size = 8192\n\
                      flash_attn = \"on\"\n[batching]\nparallel = 1\n[placement]\nauto = true\n";

impl Place {
    pub(crate) fn new(preset: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("a.toml", preset);
        place.write(
            "hardware/rig.toml",
            "[[gpu]]\nmemory_mib = 6144\nfree_mib = 5800\ncompute_capability = \"8.9\"\nbandwidth_gbs = 300\n",
        );
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(args)
            .current_dir(self.path())
            .env_remove("MODELS_DIR")
            .output()
            .unwrap()
    }

    /// Standard error of a run that ends with this code.
    pub(crate) fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}{said}", text(&output.stdout));
        said
    }

    pub(crate) fn line(&self, name: &str) -> String {
        let env = self.read("deploy/a/a.env");
        let line = env.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{env}")).to_owned()
    }

    /// Every file of the output directory.
    fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(self.path().join("deploy/a"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        assert!(files.len() > 5, "{files:?}");
        files
    }
}

#[test]
fn what_was_planned_is_locked_and_needs_no_header_afterwards() {
    let place = Place::new(PRESET);
    place.write("models/m.gguf", model(40).header());
    let said = place.ends(0, &["build", "a.toml"]);
    assert!(said.contains("note: a: planned: "), "{said}");
    assert_eq!(place.line("N_GPU_LAYERS"), "N_GPU_LAYERS=all");
    assert_eq!(place.line("TENSOR_SPLIT"), "TENSOR_SPLIT=41");
    assert!(place.line("OVERRIDE_TENSOR").ends_with("=CPU"));
    assert_eq!(place.line("FIT"), "FIT=off");
    let built = place.bytes();
    let lock = place.read("deploy/a/composegen.lock");
    assert!(
        lock.contains("[placements.a.flags]") && lock.contains("ctx-size = \"8192\""),
        "{lock}"
    );

    assert_eq!(place.ends(0, &["check"]), "deploy/a: current\n");
    place.ends(0, &["build", "a.toml"]);
    assert_eq!(place.bytes(), built);

    std::fs::remove_file(place.path().join("models/m.gguf")).unwrap();
    let said = place.ends(0, &["check", "--deny", "warnings"]);
    assert!(said.contains("`deploy/a/models/m.gguf` or `models/m.gguf`"), "{said}");
    assert!(said.contains("the locked placement is used"), "{said}");
    place.ends(0, &["build", "a.toml"]);
    assert_eq!(place.bytes(), built, "the lock file alone gives the same bytes");
}

#[test]
fn placement_may_be_said_in_a_word() {
    let place = Place::new(&PRESET.replace("[placement]\nauto = true", ""));
    let preset = place.read("a.toml");
    place.write("a.toml", format!("placement = \"auto\"\n{preset}"));
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    assert_eq!(place.line("TENSOR_SPLIT"), "TENSOR_SPLIT=41");
}

#[test]
fn what_system_memory_cannot_hold_is_said_when_it_is_planned() {
    let place = Place::new(PRESET);
    let rig = place.read("hardware/rig.toml");
    place.write("hardware/rig.toml", format!("{rig}[ram]\ntotal_mib = 4096\n"));
    place.write("models/m.gguf", model(40).header());
    let said = place.ends(0, &["build", "a.toml"]);
    assert!(said.contains("note: a: ") && said.contains("4096 MiB of system memory"), "{said}");
    let memory = place.run(&["plan", "a.toml", "--only", "--format", "json"]);
    let memory: serde_json::Value = serde_json::from_slice(&memory.stdout).unwrap();
    assert_eq!(memory["system_memory"]["ram_mib"], 4096.0);
    let warning = memory["system_memory"]["warnings"][0].as_str().unwrap();
    assert!(said.contains(warning), "{said}");
}

#[test]
fn build_and_plan_find_the_same() {
    let place = Place::new(PRESET);
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    let plan = place.run(&["plan", "a.toml", "--only", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let words: Vec<&str> =
        plan["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let after = |flag: &str| words[words.iter().position(|word| *word == flag).unwrap() + 1];
    assert_eq!(place.line("OVERRIDE_TENSOR"), format!("OVERRIDE_TENSOR={}", after("-ot")));
    assert_eq!(place.line("TENSOR_SPLIT"), format!("TENSOR_SPLIT={}", after("-ts")));
    assert_eq!(plan["fits"], true);
}

#[test]
fn another_header_is_noticed_and_planned_for() {
    let place = Place::new(PRESET);
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    let before = place.bytes();
    place.write("models/m.gguf", model(44).header());
    let said = place.ends(3, &["check"]);
    assert!(
        said.contains("would be planned anew, since the model's header is another one"),
        "{said}"
    );
    assert_eq!(place.bytes(), before, "checking writes nothing");
    let said = place.ends(0, &["build", "a.toml"]);
    assert!(said.contains("planned anew, since the model's header"), "{said}");
    assert_eq!(place.line("TENSOR_SPLIT"), "TENSOR_SPLIT=45");
    place.ends(0, &["check"]);
}

/// With everything pinned, so that `update` has nothing to ask the network.
#[test]
fn update_plans_anew() {
    let base = format!("example.org/base@sha256:{}", "0".repeat(64));
    let preset = format!(
        "{PRESET}[image]\ncommit = \"{}\"\nbuild_base = \"{base}\"\nruntime_base = \"{base}\"\n",
        "1".repeat(40)
    );
    let place = Place::new(&preset);
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    // A placement that nothing but planning anew would replace.
    let lock = place.read("deploy/a/composegen.lock");
    let worse = lock.replace("--tensor-split = \"41\"", "--tensor-split = \"1\"");
    assert_ne!(lock, worse);
    place.write("deploy/a/composegen.lock", worse);
    place.ends(0, &["build", "a.toml"]);
    assert_eq!(place.line("TENSOR_SPLIT"), "TENSOR_SPLIT=1", "locked is locked");
    let said = place.ends(0, &["update"]);
    assert!(said.contains("note: a: planned anew: "), "{said}");
    assert_eq!(place.line("TENSOR_SPLIT"), "TENSOR_SPLIT=41");
}

#[test]
fn other_values_are_planned_for_or_warned_of() {
    let place = Place::new(PRESET);
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    place.write("a.toml", PRESET.replace("8192", "16384"));
    let said = place.ends(0, &["build", "a.toml"]);
    assert!(said.contains("planned anew, since ctx-size is 16384 and was 8192"), "{said}");
    std::fs::remove_file(place.path().join("models/m.gguf")).unwrap();
    place.write("a.toml", PRESET.replace("8192", "32768"));
    let said = place.ends(0, &["build", "a.toml"]);
    assert!(said.contains("warning[stale-placement]"), "{said}");
    assert!(said.contains("ctx-size is 32768 and was 16384"), "{said}");
    place.ends(1, &["build", "a.toml", "--deny", "warnings"]);
    // What does not decide where weights go is nobody's concern here.
    place.write("a.toml", PRESET.replace("8192", "16384") + "[sampling]\ntemp = 0.5\n");
    place.ends(0, &["build", "a.toml", "--deny", "warnings"]);
}

#[test]
fn a_header_of_its_own_is_relative_to_the_preset_that_names_it() {
    let preset = PRESET.replace("m.gguf\"", "m.gguf\"\nheader = \"headers/m.gguf\"");
    let place = Place::new(&preset);
    // Without the padding before the data, and whole: one header.
    let header = model(40).header();
    place.write("headers/m.gguf", &header);
    place.ends(0, &["build", "a.toml"]);
    let built = place.bytes();
    let mut longer = header;
    longer.extend([1; 100]);
    place.write("headers/m.gguf", longer);
    place.ends(0, &["check"]);
    place.write("sub/b.toml", "extends = \"../a.toml\"\n");
    place.ends(0, &["build", "sub/b.toml"]);
    assert!(place.read("deploy/b/b.env").contains(&place.line("OVERRIDE_TENSOR")));
    assert_eq!(place.bytes(), built);
    let said = place.ends(0, &["plan", "a.toml", "--only"]);
    assert_eq!(said, "");
}

#[test]
fn without_header_and_lock_the_way_out_is_named() {
    let place = Place::new(PRESET);
    let said = place.ends(1, &["build", "a.toml"]);
    assert_eq!(said.matches("error[unplanned]").count(), 1, "{said}");
    assert!(said.contains("`deploy/a/models/m.gguf` or `models/m.gguf`"), "{said}");
    assert!(said.contains("name the GGUF's header in `model.header`"), "{said}");
    assert!(!place.path().join("deploy").exists());
    place.write("elsewhere/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml", "--models-dir", "elsewhere"]);
}

#[test]
fn what_is_there_and_no_header_is_an_error_even_with_a_lock() {
    let place = Place::new(PRESET);
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    let before = place.bytes();
    place.write("models/m.gguf", "no model");
    let said = place.ends(1, &["build", "a.toml"]);
    assert!(said.contains("error[unplanned]") && said.contains("models/m.gguf"), "{said}");
    assert_eq!(place.bytes(), before);
}

#[test]
fn a_model_with_missing_parts_is_not_planned_for_as_if_it_were_smaller() {
    let place = Place::new(&PRESET.replace("m.gguf", "m-00001-of-00002.gguf"));
    let part = model(40).key("split.no", 0).key("split.count", 2);
    place.write("models/m-00001-of-00002.gguf", part.header());
    let said = place.ends(1, &["build", "a.toml"]);
    assert!(said.contains("`m-00002-of-00002.gguf` is not beside it"), "{said}");
    let said = place.ends(
        7,
        &["estimate", "models/m-00001-of-00002.gguf", "--gpu", "6144:5800", "--", "-c", "8192"],
    );
    assert!(said.contains("`m-00002-of-00002.gguf` is not beside it"), "{said}");
}

#[test]
fn what_fits_nowhere_is_not_built() {
    let place = Place::new(&PRESET.replace("auto = true", "auto = true\nmargin = [5700]"));
    place.write("models/m.gguf", model(40).header());
    let said = place.ends(1, &["build", "a.toml"]);
    assert!(said.contains("error[no-placement]") && said.contains("CUDA0 lacks"), "{said}");
    assert!(!place.path().join("deploy").exists());
}

#[test]
fn a_placement_of_a_preset_that_plans_no_longer_leaves_the_lock_file() {
    let place = Place::new(PRESET);
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    place.write("a.toml", PRESET.replace("auto = true", "layers = [4]"));
    place.ends(0, &["build", "a.toml"]);
    assert!(!place.read("deploy/a/composegen.lock").contains("placements"));
}

#[test]
fn written_into_the_preset_it_takes_the_place_of_auto() {
    let place = Place::new(PRESET);
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    let planned = place.line("OVERRIDE_TENSOR");
    place.ends(0, &["plan", "a.toml", "--only", "--write"]);
    place.ends(0, &["build", "a.toml"]);
    assert_eq!(place.line("OVERRIDE_TENSOR"), planned);
    assert!(!place.read("a.toml").contains("auto"));
}
