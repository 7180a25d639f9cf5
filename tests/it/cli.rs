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
