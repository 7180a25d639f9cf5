//! The whole road of a value: preset, `.env`, the real Compose, the container's environment, the real shells, argv.
//! What arrives at llama-server is what was typed, byte for byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use composegen::compile::{Compiled, Request, compile};
use composegen::flags;
use composegen::lock::Resolved;
use composegen::plan::Target;
use composegen::preset::resolve::Library;
use composegen::strategy::Strategy;

use crate::repository::{files, root};
use crate::tools;

fn compiled(dir: &Utf8Path, presets: &[Utf8PathBuf]) -> Compiled {
    compiled_for(None, dir, presets)
}

pub(crate) fn compiled_for(
    target: Option<Target>,
    dir: &Utf8Path,
    presets: &[Utf8PathBuf],
) -> Compiled {
    let load = |path: &Utf8Path| std::fs::read_to_string(dir.join(path));
    let mut library = Library::new(&load);
    let request = Request {
        presets,
        out: Utf8Path::new("out"),
        target,
        here: dir,
        pinned: &Resolved::default(),
        placements: &BTreeMap::new(),
        builds_image: false,
    };
    let result = compile(&mut library, request).unwrap();
    result.unwrap_or_else(|| panic!("{presets:?}: {:?}", library.findings))
}

/// Writes the artifacts, and a server that keeps its arguments.
pub(crate) fn lay_out(dir: &Path, compiled: &Compiled) {
    use std::os::unix::fs::PermissionsExt as _;
    for artifact in &compiled.artifacts {
        let file = dir.join(&artifact.path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &artifact.text).unwrap();
    }
    std::fs::create_dir_all(dir.join("bin")).unwrap();
    let server = dir.join("bin/llama-server");
    std::fs::write(&server, "#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done > \"$ARGV\"\n")
        .unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(dir.join("models")).unwrap();
}

/// The environment that Compose gives the container of a strategy.
fn environment(compose: &Path, dir: &Path, strategy: &str) -> BTreeMap<String, String> {
    let output = Command::new(compose)
        .args(["--env-file", &format!("{strategy}.env"), "config", "--format", "json"])
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {strategy}: {said}", compose.display());
    let config: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let environment = config["services"]["llama"]["environment"].as_object().unwrap();
    // `config` writes what could be read again, with every dollar doubled.
    environment
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().replace("$$", "$")))
        .collect()
}

/// The arguments with which the entrypoint starts llama-server.
pub(crate) fn argv(
    shell: &[&str],
    dir: &Path,
    environment: &BTreeMap<String, String>,
) -> Vec<String> {
    let file = dir.join("argv");
    let mut environment = environment.clone();
    // Nobody here has the workers' names, and the script would wait for them.
    environment.remove("WORKERS");
    // The model has to be there; nothing else of the road depends on where.
    let model = dir.join("models").join("any.gguf");
    std::fs::write(&model, "").unwrap();
    environment.insert("MODEL".to_owned(), model.to_str().unwrap().to_owned());
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .arg("entrypoint.sh")
        .current_dir(dir)
        .env_clear()
        .envs(&environment)
        .env("PATH", format!("{}:/usr/bin:/bin", dir.join("bin").display()))
        .env("ARGV", &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shell:?}: {said}");
    let bytes = std::fs::read(&file).unwrap();
    let words =
        bytes.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).unwrap());
    let mut words: Vec<String> = words.collect();
    words.pop();
    words
}

/// Each flag of the strategy with its value, then its further arguments at the end.
pub(crate) fn assert_arrived(strategy: &Strategy, argv: &[String], how: &str) {
    let extra = &strategy.extra_args;
    let (flags, tail) = argv.split_at(argv.len() - extra.len());
    assert_eq!(tail, extra.as_slice(), "{how}: extra_args");
    let given = flags::split(flags).unwrap();
    let arrived: BTreeMap<&str, String> = given
        .iter()
        .map(|given| {
            (
                given.flag.long,
                match given.flag.kind.words() {
                    0 => (!given.negated).to_string(),
                    _ => given.value().to_owned(),
                },
            )
        })
        .collect();
    let mut expected: BTreeMap<&str, String> = strategy
        .settings
        .iter()
        .filter(|setting| setting.env_value().is_some())
        .map(|setting| (setting.emit.on, setting.word.clone()))
        .collect();
    expected.entry("--host").or_insert_with(|| "0.0.0.0".to_owned());
    expected.insert("--port", strategy.port.to_string());
    expected.insert("--model", arrived["--model"].clone());
    assert_eq!(arrived, expected, "{how}");
}

/// A container's environment, through the entrypoint of the directory in every shell.
pub(crate) fn assert_served(
    dir: &Path,
    strategy: &Strategy,
    environment: &BTreeMap<String, String>,
    by: &str,
) {
    assert_eq!(environment["MODEL"], strategy.model);
    let busybox = tools::find("busybox");
    let mut shells: Vec<Vec<&str>> = vec![vec!["sh"], vec!["bash", "--posix"]];
    shells.extend(busybox.as_ref().map(|b| vec![b.to_str().unwrap(), "sh"]));
    for shell in shells.iter().filter(|shell| tools::find(shell[0]).is_some()) {
        let argv = argv(shell, dir, environment);
        assert_arrived(strategy, &argv, &format!("{} by {by} and {shell:?}", strategy.name));
    }
}

fn travel(dir: &Path, compiled: &Compiled) {
    lay_out(dir, compiled);
    for compose in tools::composes() {
        for strategy in &compiled.plan.strategies {
            let environment = environment(&compose, dir, &strategy.name);
            assert_served(dir, strategy, &environment, compose.to_str().unwrap());
        }
    }
}

#[test]
fn every_preset_arrives_as_typed() {
    for path in files("presets", "toml") {
        let dir = tempfile::tempdir().unwrap();
        let preset = path.strip_prefix(root()).unwrap().to_owned();
        travel(dir.path(), &compiled(root(), &[preset]));
    }
}

/// Text that some parser on the road would rather read as something else.
const HOSTILE: &[&str] = &[
    r"-ot blk\.([0-9]|1[0-2])\.=CUDA0",
    "  lead and trail  ",
    "a # b",
    "#a",
    "x$HOME/y",
    "x${HOME}y",
    "a$$b",
    "^blk$",
    "a${b",
    "it's",
    "say \"hi\" now",
    "'q'",
    "a'b\"c",
    "{\"enable_thinking\": false}",
    "trail\\",
    "a\\\\b",
    "lit\\n",
    "a\\$b",
    "a\\'b",
    "l1\nl2\n",
    "a\rb\r",
    "* ? [a-z] ~",
    "`id` $(id)",
    "a;b&c|d<e>f(g)h!i",
    "a}b:-c",
    "null",
    "a\u{a0}",
    "a\u{1}\u{7}\u{1b}\u{7f}b",
    "żółć 日本 🦙",
    "--flag=value",
    "%s %d %%",
];

/// Writes a preset for each of [`HOSTILE`] that the target can take, with the text wherever a text can stand.
pub(crate) fn hostile_presets(here: &Utf8Path, takes: &dyn Fn(&str) -> bool) -> Vec<Utf8PathBuf> {
    let mut presets = Vec::new();
    for (i, text) in HOSTILE.iter().enumerate().filter(|(_, text)| takes(text)) {
        let word = toml::Value::String((*text).to_owned());
        let listed = toml::Value::String(text.replace(',', ";"));
        let preset = format!(
            "extra_args = [\"--grammar\", {word}, \"--json-schema\", {word}]\n\
             [model]\nfile = {}\n[chat]\nchat_template = {word}\nreasoning_budget_message = {word}\n\
             chat_template_kwargs = {{ key = {word} }}\n[server]\nalias = [{listed}]\n",
            toml::Value::String(format!("{}.gguf", text.replace(['\n', '\r'], " "))),
        );
        std::fs::write(here.join(format!("p{i}.toml")), preset).unwrap();
        presets.push(Utf8PathBuf::from(format!("p{i}.toml")));
    }
    presets
}

#[test]
fn hostile_values_arrive_as_typed() {
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    let presets = hostile_presets(here, &|_| true);
    let out = tempfile::tempdir().unwrap();
    travel(out.path(), &compiled(here, &presets));
}

#[test]
fn the_seeds_command_still_works() {
    let dir = tempfile::tempdir().unwrap();
    let compiled = compiled(root(), &["presets/ud-q6.toml".into()]);
    lay_out(dir.path(), &compiled);
    let Some(compose) = tools::composes().pop() else { return };
    let mut environment = environment(&compose, dir.path(), "ud-q6");
    let extra = r"--jinja -np 1 -b 2048 -ub 2048 --no-context-shift \
  --temp 1.0 -ot blk\.([0-9]|1[0-4])\.=CUDA0,blk\.(1[5-9]|2[0-1])\.=CUDA1,exps=CPU";
    // In double quotes the shell takes the backslash and the line break away.
    environment.insert("EXTRA_ARGS".to_owned(), extra.replace("\\\n", ""));
    environment.insert("CTX_SIZE".to_owned(), "65536".to_owned());
    let argv = argv(&["sh"], dir.path(), &environment);
    let after = |flag: &str| {
        let at = argv.iter().position(|word| word == flag).unwrap();
        argv[at + 1].as_str()
    };
    assert_eq!(after("--ctx-size"), "65536");
    assert_eq!(after("-ot"), r"blk\.([0-9]|1[0-4])\.=CUDA0,blk\.(1[5-9]|2[0-1])\.=CUDA1,exps=CPU");
    assert!(!argv.iter().any(|word| word == "--override-tensor"), "{argv:?}");
    assert_eq!(argv.last().unwrap(), after("-ot"));
}

#[test]
fn linters_find_nothing() {
    let (hadolint, shellcheck) = (tools::find("hadolint"), tools::find("shellcheck"));
    for example in ["ud-q6", "two-gpus", "smollm2-cpu"] {
        let dir = root().join("examples").join(example);
        let judge = |program: &Path, args: &[&str]| {
            let output = Command::new(program).args(args).current_dir(&dir).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.is_empty(), "{example}: {said}");
        };
        if let Some(hadolint) = &hadolint {
            judge(hadolint, &["Dockerfile"]);
        }
        if let Some(shellcheck) = &shellcheck {
            judge(shellcheck, &["--shell=sh", "entrypoint.sh"]);
        }
    }
}
