//! The program as a user meets it: what it prints where, and with which code it ends.

use std::path::Path;
use std::process::{Command, Output};

use crate::repository::{root, snapshots};

/// Runs the program in the repository's top.
fn run(args: &[&str]) -> Output {
    run_in(root().as_std_path(), args)
}

fn run_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(args)
        .current_dir(dir)
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Both streams and the code, as one text to review.
fn transcript(output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n--- out\n{out}--- err\n{err}", output.status.code().unwrap())
}

#[test]
fn what_it_prints_is_reviewed() {
    for (name, args) in [
        ("help", &["--help"][..]),
        ("help-build", &["build", "--help"]),
        ("list", &["list"]),
        ("list-json", &["list", "--format", "json"]),
        ("show", &["show", "ud-q6"]),
        ("ot", &["ot", "13", "6"]),
        ("ot-too-few-names", &["ot", "13", "6", "--device", "CUDA0"]),
        ("explain", &["explain", "unknown-buffer"]),
        ("explain-unknown", &["explain", "nothing"]),
        ("build-nothing", &["build"]),
        ("build-missing", &["build", "presets/none.toml"]),
        ("check-nothing", &["check", "src"]),
    ] {
        snapshots("cli").bind(|| insta::assert_snapshot!(name, transcript(&run(args))));
    }
}

/// A preset of a user's own, built, changed, noticed and built again.
#[test]
fn the_life_of_an_output_directory() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    let read = |name: &str| std::fs::read_to_string(here.join(name)).unwrap();
    let code = |args: &[&str]| run_in(here, args).status.code().unwrap();
    write("a.toml", "[model]\nfile = \"a.gguf\"\n[context]\nctx_size = 4096\n");

    assert_eq!(code(&["build", "a.toml"]), 0);
    assert!(read("deploy/a/a.env").contains("\nCTX_SIZE=4096\n"));
    assert_eq!(code(&["check"]), 0);

    write("a.toml", "[model]\nfile = \"a.gguf\"\n[context]\nctx_size = 8192\n");
    let output = run_in(here, &["check"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("-CTX_SIZE=4096\n+CTX_SIZE=8192\n"));
    assert_eq!(code(&["build", "a.toml"]), 0);
    assert_eq!(code(&["check", "deploy/a"]), 0);

    let edited = read("deploy/a/a.env").replace("8192", "1024");
    write("deploy/a/a.env", &edited);
    let output = run_in(here, &["build", "a.toml"]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("a.env"));
    assert_eq!(read("deploy/a/a.env"), edited, "the edit is kept");
    assert_eq!(code(&["build", "a.toml", "--force"]), 0);
    assert_eq!(code(&["check"]), 0);

    write("b.toml", "extends = \"a\"\n");
    assert_eq!(code(&["build", "b.toml", "--out", "deploy/a"]), 0);
    assert!(!here.join("deploy/a/a.env").exists(), "what is no longer made is gone");
    assert_eq!(code(&["check"]), 0);
}

/// The same life for another target, and from one target to another.
#[test]
fn the_life_of_another_target() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    let there = |name: &str| here.join("deploy/a").join(name).exists();
    let code = |args: &[&str]| run_in(here, args).status.code().unwrap();
    write("a.toml", "[model]\nfile = \"a.gguf\"\n");
    for (target, file) in [
        ("swarm", "a.stack.yml"),
        ("kubernetes", "a/deployment.yaml"),
        ("quadlet", "llama-a.container"),
        ("compose", "docker-compose.yml"),
    ] {
        assert_eq!(code(&["build", "a.toml", "--target", target]), 0, "{target}");
        assert!(there(file), "{target}");
        assert_eq!(code(&["check"]), 0, "{target}");
        let path = here.join("deploy/a").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# Made by composegen"), "{target}: {text}");
        std::fs::write(&path, format!("{text}# mine\n")).unwrap();
        assert_eq!(code(&["check"]), 3, "{target}");
        assert_eq!(code(&["build", "a.toml", "--target", target]), 6, "{target}");
        assert_eq!(code(&["build", "a.toml", "--target", target, "--force"]), 0, "{target}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    assert!(
        !there("a.stack.yml") && !there("a") && !there("llama-a.container"),
        "what was is gone"
    );

    // A preset's own word counts where the command line has none.
    write("a.toml", "target = \"quadlet\"\n[model]\nfile = \"a.gguf\"\n");
    assert_eq!(code(&["check"]), 3, "an input is another");
    assert_eq!(code(&["build", "a.toml"]), 0);
    assert!(there("llama-a.container") && !there("docker-compose.yml"));
    assert_eq!(code(&["check"]), 0);

    // What starts a strategy starts what Compose would, and writes nothing here.
    let output = run_in(here, &["up", "deploy/a"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`deploy/a` is for quadlet"), "{output:?}");
    assert!(there("llama-a.container"));

    let lock = here.join("deploy/a/composegen.lock");
    let locked = std::fs::read_to_string(&lock).unwrap();
    std::fs::write(&lock, locked.replace("[resolved", "target = \"nomad\"\n\n[resolved")).unwrap();
    let output = run_in(here, &["check"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("names the target `nomad`"), "{output:?}");
}

/// What nodes pull gets its digest from the registry, by way of the user's docker; the base images' are not asked for
/// again where they are pinned, and a name without a registry is nobody's to ask for.
#[test]
fn update_pins_the_image_that_nodes_pull() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let docker = here.join("docker");
    let script = format!("#!/bin/sh\necho \"$6\" >> asked\necho {digest}\n");
    std::fs::write(&docker, script).unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let base = format!("debian@{digest}");
    let preset = |name: &str| {
        format!(
            "[model]\nfile = \"a.gguf\"\n[image]\nbackend = \"cpu\"\nname = \"{name}\"\n\
             commit = \"{}\"\nbuild_base = \"{base}\"\nruntime_base = \"{base}\"\n",
            "0".repeat(40)
        )
    };
    for (name, target, asked) in [
        ("r.example/llama:1", "swarm", true),
        ("r.example/llama:1", "kubernetes", true),
        ("r.example/llama:1", "compose", false),
        ("own/llama:1", "swarm", false),
    ] {
        let _ = std::fs::remove_file(here.join("asked"));
        let _ = std::fs::remove_dir_all(here.join("deploy"));
        std::fs::write(here.join("a.toml"), preset(name)).unwrap();
        assert!(run_in(here, &["build", "a.toml", "--target", target]).status.success());
        let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(["update", "deploy/a"])
            .current_dir(here)
            .env("PATH", format!("{}:/usr/bin:/bin", here.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let list = std::fs::read_to_string(here.join("asked")).unwrap_or_default();
        assert_eq!(list, if asked { format!("{name}\n") } else { String::new() }, "{target}");
        let file = match target {
            "swarm" => "a.stack.yml",
            "kubernetes" => "a/deployment.yaml",
            _ => "docker-compose.yml",
        };
        let made = std::fs::read_to_string(here.join("deploy/a").join(file)).unwrap();
        assert_eq!(made.contains(&format!("image: \"{name}@{digest}\"")), asked, "{made}");
        let warned = text(&output.stderr).matches("unpinned-image").count();
        assert_eq!(warned, usize::from(target != "compose") * (1 + usize::from(!asked)));
        assert_eq!(run_in(here, &["check"]).status.code(), Some(0));
    }
}

#[test]
fn a_foreign_file_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.toml"), "[model]\nfile = \"a.gguf\"\n").unwrap();
    std::fs::create_dir(dir.path().join("out")).unwrap();
    std::fs::write(dir.path().join("out/docker-compose.yml"), "services: {}\n").unwrap();
    let output = run_in(dir.path(), &["build", "a.toml", "--out", "out"]);
    assert_eq!(output.status.code(), Some(6));
    let left: Vec<_> = std::fs::read_dir(dir.path().join("out")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing else was written");
}

#[test]
fn the_same_bytes_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::create_dir_all(here.join("p")).unwrap();
    std::fs::write(here.join("p/a.toml"), "[model]\nfile = \"a.gguf\"\n").unwrap();
    assert!(run_in(here, &["build", "p/a.toml", "--out", "one"]).status.success());
    assert!(run_in(&here.join("p"), &["build", "./a.toml", "--out", "../two"]).status.success());
    for name in
        ["docker-compose.yml", "a.env", ".env", "composegen.lock", "Dockerfile", "entrypoint.sh"]
    {
        let read = |out: &str| std::fs::read(here.join(out).join(name)).unwrap();
        assert_eq!(read("one"), read("two"), "{name}");
    }
}

#[test]
fn warnings_can_be_errors() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.toml"), "[model]\nfile = \"a.gguf\"\nquant = \"Q4_K_M\"\n")
        .unwrap();
    let code = |args: &[&str]| run_in(dir.path(), args).status.code().unwrap();
    assert_eq!(code(&["build", "a.toml", "--deny", "warnings"]), 1);
    assert!(!dir.path().join("deploy").exists());
    assert_eq!(code(&["build", "a.toml"]), 0);
}

#[test]
fn completions_and_man_pages() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("build"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(run_in(dir.path(), &["man", "man1"]).status.success());
    let page = std::fs::read_to_string(dir.path().join("man1/composegen-build.1")).unwrap();
    assert!(page.contains(".TH"), "{page}");
}

#[test]
fn no_colors_without_a_terminal() {
    let output = run(&["build", "presets/none.toml"]);
    assert!(!text(&output.stderr).contains('\x1b'));
}
