//! Stack files through the real `docker stack config`, which needs no engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use camino::Utf8Path;
use composegen::plan::Target;
use composegen::quote::yaml;
use serde_json::Value as Json;

use crate::chain::{assert_served, compiled_for, hostile_presets, lay_out};
use crate::dialects::values::all;
use crate::repository::{files, root};
use crate::tools;

const BATCH: usize = 2500;

/// The CLI, where it is one that knows `stack config` and its formats.
pub(super) fn docker() -> Option<PathBuf> {
    let docker = tools::find("docker")?;
    let help = Command::new(&docker).args(["stack", "config", "--help"]).output().unwrap();
    let knows = String::from_utf8_lossy(&help.stdout).contains("docker stack config");
    if !knows {
        println!("skipped: this docker has no `stack config`");
    }
    knows.then_some(docker)
}

/// What the CLI would send to the manager.
pub(super) fn config(docker: &Path, dir: &Path, file: &str) -> Json {
    let output = Command::new(docker)
        .args(["stack", "config", "--compose-file", file])
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", dir)
        .env("LIVE", "from the shell")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}", said.chars().take(2000).collect::<String>());
    assert!(said.is_empty(), "{said}");
    serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

pub(super) fn environment(service: &Json) -> BTreeMap<String, String> {
    let map = service["environment"].as_object().unwrap();
    map.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn values_arrive_at_the_manager() {
    let Some(docker) = docker() else { return };
    // What is more than one line for any YAML reader, the CLI prints as a block, and not every other reader agrees about
    // its first line.
    let broken = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let values: Vec<_> = all(900).into_iter().filter(|value| !value.contains(broken)).collect();
    assert!(values.len() > 5000, "{}", values.len());
    for batch in values.chunks(BATCH) {
        let dir = tempfile::tempdir().unwrap();
        let mut text =
            "version: \"3.13\"\nservices:\n  s:\n    image: i\n    environment:\n".to_owned();
        for (i, value) in batch.iter().enumerate() {
            writeln!(text, "      K{i}: {}", yaml::compose(value).unwrap()).unwrap();
        }
        std::fs::write(dir.path().join("stack.yml"), text).unwrap();
        let environment = environment(&config(&docker, dir.path(), "stack.yml")["services"]["s"]);
        assert_eq!(environment.len(), batch.len());
        for (i, value) in batch.iter().enumerate() {
            assert_eq!(&environment[&format!("K{i}")], value);
        }
    }
}

#[test]
fn hostile_presets_arrive_at_the_server() {
    let Some(docker) = docker() else { return };
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    let presets = hostile_presets(here, &|_| true);
    let out = tempfile::tempdir().unwrap();
    let compiled = compiled_for(Some(Target::Swarm), here, &presets);
    lay_out(out.path(), &compiled);
    for strategy in &compiled.plan.strategies {
        let file = format!("{}.stack.yml", strategy.name);
        let service = &config(&docker, out.path(), &file)["services"]["llama"];
        assert_served(out.path(), strategy, &environment(service), "docker stack");
    }
}

#[test]
fn every_preset_becomes_a_stack() {
    let Some(docker) = docker() else { return };
    for path in files("presets", "toml") {
        let preset = path.strip_prefix(root()).unwrap().to_owned();
        let compiled = compiled_for(Some(Target::Swarm), root(), &[preset]);
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &compiled);
        let strategy = &compiled.plan.strategies[0];
        let stack = config(&docker, dir.path(), &format!("{}.stack.yml", strategy.name));
        let service = &stack["services"]["llama"];
        assert_served(dir.path(), strategy, &environment(service), "docker stack");
        assert_eq!(service["image"].as_str().unwrap(), strategy.image.name.as_str());
        for unknown in ["build", "ports", "restart", "security_opt", "tmpfs"] {
            assert!(service.get(unknown).is_none(), "{path}: {unknown}");
        }
        let gpus = strategy.host.as_ref().map_or(0, |host| host.gpus.len());
        let asked = &service["deploy"]["resources"]["reservations"]["generic_resources"];
        let asked = &asked[0]["discrete_resource_spec"]["value"];
        assert_eq!(asked.as_u64().unwrap_or(0), gpus as u64, "{path}");
        let daemon: Json = serde_json::from_str(
            &compiled.artifacts.iter().find(|a| a.path == "daemon.json").unwrap().text,
        )
        .unwrap();
        assert_eq!(daemon.get("node-generic-resources").is_some(), gpus > 0);
    }
}

/// Everything that a stack can be asked for, at once.
#[test]
fn all_keys_of_a_container() {
    let Some(docker) = docker() else { return };
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    std::fs::create_dir(here.join("hardware")).unwrap();
    let gpu = |uuid: &str| {
        format!(
            "[[gpu]]\nname = \"A\"\nmemory_mib = 9000\ncompute_capability = \"8.9\"\nuuid = \"{uuid}\"\n"
        )
    };
    std::fs::write(here.join("hardware/rig.toml"), gpu("GPU-1") + &gpu("GPU-2")).unwrap();
    std::fs::write(
        here.join("a.toml"),
        "hardware = \"rig\"\n[model]\nfile = \"a.gguf\"\n[placement]\nload_mode = \"mlock\"\n\
         [server]\nport = 9000\napi_key_file = \"se $crets/key\"\n[image]\nname = \"r.example/i:t\"\n\
         [container]\nproject = \"own\"\npublish = \"0.0.0.0\"\nmodels_dir = \"/srv/m $x\"\n\
         volumes = [\"/a b:/c:ro\", \"/d:/e\"]\nmemory_limit = 1000\nshm_size = 64\nrestart = \"always\"\n\
         user = \"7:8\"\nenvironment = { A = \"$x\", B = 5 }\n",
    )
    .unwrap();
    let compiled = compiled_for(Some(Target::Swarm), here, &["a.toml".into()]);
    let out = tempfile::tempdir().unwrap();
    lay_out(out.path(), &compiled);
    let stack = config(&docker, out.path(), "a.stack.yml");
    let service = &stack["services"]["llama"];
    let port = &service["ports"][0];
    assert_eq!((port["mode"].as_str(), port["published"].as_u64()), (Some("host"), Some(9000)));
    assert_eq!(service["environment"]["A"], "$x");
    assert_eq!(service["environment"]["B"], "5");
    assert_eq!(service["environment"]["NVIDIA_VISIBLE_DEVICES"], "GPU-1,GPU-2");
    let mounts = service["volumes"].as_array().unwrap();
    let sources: Vec<_> = mounts.iter().filter_map(|mount| mount["source"].as_str()).collect();
    assert_eq!(sources, ["/srv/m $x", "/a b", "/d"]);
    let file = stack["secrets"]["api_key"]["file"].as_str().unwrap();
    assert!(file.ends_with("/se $crets/key"), "{file}");
    assert_eq!(service["secrets"][0]["mode"].as_u64(), Some(0o400));
    assert_eq!(service["deploy"]["restart_policy"]["condition"], "any");
    let daemon = compiled.artifacts.iter().find(|a| a.path == "daemon.json").unwrap();
    assert!(daemon.text.contains("\"NVIDIA-GPU=GPU-1\",\n"), "{}", daemon.text);
}
