//! What is deployed on other machines, as a user meets it: the way to an image that all nodes pull, and whose command it
//! is that starts and stops.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

/// Without an engine: what a command says of that, it says last.
fn composegen(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(args)
        .current_dir(dir)
        .env("DOCKER_HOST", format!("unix://{}/none.sock", dir.display()))
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A preset for two machines, of which only the second has GPUs.
fn cluster(dir: &Path) {
    let gpu = "[[host.gpu]]\nmemory_mib = 24564\ncompute_capability = \"8.9\"\n";
    std::fs::create_dir(dir.join("clusters")).unwrap();
    std::fs::write(
        dir.join("clusters/pair.toml"),
        format!(
            "[[host]]\nname = \"desk\"\n[host.ram]\ntotal_mib = 65536\n[[host]]\nname = \"spare\"\n{gpu}{gpu}\
             [[link]]\nbetween = [\"desk\", \"spare\"]\ngbit = 10\nrtt_ms = 0.2\n"
        ),
    )
    .unwrap();
    std::fs::write(
        dir.join("a.toml"),
        "cluster = \"pair\"\ntarget = \"swarm\"\n[model]\nfile = \"a.gguf\"\n\
         [image]\nname = \"registry.example/llama:1\"\n",
    )
    .unwrap();
}

/// The image of a split model is built before anybody can know its digest, and nothing that could be deployed without it
/// is written meanwhile.
#[test]
fn the_first_image_of_a_split_model() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    cluster(here);
    let there = |name: &str| here.join("deploy/a").join(name).exists();

    let output = composegen(here, &["build", "a.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("mixed-builds"), "{}", said(&output));
    assert!(said(&output).contains("`composegen build --image` builds the image"));
    assert!(!here.join("deploy").exists());

    let output = composegen(here, &["build", "a.toml", "--image"]);
    assert_eq!(output.status.code(), Some(4), "the engine is asked: {}", said(&output));
    assert!(said(&output).contains("warning[unpinned-image]"), "{}", said(&output));
    assert!(said(&output).contains("then `composegen push deploy/a`"), "{}", said(&output));
    assert!(there("Dockerfile") && there("entrypoint.sh") && there("composegen.lock"));
    assert!(!there("a.stack.yml"));
    let output = composegen(here, &["check"]);
    assert_eq!(output.status.code(), Some(1), "it is not done yet: {}", said(&output));

    // What `push` does when it knows the digest.
    let lock = here.join("deploy/a/composegen.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let image = "[resolved.images]\n";
    assert!(text.contains(image), "{text}");
    let digest = "ab".repeat(32);
    let pinned = format!("{image}\"registry.example/llama:1\" = \"sha256:{digest}\"\n");
    std::fs::write(&lock, text.replace(image, &pinned)).unwrap();
    let output = composegen(here, &["build", "a.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(there("a.stack.yml"));
    assert_eq!(composegen(here, &["check"]).status.code(), Some(0));

    // Without a registry in its name an image is on no other node.
    let preset = std::fs::read_to_string(here.join("a.toml")).unwrap();
    std::fs::write(here.join("a.toml"), preset.replace("registry.example/", "")).unwrap();
    let output = composegen(here, &["build", "a.toml", "--image"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

/// Only what has GPUs is given some, each node is told of its own, and names stay names for whoever reads YAML.
#[test]
fn each_node_offers_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    cluster(here);
    let edit = |file: &str, pairs: &[(&str, &str)]| {
        let path = here.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = pairs.iter().fold(text, |text, (from, to)| text.replace(from, to));
        std::fs::write(path, text).unwrap();
    };
    edit("a.toml", &[("llama:1", &format!("llama:1@sha256:{}", "ab".repeat(32)))]);
    edit("clusters/pair.toml", &[("\"desk\"", "\"010\""), ("\"spare\"", "\"true\"")]);
    let read =
        |file: &str| std::fs::read_to_string(here.join("deploy/a").join(file)).unwrap_or_default();
    assert!(composegen(here, &["build", "a.toml"]).status.success());
    let stack = read("a.stack.yml");
    assert!(stack.contains("dev.composegen.host: \"true\"\n"), "{stack}");
    let stack: Json = serde_saphyr::from_str(&stack).unwrap();
    assert!(stack["services"]["llama"]["deploy"].get("resources").is_none(), "{stack}");
    let worker = &stack["services"]["llama-true"]["deploy"]["resources"]["reservations"];
    assert_eq!(worker["generic_resources"][0]["discrete_resource_spec"]["value"], 2);
    assert_eq!(read("daemon.json"), "");
    let daemon = |host: &str| -> Json {
        serde_json::from_str(&read(&format!("daemon-{host}.json"))).unwrap()
    };
    assert_eq!(daemon("true")["node-generic-resources"][0], "NVIDIA-GPU=2");
    assert!(daemon("010").get("node-generic-resources").is_none());

    let preset = std::fs::read_to_string(here.join("a.toml")).unwrap();
    let preset = format!("{preset}[container]\nproject = \"on\"\nuser = \"010:0011\"\n");
    std::fs::write(here.join("a.toml"), preset).unwrap();
    let output = composegen(here, &["build", "a.toml", "--target", "kubernetes"]);
    assert!(output.status.success(), "{}", said(&output));
    let deployment = read("a/deployment.yaml");
    assert!(deployment.contains("\n  name: \"on\"\n"), "{deployment}");
    assert!(deployment.contains("runAsUser: 10\n        runAsGroup: 11\n"), "{deployment}");
    assert!(!deployment.contains("nvidia.com/gpu"), "{deployment}");
    assert!(read("a/workers.yaml").contains("nvidia.com/gpu: 2\n"));
}

/// What another program runs, its own command stops and shows; a name that nothing has is a mistake, not an idle server.
#[test]
fn whose_command_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::write(here.join("a.toml"), "[model]\nfile = \"a.gguf\"\n").unwrap();
    for (target, commands) in [
        (
            "swarm",
            [
                "docker stack rm llama",
                "docker service update --force llama_llama",
                "docker service logs --follow llama_llama",
                "no engine answers",
            ],
        ),
        (
            "kubernetes",
            [
                "kubectl scale deployment/llama --replicas=0",
                "kubectl rollout restart deployment/llama",
                "kubectl logs --follow deployment/llama",
                "kubectl get pods --selector app.kubernetes.io/instance=llama",
            ],
        ),
        (
            "quadlet",
            [
                "systemctl --user stop llama-a",
                "systemctl --user restart llama-a",
                "journalctl --user --follow --unit llama-a",
                "systemctl --user status llama-a",
            ],
        ),
        ("compose", ["no engine answers"; 4]),
    ] {
        assert!(composegen(here, &["build", "a.toml", "--target", target]).status.success());
        for (verb, command) in ["down", "restart", "logs", "status"].into_iter().zip(commands) {
            let output = composegen(here, &[verb, "deploy/a"]);
            let code = if command.starts_with("no engine") { 4 } else { 2 };
            assert_eq!(output.status.code(), Some(code), "{verb} {target}: {}", said(&output));
            assert!(said(&output).contains(command), "{verb} {target}: {}", said(&output));
        }
    }
}

/// What was edited by hand is refused before anything is sent, since the digest could not be written afterwards.
#[test]
fn an_edit_is_found_before_the_image_is_pushed() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let preset = "target = \"swarm\"\n[model]\nfile = \"a.gguf\"\n[image]\nname = \"registry.example/llama:1\"\n";
    std::fs::write(here.join("a.toml"), preset).unwrap();
    assert!(composegen(here, &["build", "a.toml"]).status.success());
    let output = composegen(here, &["push", "a.toml"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let stack = here.join("deploy/a/a.stack.yml");
    let text = std::fs::read_to_string(&stack).unwrap() + "# mine\n";
    std::fs::write(&stack, &text).unwrap();
    let output = composegen(here, &["push", "a.toml"]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(&stack).unwrap(), text);
    assert_eq!(composegen(here, &["push", "a.toml", "--force"]).status.code(), Some(4));
}

/// Where the engine is another machine's, so are the models.
#[test]
fn models_are_looked_for_where_the_engine_is() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::write(here.join("a.toml"), "[model]\nfile = \"a.gguf\"\n").unwrap();
    let output = composegen(here, &["up", "a.toml"]);
    assert_eq!(output.status.code(), Some(12), "{}", said(&output));
    let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(["up", "a.toml"])
        .current_dir(here)
        .env("DOCKER_HOST", "tcp://127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
}
