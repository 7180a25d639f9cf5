//! `composegen client` as a user meets it.

use std::path::Path;
use std::process::{Command, Output};

use composegen::client::Client;

use crate::repository::{root, snapshots};

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

fn transcript(output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n--- out\n{out}--- err\n{err}", output.status.code().unwrap())
}

#[test]
fn what_it_prints_is_reviewed() {
    for (name, args) in [
        ("help-client", &["client", "--help"][..]),
        ("client-list", &["client", "list"]),
        ("client-list-json", &["client", "list", "--format", "json"]),
        ("client-unknown", &["client", "claude", "ud-q6"]),
        ("client-nothing", &["client", "codex"]),
        ("client-dry-run", &["client", "opencode", "ud-q6", "--dry-run", "--key-env", "RIG_KEY"]),
        ("client-json", &["client", "codex", "ud-q6", "--dry-run", "--format", "json"]),
        (
            "client-password",
            &["client", "codex", "ud-q6", "--dry-run", "--url", "http://me:s3cret@rig"],
        ),
        ("client-key", &["client", "codex", "ud-q6", "--dry-run", "--key-env", "sk-s3cret"]),
    ] {
        let output = run_in(root().as_std_path(), args);
        assert!(!transcript(&output).contains("s3cret"), "{name}");
        snapshots("cli").bind(|| insta::assert_snapshot!(name, transcript(&output)));
    }
}

const PRESET: &str =
    "[model]\nfile = \"a.gguf\"\n[context]\nctx_size = 8192\n[server]\nalias = [\"a\"]\n";

#[test]
fn every_client_is_written_and_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::write(here.join("a.toml"), PRESET).unwrap();
    for client in Client::ALL {
        let args = ["client", client.name(), "a.toml"];
        let first = run_in(here, &args);
        assert!(first.status.success(), "{}", transcript(&first));
        let out = here.join("clients/a").join(client.name());
        assert!(out.join(format!("composegen-{client}.lock")).is_file());
        let said = text(&run_in(here, &args).stderr);
        assert!(said.contains("; 0 written"), "{said}");
    }
    std::fs::write(here.join("a.toml"), PRESET.replace("8192", "4096")).unwrap();
    for client in Client::ALL {
        let again = run_in(here, &["client", client.name(), "a.toml"]);
        assert!(again.status.success(), "{}", transcript(&again));
    }
    let written = std::fs::read_to_string(here.join("clients/a/continue/config.yaml")).unwrap();
    assert!(written.contains("contextLength: 4096"), "{written}");
    // They are no output of `build`, and `check` does not take them for one.
    let checked = run_in(here, &["check"]);
    assert_eq!(checked.status.code(), Some(7));
    assert!(text(&checked.stderr).contains("no composegen.lock"), "{}", transcript(&checked));
}

#[test]
fn a_users_own_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::write(here.join("a.toml"), PRESET).unwrap();
    std::fs::create_dir(here.join(".qwen")).unwrap();
    std::fs::write(here.join(".qwen/settings.json"), "{\"mine\": true}\n").unwrap();
    let args = ["client", "qwen-code", "a.toml", "--out", ".qwen"];
    let output = run_in(here, &args);
    assert_eq!(output.status.code(), Some(6), "{}", transcript(&output));
    assert!(text(&output.stderr).contains(".qwen/settings.json (not written by this command)"));
    let files: Vec<_> = std::fs::read_dir(here.join(".qwen")).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing else was written");
    let mine = std::fs::read_to_string(here.join(".qwen/settings.json")).unwrap();
    assert_eq!(mine, "{\"mine\": true}\n");

    // One of ours that was edited is not lost either.
    std::fs::remove_file(here.join(".qwen/settings.json")).unwrap();
    assert!(run_in(here, &args).status.success());
    let edited = std::fs::read_to_string(here.join(".qwen/settings.json")).unwrap() + "\n";
    std::fs::write(here.join(".qwen/settings.json"), &edited).unwrap();
    std::fs::write(here.join("a.toml"), PRESET.replace("8192", "4096")).unwrap();
    let output = run_in(here, &args);
    assert_eq!(output.status.code(), Some(6), "{}", transcript(&output));
    assert!(text(&output.stderr).contains("(edited since)"));
    assert_eq!(std::fs::read_to_string(here.join(".qwen/settings.json")).unwrap(), edited);
}

#[test]
fn clients_can_share_a_directory_until_a_name_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::write(here.join("a.toml"), PRESET).unwrap();
    for client in ["openai", "anthropic", "codex", "claude-code"] {
        let output = run_in(here, &["client", client, "a.toml", "--out", "all"]);
        assert!(output.status.success(), "{}", transcript(&output));
    }
    for file in ["openai.sh", "anthropic.env", "a.config.toml", "settings.json"] {
        assert!(here.join("all").join(file).is_file(), "{file}");
    }
    let output = run_in(here, &["client", "qwen-code", "a.toml", "--out", "all"]);
    assert_eq!(output.status.code(), Some(6), "{}", transcript(&output));
    let dry = run_in(here, &["client", "qwen-code", "a.toml", "--out", "all", "--dry-run"]);
    assert!(dry.status.success() && text(&dry.stdout).contains("\"modelProviders\""));
}

#[test]
fn no_context_is_said_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.toml"), "[model]\nfile = \"a.gguf\"\n").unwrap();
    let output = run_in(dir.path(), &["client", "codex", "a.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("context.ctx_size"));
    assert!(!dir.path().join("clients").exists());
}
