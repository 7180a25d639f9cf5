//! `plan --write`: what comes into a preset, what stays as it was, and when nothing is written.

use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};

use crate::repository::root;

const HEADER: &str = "tests/it/headers/qcn-ud6-00001-of-00003.gguf";

/// A folder with presets for the machine of this repository.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(presets: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let rig = root().join("presets/hardware/rtx4090-rtx5070ti.toml");
        std::fs::create_dir(folder.path("hardware")).unwrap();
        std::fs::copy(rig, folder.path("hardware/rig.toml")).unwrap();
        for (name, text) in presets {
            std::fs::write(folder.path(name), text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// Plans and writes; what it says on standard error.
    fn write(&self, name: &str, code: i32, more: &[&str]) -> String {
        let header = root().join(HEADER);
        let args = ["plan", name, "--model", header.as_str(), "--only", "--write"];
        let output = self.run(&[&args[..], more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{more:?}\n{said}");
        said
    }

    fn builds(&self, name: &str) {
        let output = self.run(&["build", name]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}\n{}", self.read(name));
    }
}

const HEAD: &str = "hardware = \"rig\"\n[model]\nfile = \"m.gguf\" # the model\n[context]\nctx_size = 65536\n\
                    cache_type_k = \"q8_0\"\ncache_type_v = \"q8_0\"\nflash_attn = \"on\"\n\
                    [batching]\nparallel = 1\nubatch_size = 1024\n";

fn preset(placement: &str) -> String {
    format!("# mine\n{HEAD}\n{placement}")
}

#[test]
fn writes_into_the_preset_and_keeps_its_comments() {
    let text = preset(
        "[placement] # by hand\n# what runs\nlayers = [13, 6] # do not raise\nfit = \"off\" # no\nn_cpu_ffn = 2 # old\n",
    );
    let folder = Folder::new(&[("mine.toml", &text)]);
    folder.write("mine.toml", 0, &[]);
    let written = folder.read("mine.toml");
    for kept in [
        "# mine\n",
        "file = \"m.gguf\" # the model",
        "[placement] # by hand\n",
        "fit = \"off\" # no",
        "# what runs\n# old\nn_gpu_layers = \"all\" # do not raise\n",
        "_(ch|)exps=CPU",
    ] {
        assert!(written.contains(kept), "{kept}\n{written}");
    }
    assert!(!written.contains("layers = [13") && !written.contains("n_cpu_ffn"), "{written}");
    folder.builds("mine.toml");
    let header = root().join(HEADER);
    let shown = folder.run(&["verify", "mine.toml", "--model", header.as_str()]);
    assert!(shown.status.success(), "{shown:?}");
    // Once more, from its own placement: nothing changes.
    folder.write("mine.toml", 0, &[]);
    assert_eq!(folder.read("mine.toml"), written);
}

#[test]
fn what_the_preset_does_not_say_is_not_planned_into_it() {
    let text = preset("[placement]\nmargin = [512]\n");
    let folder = Folder::new(&[("mine.toml", &text)]);
    let rig = root().join("presets/hardware/rtx4090-rtx5070ti.toml");
    let cluster = root().join("presets/clusters/two-desks.toml");
    let (rig, cluster) = (rig.as_str(), cluster.as_str());
    for words in [
        &["--ctx-size", "131072"][..],
        &["--cache-type-k", "q4_0"],
        &["--cache-type-v", "f16"],
        &["--ubatch-size", "512"],
        &["--batch-size", "4096"],
        &["--parallel", "2"],
        &["--margin", "0"],
        &["--reserve", "100"],
        &["--granularity", "layer"],
        &["--profile", "seed-2026-02"],
        &["--gpu", "RTX 4090"],
        &["--cluster", cluster],
    ] {
        let said = folder.write("mine.toml", 2, words);
        assert!(
            said.contains("does not say") && said.contains(&format!("`{}`", words[0])),
            "{said}"
        );
        assert_eq!(folder.read("mine.toml"), text, "{words:?}");
    }
    // The same said twice is no difference.
    for words in [
        &["--ctx-size", "65536", "--margin", "512,512", "--granularity", "tensor"][..],
        &["--hardware", rig],
        &["--batch-size", "2048", "--ubatch-size", "1024"],
    ] {
        std::fs::write(folder.path("mine.toml"), &text).unwrap();
        folder.write("mine.toml", 0, words);
        assert!(folder.read("mine.toml").contains("tensor_split"), "{words:?}");
    }
    // A preset without a machine takes one from the command line, but no workers.
    let nowhere = text.replace("hardware = \"rig\"\n", "");
    std::fs::write(folder.path("mine.toml"), &nowhere).unwrap();
    folder.write("mine.toml", 2, &["--cluster", cluster]);
    assert_eq!(folder.read("mine.toml"), nowhere);
    folder.write("mine.toml", 0, &["--hardware", rig]);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let text = preset("[placement]\nlayers = [13, 6]\n").replace("65536", "16777216");
    let folder = Folder::new(&[("mine.toml", &text)]);
    let said = folder.write("mine.toml", 1, &[]);
    assert!(said.contains("does not fit and was not written"), "{said}");
    assert_eq!(folder.read("mine.toml"), text);
}

#[test]
fn what_is_inherited_gives_way_or_is_named() {
    let child = "extends = \"base\"\n";
    let small = ["--layers", "auto"];
    for (parent, child, taken_back) in [
        ("[placement]\nauto = true\n", child, &["auto = false"][..]),
        (
            "[placement]\ncpu_moe = true\nn_cpu_ffn = 3\n",
            child,
            &["cpu_moe = false", "n_cpu_ffn = 0"],
        ),
        ("[placement]\noverride_tensor = ['exps=CPU']\n", child, &["override_tensor = ["]),
    ] {
        let folder = Folder::new(&[("base.toml", &preset(parent)), ("child.toml", child)]);
        folder.write("child.toml", 0, &small);
        let written = folder.read("child.toml");
        for key in taken_back {
            assert!(written.contains(key), "{key}\n{written}");
        }
        folder.builds("child.toml");
    }
    for (parent, key) in [("layers = [13, 6]", "layers"), ("n_cpu_moe = 20", "n_cpu_moe")] {
        let parent = preset(&format!("[placement]\n{parent}\n"));
        let folder = Folder::new(&[("base.toml", &parent), ("child.toml", child)]);
        let said = folder.write("child.toml", 1, &small);
        assert!(said.contains("was not written") && said.contains(&format!("`{key}`")), "{said}");
        assert!(said.contains("base.toml"), "{said}");
        assert_eq!(folder.read("child.toml"), child);
    }
}

/// A plan without rules takes the parent's back, and with them the words that say nothing but them.
#[test]
fn a_plan_without_rules_takes_back_those_of_a_parent() {
    let header = root().join("tests/it/headers/gpt-oss-20b.gguf");
    let child = "extends = \"base\"\n";
    for (parent, key) in [
        ("override_tensor = ['exps=CPU']", "override_tensor = []"),
        ("n_cpu_moe = 20", "n_cpu_moe = 0"),
    ] {
        let parent = preset(&format!("[placement]\n{parent}\n"));
        let folder = Folder::new(&[("base.toml", &parent), ("child.toml", child)]);
        let args = ["plan", "child.toml", "--model", header.as_str(), "--only", "--write"];
        let output = folder.run(&args);
        assert!(output.status.success(), "{output:?}");
        assert!(folder.read("child.toml").contains(key), "{}", folder.read("child.toml"));
        folder.builds("child.toml");
        let said = folder.run(&["verify", "child.toml", "--model", header.as_str()]);
        assert!(said.status.success(), "{said:?}");
    }
}

#[test]
fn a_placement_in_a_word_becomes_a_table() {
    let text = format!("# mine\n# planned\nplacement = \"auto\" # by build\n{HEAD}");
    let folder = Folder::new(&[("mine.toml", &text)]);
    folder.write("mine.toml", 0, &[]);
    let written = folder.read("mine.toml");
    assert!(written.contains("# planned\n[placement] # by build\nn_gpu_layers"), "{written}");
    assert!(written.contains("hardware = \"rig\"\n"), "{written}");
    folder.builds("mine.toml");
}

#[test]
fn a_linked_preset_stays_a_link() {
    let folder = Folder::new(&[("real.toml", &preset(""))]);
    std::os::unix::fs::symlink("real.toml", folder.path("mine.toml")).unwrap();
    folder.write("mine.toml", 0, &[]);
    assert!(folder.path("mine.toml").is_symlink());
    assert!(folder.read("real.toml").contains("tensor_split"));
}
