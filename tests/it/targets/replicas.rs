//! Several servers behind one address: what Compose reads of them, what each is given, and that the front's files are kept
//! like all others.

use std::collections::BTreeSet;
use std::process::Command;

use camino::Utf8Path;
use composegen::compile::Compiled;
use composegen::plan::Target;
use serde_json::Value as Json;

use crate::chain::{compiled_for, hostile_presets, lay_out};
use crate::repository::{root, snapshots};
use crate::tools;

/// Four GPUs of two kinds, known by their place on the bus; the file lists them in another order.
fn rig(dir: &Utf8Path, uuids: bool) {
    std::fs::create_dir_all(dir.join("hardware")).unwrap();
    let gpu = |name: &str, bus: u8| {
        let uuid = if uuids { format!("uuid = \"GPU-{bus}\"\n") } else { String::new() };
        format!(
            "[[gpu]]\nname = \"{name}\"\nmemory_mib = 24000\nfree_mib = 23000\ncompute_capability = \"8.9\"\n\
             pci = \"0000:0{bus}:00.0\"\n{uuid}"
        )
    };
    let text = [gpu("A", 7), gpu("B", 1), gpu("A", 5), gpu("B", 3)].concat();
    std::fs::write(dir.join("hardware/rig.toml"), text).unwrap();
}

fn text<'a>(compiled: &'a Compiled, path: &str) -> &'a str {
    &compiled.artifacts.iter().find(|artifact| artifact.path == path).unwrap().text
}

/// What the real Compose makes of the directory, by each major that is there.
fn configs(compiled: &Compiled) -> Vec<Json> {
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), compiled);
    let read = |compose| {
        let output = Command::new(compose)
            .args(["config", "--format", "json"])
            .current_dir(dir.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    tools::composes().into_iter().map(read).collect()
}

#[test]
fn each_server_has_its_gpus() {
    for (uuids, ids, orders) in [
        (false, [["0", "3"], ["1", "2"]], ["1,0", "1,0"]),
        (true, [["GPU-7", "GPU-1"], ["GPU-5", "GPU-3"]], ["GPU-7,GPU-1", "GPU-5,GPU-3"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let here = Utf8Path::from_path(dir.path()).unwrap();
        rig(here, uuids);
        let preset = "hardware = \"rig\"\n[model]\nfile = \"a.gguf\"\nlayers = 10\n[placement]\nlayers = [6, 4]\n\
                      [server]\nport = 9000\n[container]\nreplica_gpus = [[0, 1], [2, 3]]\n";
        std::fs::write(here.join("a.toml"), preset).unwrap();
        let compiled = compiled_for(None, here, &["a.toml".into()]);
        // It is planned on what one server has.
        assert_eq!(compiled.plan.strategies[0].host.as_ref().unwrap().gpus.len(), 2);
        for config in configs(&compiled) {
            let services = config["services"].as_object().unwrap();
            let names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
            assert_eq!(names, BTreeSet::from(["front", "llama-1", "llama-2"]));
            for (i, name) in ["llama-1", "llama-2"].into_iter().enumerate() {
                let service = &services[name];
                assert!(service.get("ports").is_none(), "{name}");
                let device = &service["deploy"]["resources"]["reservations"]["devices"][0];
                assert_eq!(device["device_ids"], serde_json::json!(ids[i]), "{name}");
                assert_eq!(service["environment"]["CUDA_VISIBLE_DEVICES"], orders[i], "{name}");
                assert_eq!(service["environment"]["PORT"], "9000");
            }
            let front = &services["front"];
            assert_eq!(front["ports"][0]["published"], "9000");
            assert_eq!(front["environment"]["PORT"], "9000");
            assert!(front.get("deploy").is_none() && services["llama-2"].get("build").is_none());
        }
    }
}

/// One set is one server with these GPUs alone, and no front.
#[test]
fn one_set_is_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    rig(here, true);
    let preset =
        "hardware = \"rig\"\n[model]\nfile = \"a.gguf\"\n[container]\nreplica_gpus = [[1]]\n";
    std::fs::write(here.join("a.toml"), preset).unwrap();
    let compiled = compiled_for(None, here, &["a.toml".into()]);
    assert!(compiled.artifacts.iter().all(|artifact| artifact.path != "haproxy.cfg"));
    let compose = text(&compiled, "docker-compose.yml");
    assert!(compose.contains("  llama:\n") && compose.contains("- \"GPU-1\"\n"), "{compose}");
}

/// What is hostile reaches every server as it is, and the front not at all.
#[test]
fn hostile_values_do_not_reach_the_front() {
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    let presets = hostile_presets(here, &|_| true);
    for preset in &presets {
        let path = here.join(preset);
        let text = std::fs::read_to_string(&path).unwrap();
        let more = "[image]\nbackend = \"cpu\"\n[container]\nreplicas = 2\n";
        std::fs::write(path, text + more).unwrap();
    }
    let compiled = compiled_for(None, here, &presets);
    let config = text(&compiled, "haproxy.cfg");
    let code = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let plain = compiled_for(None, root(), &["presets/replicas/smollm2-cpu-2.toml".into()]);
    assert_eq!(code(config), code(text(&plain, "haproxy.cfg")));
    for config in configs(&compiled) {
        let services = &config["services"];
        assert_eq!(services["llama-1"]["environment"], services["llama-2"]["environment"]);
    }
}

/// Another configuration makes Compose start another front.
#[test]
fn the_front_follows_its_configuration() {
    let compiled = compiled_for(None, root(), &["presets/replicas/smollm2-cpu-2.toml".into()]);
    let artifact = compiled.artifacts.iter().find(|a| a.path == "haproxy.cfg").unwrap();
    let label = format!("dev.composegen.front: \"{}\"", artifact.digest());
    assert!(text(&compiled, "docker-compose.yml").contains(&label), "{label}");
    for file in ["docker-compose.yml", "haproxy.cfg"] {
        snapshots("smollm2-cpu-2").bind(|| insta::assert_snapshot!(file, text(&compiled, file)));
    }
    assert_eq!(compiled.plan.target, Target::Compose);
}
