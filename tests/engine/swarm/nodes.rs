//! Two engines that form a Swarm for as long as a test lasts, and the stacks on it.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::Engine;
use crate::strategy::models;

/// One Swarm at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Manager and worker. Both leave the Swarm when dropped.
pub(super) struct Nodes {
    pub(super) one: Engine,
    pub(super) two: Engine,
    /// The image's id, the same on both.
    pub(super) image: String,
    _alone: std::sync::MutexGuard<'static, ()>,
}

impl Nodes {
    /// Whether there are two engines that no Swarm uses, else what is missing.
    pub(super) fn ready() -> Result<(), String> {
        let [one, two] = Engine::all();
        for engine in [&one, &two] {
            engine.ready()?;
            let state = ["info", "--format", "{{.Swarm.LocalNodeState}}"];
            let state = engine.docker(&state).output().map_err(|error| error.to_string())?;
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            if state != "inactive" {
                return Err(format!("engine `{}` is in a Swarm already ({state})", engine.name));
            }
        }
        super::same_image([&one, &two]).map(drop)
    }

    pub(super) fn join() -> Self {
        let alone = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let [one, two] = Engine::all();
        let image = super::same_image([&one, &two]).unwrap();
        let nodes = Self { one, two, image, _alone: alone };
        // The second engine is a container of the first, and reaches it at the bridge's own address: the first of the subnet,
        // where the engine does not say.
        let config = "{{(index .IPAM.Config 0).Gateway}} {{(index .IPAM.Config 0).Subnet}}";
        let config = nodes.manager(&["network", "inspect", "bridge", "--format", config]);
        let address = match config.split_once(' ') {
            Some((gateway, _)) if !gateway.is_empty() => gateway.to_owned(),
            _ => config.trim().rsplit_once('.').unwrap().0.to_owned() + ".1",
        };
        nodes.manager(&["swarm", "init", "--advertise-addr", &address]);
        let token = nodes.manager(&["swarm", "join-token", "--quiet", "worker"]);
        nodes.two.run(&["swarm", "join", "--token", &token, &format!("{address}:2377")]);
        for (node, role) in [("one", "manager"), ("two", "worker")] {
            let id = nodes.id(role);
            let label = format!("composegen.machine={node}");
            nodes.manager(&["node", "update", "--label-add", &label, &id]);
        }
        nodes
    }

    fn manager(&self, args: &[&str]) -> String {
        String::from_utf8(self.one.run(args)).unwrap().trim().to_owned()
    }

    fn id(&self, role: &str) -> String {
        self.manager(&["node", "ls", "--quiet", "--filter", &format!("role={role}")])
    }

    /// `drain` or `active`.
    pub(super) fn availability(&self, node: &str, word: &str) {
        let id = self.id(if node == "one" { "manager" } else { "worker" });
        self.manager(&["node", "update", "--availability", word, &id]);
    }

    /// Drops what comes over the overlay networks to the second node, while the nodes themselves still hear of each other.
    pub(super) fn cut(&self) -> Cut {
        // The second engine is a container of the first, and its host name is the container's id.
        let name = ["node", "inspect", "--format", "{{.Description.Hostname}}", &self.id("worker")];
        let cut = Cut { name: self.manager(&name) };
        cut.rule("-I");
        cut
    }

    /// Builds a preset for a stack, which `more` completes, and deploys it as it is.
    pub(super) fn deploy(&self, what: &str, more: &str) -> Stack<'_> {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("cg{}{what}", std::process::id() % 10_000);
        let file = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
        fs_err::create_dir(folder.path().join("hardware")).unwrap();
        for node in ["one", "two"] {
            let text = format!(
                "name = \"{node}\"\n[cpu]\ncores = 2\nisa = \"x86-64-v3\"\n[ram]\ntotal_mib = 16000\n"
            );
            file(&format!("hardware/{node}.toml"), &text);
        }
        let link = "[[link]]\nbetween = [\"one\", \"two\"]\ngbit = 10\nrtt_ms = 0.1\n";
        let host = |node: &str| format!("[[host]]\nname = \"{node}\"\nhardware = \"{node}\"\n");
        file("lab.toml", &format!("encrypt = false\n{}{}{link}", host("one"), host("two")));
        let smollm2 = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/presets/smollm2.toml");
        let preset = format!(
            "extends = \"{smollm2}\"\ntarget = \"swarm\"\n{more}[context]\nctx_size = 2048\n[image]\nname = \"{}\"\n\
             [container]\nproject = \"{name}\"\nmodels_dir = \"{}\"\n\
             [server]\nverbosity = 4\n",
            self.image,
            models().display()
        );
        file("small.toml", &preset);
        let stack = Stack { nodes: self, folder, name };
        stack.composegen(&["build", "small.toml", "--out", "out"]);
        let file = stack.path().join("out/small.stack.yml");
        self.one.run(&["stack", "deploy", "--compose-file", file.to_str().unwrap(), &stack.name]);
        stack
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        let _ = self.two.docker(&["swarm", "leave"]).output();
        let _ = self.one.docker(&["swarm", "leave", "--force"]).output();
    }
}

/// A network that is cut until this is dropped.
pub(super) struct Cut {
    name: String,
}

impl Cut {
    fn rule(&self, action: &str) {
        for chain in ["INPUT", "OUTPUT"] {
            let port = ["--protocol", "udp", "--dport", "4789", "--jump", "DROP"];
            let output = Command::new("docker")
                .args(["exec", &self.name, "iptables", action, chain])
                .args(port)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.rule("-D");
    }
}

/// A stack that is removed with its volumes when dropped.
pub(super) struct Stack<'a> {
    pub(super) nodes: &'a Nodes,
    folder: tempfile::TempDir,
    pub(super) name: String,
}

impl Stack<'_> {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Standard output of a command that must succeed.
    pub(super) fn composegen(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
            .current_dir(self.path())
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "composegen {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `status` says is lost, as JSON: `[]` where all is well.
    pub(super) fn lost(&self) -> String {
        let status = self.composegen(&["status", "out", "--format", "json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status.get("stack").and_then(Value::as_str), Some(self.name.as_str()));
        status.get("lost").unwrap().to_string()
    }

    /// The newest container of a service on an engine.
    fn container(&self, engine: &Engine, service: &str) -> Option<String> {
        let label = format!("label=com.docker.swarm.service.name={}_{service}", self.name);
        let listed = engine.run(&["ps", "--quiet", "--no-trunc", "--filter", &label]);
        String::from_utf8(listed).unwrap().lines().next().map(str::to_owned)
    }

    /// The engine and the container of llama-server.
    fn serving(&self) -> Option<(&Engine, String)> {
        [&self.nodes.one, &self.nodes.two]
            .into_iter()
            .find_map(|engine| Some((engine, self.container(engine, "llama")?)))
    }

    pub(super) fn find_server(&self) -> Option<String> {
        self.serving().map(|(_, container)| container)
    }

    pub(super) fn server(&self) -> String {
        self.find_server().unwrap_or_else(|| panic!("{} has no server\n{}", self.name, self.said()))
    }

    fn worker(&self) -> String {
        let worker = self.container(&self.nodes.two, &format!("{}-two", self.name));
        worker.unwrap_or_else(|| panic!("{} has no worker\n{}", self.name, self.said()))
    }

    /// What the Swarm and the server say, for whoever reads a failure.
    fn said(&self) -> String {
        let tasks = ["stack", "ps", "--no-trunc", &self.name];
        let tasks = self.nodes.one.docker(&tasks).output().unwrap();
        let log = if self.serving().is_some() { self.log() } else { String::new() };
        format!("{}\n{log}", String::from_utf8_lossy(&tasks.stdout))
    }

    pub(super) fn wait(&self, seconds: u64, what: &str, until: impl Fn() -> bool) {
        let begun = Instant::now();
        while !until() {
            assert!(
                begun.elapsed().as_secs() < seconds,
                "waited {seconds} s: {what}\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    pub(super) fn answers(&self) -> bool {
        let Some((engine, container)) = self.serving() else { return false };
        let health = ["exec", &container, "/usr/local/bin/entrypoint", "health"];
        engine.docker(&health).output().unwrap().status.success()
    }

    pub(super) fn wait_until_it_answers(&self) {
        self.wait(300, "an answer", || self.answers());
    }

    pub(super) fn log(&self) -> String {
        let Some((engine, container)) = self.serving() else { return String::new() };
        let output = engine.docker(&["logs", &container]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    pub(super) fn exit_code(&self, container: &str) -> i64 {
        let format = ["inspect", "--format", "{{.State.ExitCode}}", container];
        String::from_utf8(self.nodes.one.run(&format)).unwrap().trim().parse().unwrap()
    }

    fn curl(&self, body: &str) -> Command {
        let (engine, container) = self.serving().unwrap();
        let url = "http://127.0.0.1:8080/v1/chat/completions";
        let ask = [
            "exec",
            &container,
            "curl",
            "--fail",
            "--silent",
            "--max-time",
            "240",
            "--data",
            body,
            url,
        ];
        engine.docker(&ask)
    }

    /// The whole answer, at temperature 0.
    pub(super) fn answer(&self, question: &str) -> String {
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":"{question}"}}],"max_tokens":12,"temperature":0,"cache_prompt":false}}"#
        );
        let output = self.curl(&body).output().unwrap();
        assert!(output.status.success(), "{}", self.said());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap().to_owned()
    }

    /// A request for so many tokens, which ends with none earlier.
    pub(super) fn ask_for(&self, tokens: u32) -> Command {
        self.curl(&format!(
            r#"{{"messages":[{{"role":"user","content":"Count."}}],"max_tokens":{tokens},"temperature":0,"ignore_eos":true}}"#
        ))
    }

    pub(super) fn kill_worker(&self) {
        self.nodes.two.run(&["kill", &self.worker()]);
    }

    pub(super) fn in_worker(&self, script: &str) -> String {
        let output = self.nodes.two.run(&["exec", &self.worker(), "sh", "-c", script]);
        String::from_utf8(output).unwrap()
    }

    pub(super) fn address_of_worker(&self) -> String {
        let address = format!(
            "{{{{(index .NetworkSettings.Networks \"{}_workers\").IPAddress}}}}",
            self.name
        );
        let worker = self.worker();
        let address = self.nodes.two.run(&["inspect", "--format", &address, &worker]);
        String::from_utf8(address).unwrap().trim().to_owned()
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        let _ = self.nodes.one.docker(&["stack", "rm", &self.name]).output();
        let label = format!("label=com.docker.stack.namespace={}", self.name);
        let engines = [&self.nodes.one, &self.nodes.two];
        let left = |kind: &[&str]| {
            engines.iter().any(|engine| {
                let args = [kind, &["--quiet", "--filter", &label]].concat();
                engine.docker(&args).output().is_ok_and(|output| !output.stdout.is_empty())
            })
        };
        // A stack of the same name could not be deployed while something of this one is there.
        for _ in 0..90 {
            if !left(&["ps", "--all"]) && !left(&["network", "ls"]) {
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        for engine in engines {
            let listed = engine.docker(&["volume", "ls", "--quiet", "--filter", &label]).output();
            let listed = listed.map(|output| output.stdout).unwrap_or_default();
            for volume in String::from_utf8_lossy(&listed).lines() {
                let _ = engine.docker(&["volume", "rm", "--force", volume]).output();
            }
        }
    }
}
