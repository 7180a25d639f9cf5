//! `up`, what it serves, and `down`; beside the real Compose, and as Compose would have done it.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::Case;
use crate::engine::Engine;
use crate::strategy::Strategy;
use crate::tools;

pub(crate) const CASES: &[Case] = &[
    ("serving::up_chat_down", up_chat_down),
    ("serving::as_compose_would", as_compose_would),
    ("serving::compose_sees_and_stops_ours", compose_sees_and_stops_ours),
    ("serving::ours_sees_and_stops_composes", ours_sees_and_stops_composes),
    ("serving::hostile_values_arrive", hostile_values_arrive),
    ("serving::one_off", one_off),
    ("serving::an_image_for_other_strategies", an_image_for_other_strategies),
];

const QUESTION: &str =
    r#""messages":[{"role":"user","content":"Say hello."}],"max_tokens":8,"temperature":0"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn up_chat_down(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let said = strategy.up().ends(0, "healthy after");
    assert_eq!(said.out.trim(), format!("http://127.0.0.1:{}", strategy.port));
    assert!(said.err.contains("loading the weights"), "{said}");

    let answer = json(&strategy.ask("/v1/chat/completions", &format!("{{{QUESTION}}}")));
    let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
    assert!(text.is_some_and(|text| !text.is_empty()), "{answer}");
    let answer = json(&strategy.ask("/v1/messages", &format!(r#"{{"model":"x",{QUESTION}}}"#)));
    let text = answer.pointer("/content/0/text").and_then(Value::as_str);
    assert!(text.is_some_and(|text| !text.is_empty()), "{answer}");
    let stream = strategy.ask("/v1/chat/completions", &format!(r#"{{"stream":true,{QUESTION}}}"#));
    // A piece may hold several tokens, where a character is made of several.
    assert!(stream.matches("data: {").count() > 1 && stream.contains("data: [DONE]"), "{stream}");

    let status = strategy.run(&["status", &strategy.project, "--format", "json"]).ends(0, "");
    let status = json(&status.out);
    let is = |pointer: &str| status.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(is("/0/strategy"), "server");
    assert_eq!(is("/0/state"), "running");
    assert_eq!(is("/0/ports/0"), strategy.port);
    assert!(is("/0/tokens_per_second/generated").as_f64().is_some_and(|n| n > 0.0), "{status}");
    assert!(is("/0/planned/0/mib").as_f64().is_some_and(|n| n > 90.0), "{status}");

    let logs = strategy.run(&["logs", &strategy.project, "--tail", "400"]).ends(0, "model loaded");
    assert!(logs.out.starts_with("composegen: llama-server --model "), "{logs}");
    strategy.up().ends(0, "runs already");
    strategy.run(&["restart", &strategy.project]).ends(0, "restarting");
    strategy.down().ends(0, "stopping");
    strategy.nothing_is_left();
    strategy.down().ends(0, "nothing runs");
}

/// What the engine knows of a container, without what is new in each run.
fn facts(strategy: &Strategy<'_>) -> Value {
    let mut inspected = strategy.inspect();
    let mut facts = serde_json::Map::new();
    for part in ["HostConfig", "Config"] {
        facts.insert(part.to_owned(), inspected.get_mut(part).unwrap().take());
    }
    let mut facts = Value::Object(facts);
    let config = facts.get_mut("Config").unwrap().as_object_mut().unwrap();
    config.remove("Hostname");
    let mut environment: Vec<String> =
        serde_json::from_value(config.remove("Env").unwrap()).unwrap();
    environment.sort();
    config.insert("Env".to_owned(), environment.into());
    let labels = config.get_mut("Labels").unwrap().as_object_mut().unwrap();
    for own in ["config-hash", "version"] {
        labels.remove(&format!("com.docker.compose.{own}")).unwrap();
    }
    // Compose takes them from a map: their order is another one from run to run.
    if let Some(mounts) = facts.pointer_mut("/HostConfig/Mounts").and_then(Value::as_array_mut) {
        mounts.sort_by_key(|mount| mount.get("Target").map(Value::to_string));
    }
    let networks = inspected.pointer("/NetworkSettings/Networks").unwrap().as_object().unwrap();
    let names: Vec<String> = networks.keys().cloned().collect();
    facts.as_object_mut().unwrap().insert("Networks".to_owned(), names.into());
    facts
}

/// Every key of a preset that reaches the container is set, but for what needs a GPU or a right to lock memory.
const FULL: &str = r#"
[container]
memory_limit = 2000
shm_size = 64
restart = "on-failure:2"
environment = { PLAIN = "x", NASTY = "a $b 'c' \"d\" \\e" }
volumes = ["/usr/share:/extra:ro"]
log_max_size = 3
stop_grace_period = 7
start_period = 77
"#;

fn as_compose_would(engine: &Engine) {
    let strategy = Strategy::new(engine, FULL);
    strategy.up().ends(0, "healthy after");
    is_what_compose_would_start(&strategy);
}

/// What runs, and is stopped, is what both majors of Compose start from the same files.
pub(crate) fn is_what_compose_would_start(strategy: &Strategy<'_>) {
    let ours = facts(strategy);
    strategy.down().ends(0, "stopping");
    for version in ["2", "5"] {
        let Some(up) = strategy.compose(version, &["up", "--detach"]) else { return };
        up.ends(0, "");
        let theirs = facts(strategy);
        strategy.compose(version, &["down"]).unwrap().ends(0, "");
        let text = |facts: &Value| serde_json::to_string_pretty(facts).unwrap();
        let (ours, theirs) = (text(&ours), text(&theirs));
        let differ: Vec<_> = ours.lines().zip(theirs.lines()).filter(|(a, b)| a != b).collect();
        assert!(ours == theirs, "Compose {version}: {differ:#?}");
    }
    strategy.nothing_is_left();
}

fn compose_sees_and_stops_ours(engine: &Engine) {
    for version in ["2", "5"] {
        let program = tools::target(&format!("tools/bin/docker-compose-{version}"));
        if tools::find(&format!("docker-compose-{version}")).is_none() {
            return;
        }
        let strategy = Strategy::new(engine, "");
        // With a Compose in PATH, it is asked for its own name of the configuration.
        let bin = strategy.path().join("bin");
        fs_err::create_dir(&bin).unwrap();
        symlink(program.canonicalize().unwrap(), bin.join("docker-compose")).unwrap();
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let mut up = strategy.command(&["up", "server.toml", "--out", &strategy.project]);
        crate::strategy::Said::from(up.env("PATH", path).output().unwrap()).ends(0, "healthy");

        let compose = |args: &[&str]| strategy.compose(version, args).unwrap();
        compose(&["ps", "--format", "json"]).ends(0, &strategy.container());
        compose(&["logs"]).ends(0, "model loaded");
        let id = || strategy.inspect().get("Id").cloned();
        let before = id();
        compose(&["up", "--detach"]).ends(0, "");
        assert_eq!(id(), before, "Compose {version} made the container anew");
        compose(&["down"]).ends(0, "");
        strategy.nothing_is_left();
    }
}

fn ours_sees_and_stops_composes(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    strategy.run(&["build", "server.toml", "--out", &strategy.project]).ends(0, "written");
    let Some(up) = strategy.compose("5", &["up", "--detach"]) else { return };
    up.ends(0, "");
    strategy.run(&["status", &strategy.project]).ends(0, "running");
    // What runs is replaced, since it is not known to be the same.
    strategy.up().ends(0, "healthy after");
    strategy.down().ends(0, "stopping");
    strategy.nothing_is_left();
}

fn hostile_values_arrive(engine: &Engine) {
    let name = r#"it's "tiny" $model \d#x é"#;
    let more = format!("[server]\nalias = [{}]\n", toml::Value::from(name));
    let strategy = Strategy::new(engine, &more);
    strategy.up().ends(0, "healthy after");
    let models = json(&strategy.ask("/v1/models", ""));
    assert_eq!(models.pointer("/data/0/id").and_then(Value::as_str), Some(name), "{models}");
    strategy.down().ends(0, "stopping");
}

fn one_off(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let run = |command: &[&str]| {
        let args = ["run", "server.toml", "--out", &strategy.project, "--"];
        strategy.run(&[&args, command].concat())
    };
    run(&["llama-server", "--version"]).ends(0, "version:");
    run(&["sh", "-c", "echo \"$0 $MODEL\"; exit 0", "a  b$c"]).ends(0, "a  b$c SmolLM2");
    run(&["--no-such-flag"]).ends(14, "invalid argument: --no-such-flag");
    run(&["sh", "-c", "exit 3"]).ends(25, "`sh` ended with exit code 3");
    // As a shell and an init report a program that met an instruction its processor does not have.
    run(&["sh", "-c", "kill -s ILL $$"]).ends(17, "an instruction that this CPU does not have");
    strategy.nothing_is_left();
}

fn an_image_for_other_strategies(engine: &Engine) {
    // A variable of its own, which the entrypoint of the image has never heard of.
    let strategy = Strategy::new(engine, "[sampling]\ntemp = 0.5\n");
    strategy.up().ends(20, "would ignore");
    strategy.nothing_is_left();
}
