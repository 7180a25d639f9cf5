//! The manifests of `--target kubernetes` run for real: by Podman, which reads a Deployment and a `ConfigMap` as a kubelet
//! does, built by the real Kustomize. There is no cluster here; what only a cluster does (Service, probes, scheduling) is
//! held against schemas elsewhere.

use std::time::{Duration, Instant};

use composegen::quote::kubernetes;

use crate::engine::Engine;
use crate::podman::Podman;
use crate::strategy::Strategy;
use crate::tools;
use crate::words::KNOWN;

/// What was played is taken down however the test ends.
struct Pod<'a>(&'a Podman, &'a str);

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let _ = self.0.command(&["kube", "down", self.1]).output();
    }
}

pub(crate) fn plays() -> Result<(), String> {
    let Some(mut kubectl) = tools::find("kubectl") else { return Ok(()) };
    let machine = Engine::machine();
    let podman = Podman::new();
    podman.take_image()?;
    let strategy = Strategy::new(&machine, "");
    let alias = r#"it's "tiny" $model $(STRATEGY) \d#x é"#;
    // Podman expands nothing: `$$`, which is how `env` holds a `$`, stays two. What is in the ConfigMap is plain in both.
    let written = |value: &&str| kubernetes::scalar(value).is_ok() && !value.contains('$');
    let hostile: Vec<&str> = KNOWN.iter().copied().filter(written).collect();
    assert!(hostile.len() > 10, "{}", hostile.len());
    let mut environment = toml::Table::new();
    for (at, value) in hostile.iter().enumerate() {
        environment.insert(format!("HOSTILE_{at}"), (*value).into());
    }
    let more = toml::toml! {
        target = "kubernetes"
        [server]
        alias = [alias]
        [container]
        project = (strategy.project.clone())
        environment = environment
    };
    strategy.preset("server", &more.to_string());
    strategy.run(&["build", "server.toml", "--out", "base"]).ends(0, "written");

    let manifests = strategy.path().join("manifests.yaml");
    let built = kubectl.args(["kustomize", "base"]).current_dir(strategy.path()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs_err::write(&manifests, built.stdout).unwrap();
    let manifests = manifests.to_str().unwrap();
    podman.run(&["kube", "play", manifests]);
    let pod = Pod(&podman, manifests);

    // `PROJECT-pod-0-llama-server` or, in Podman 5, without the number.
    let name = format!("name={}", strategy.project);
    let names = podman.run(&["ps", "--filter", &name, "--format", "{{.Names}}"]);
    let names = String::from_utf8(names).unwrap();
    let container = names.lines().find(|name| name.ends_with("-llama-server")).unwrap().to_owned();
    let inside = |args: &[&str]| podman.run(&[&["exec", container.as_str()], args].concat());
    let url = format!("http://127.0.0.1:{}", strategy.port);
    let begun = Instant::now();
    // Podman starts probes by systemd's timers, which are not everywhere: the same command, by hand.
    let healthy = ["exec", container.as_str(), "/usr/local/bin/entrypoint", "health"];
    while !podman.command(&healthy).output().unwrap().status.success() {
        let logs = podman.command(&["logs", &container]).output().unwrap();
        let logs = String::from_utf8_lossy(&logs.stderr).into_owned();
        assert!(begun.elapsed() < Duration::from_secs(120), "not healthy: {logs}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let models = inside(&["curl", "--silent", "--fail", &format!("{url}/v1/models")]);
    let models: serde_json::Value = serde_json::from_slice(&models).unwrap();
    assert_eq!(models.pointer("/data/0/id").and_then(|id| id.as_str()), Some(alias), "{models}");
    let question = r#"{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":8}"#;
    let answer = inside(&[
        "curl",
        "--silent",
        "--fail",
        "--data",
        question,
        &format!("{url}/v1/chat/completions"),
    ]);
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let text = answer.pointer("/choices/0/message/content").and_then(|text| text.as_str());
    assert!(text.is_some_and(|text| !text.is_empty()), "{answer}");

    let list = |bytes: Vec<u8>| bytes.split(|&b| b == 0).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let arguments = list(inside(&["cat", "/proc/1/cmdline"]));
    assert!(
        arguments.iter().any(|argument| argument == "llama-server".as_bytes()
            || argument.ends_with(b"/llama-server")),
        "{arguments:?}"
    );
    let variables = list(inside(&["cat", "/proc/1/environ"]));
    let has = |name: &str, value: &str| variables.contains(&format!("{name}={value}").into_bytes());
    assert!(has("LLAMA_ALIAS", alias));
    for (at, value) in hostile.iter().enumerate() {
        assert!(has(&format!("HOSTILE_{at}"), value), "{value:?}");
    }
    // Who it runs as, and that it cannot write where it should not.
    assert_eq!(inside(&["id", "-u"]), b"10001\n");
    let write = podman.command(&["exec", &container, "touch", "/app/x"]).output().unwrap();
    assert!(!write.status.success());

    drop(pod);
    assert_eq!(podman.run(&["ps", "--all", "--quiet", "--filter", &name]), b"");
    Ok(())
}
