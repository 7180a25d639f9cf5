//! What is deployed on other machines, as a user meets it: the way to an image that all nodes pull, and whose command it
//! is that starts and stops.

use std::path::Path;
use std::process::{Command, Output};

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

/// Two machines: the first with what `server` says, the second with two GPUs.
fn cluster(dir: &Path, server: &str, preset: &str) {
    let gpu = "[[host.gpu]]\nmemory_mib = 24564\ncompute_capability = \"8.9\"\n";
    std::fs::create_dir(dir.join("clusters")).unwrap();
    std::fs::write(
        dir.join("clusters/pair.toml"),
        format!(
            "[[host]]\nname = \"desk\"\n{server}[[host]]\nname = \"spare\"\n{gpu}{gpu}\
             [[link]]\nbetween = [\"desk\", \"spare\"]\ngbit = 10\nrtt_ms = 0.2\n"
        ),
    )
    .unwrap();
    std::fs::write(
        dir.join("a.toml"),
        format!(
            "cluster = \"pair\"\ntarget = \"swarm\"\n{preset}\n[model]\nfile = \"a.gguf\"\n\
             [image]\nname = \"registry.example/llama:1\"\n"
        ),
    )
    .unwrap();
}

const PROCESSOR: &str = "[host.ram]\ntotal_mib = 65536\n";

/// The image of a split model is built before anybody can know its digest, and nothing that could be deployed without it
/// is written meanwhile.
#[test]
fn the_first_image_of_a_split_model() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    cluster(here, PROCESSOR, "");
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
