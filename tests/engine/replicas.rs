//! Several servers behind one address: the real HAProxy reads what is written for it, and does with conversations, and with
//! a server that is gone, what it is there for.

use serde_json::{Value, json};

use crate::Case;
use crate::engine::Engine;
use crate::strategy::Strategy;
use crate::tools;

pub(crate) const CASES: &[Case] = &[
    ("replicas::haproxy_reads_it", haproxy_reads_it),
    ("replicas::conversations_stay", conversations_stay),
    ("replicas::a_server_is_lost", a_server_is_lost),
];

/// Those that `.ci/engines` makes: HAProxy 2.6, and a current one.
const IMAGES: [&str; 2] = ["composegen/haproxy:bookworm", "composegen/haproxy:trixie"];

fn ready(engine: &Engine) -> bool {
    let has = |image: &&str| {
        engine.docker(&["image", "inspect", image]).output().unwrap().status.success()
    };
    let ready = IMAGES.iter().all(has);
    if !ready {
        assert!(!tools::required("COMPOSEGEN_REQUIRE_ENGINE"), "{IMAGES:?} are not there");
        println!("skipped: {IMAGES:?} are not there (`.ci/engines` makes them)");
    }
    ready
}

fn built<'a>(engine: &'a Engine, replicas: usize, more: &str) -> Strategy<'a> {
    let image = IMAGES[1];
    let strategy = Strategy::new(
        engine,
        &format!("[container]\nreplicas = {replicas}\nfront_image = \"{image}\"\n{more}"),
    );
    strategy.run(&["build", "server.toml", "--out", &strategy.project]).ends(0, "haproxy");
    strategy
}

/// Not a warning from either, as root or not, with a path before the routes and without.
fn haproxy_reads_it(engine: &Engine) {
    if !ready(engine) {
        return;
    }
    for (replicas, prefix) in [(2, ""), (64, "/a-b.c_d~e/f")] {
        let set = if prefix.is_empty() {
            String::new()
        } else {
            format!("[server]\napi_prefix = \"{prefix}\"")
        };
        let strategy = built(engine, replicas, &set);
        let config = fs_err::read_to_string(strategy.out().join("haproxy.cfg")).unwrap();
        for image in IMAGES {
            let mut args: Vec<String> =
                ["run", "--rm", "--interactive", "--user", "10001:10001", "--env", "PORT=8080"]
                    .map(str::to_owned)
                    .to_vec();
            args.extend(["--env".to_owned(), format!("API_PREFIX={prefix}")]);
            args.extend((1..=replicas).map(|i| format!("--add-host=llama-{i}:127.0.0.1")));
            args.extend([image, "haproxy", "-dW", "-c", "-f", "/dev/stdin"].map(str::to_owned));
            let mut child = engine
                .docker(&args)
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), config.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{image} {prefix}: {said}");
        }
    }
}

struct Asked {
    status: u16,
    replica: String,
    body: String,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn cached(&self) -> u64 {
        let answer = self.json();
        let cached = answer.pointer("/timings/cache_n").and_then(Value::as_u64);
        cached.unwrap_or_else(|| panic!("no `timings` in {answer}"))
    }
}

/// Asks the front by the name that one server would have, from inside of a container of the project.
fn ask(
    strategy: &Strategy<'_>,
    from: &str,
    path: &str,
    header: &str,
    body: Option<&Value>,
) -> Asked {
    let mut args =
        ["exec", from, "curl", "--silent", "--show-error", "--include", "--max-time", "300"]
            .map(str::to_owned)
            .to_vec();
    if let Some(body) = body {
        for header in ["Content-Type: application/json", "Expect:", header] {
            args.extend(["--header".to_owned(), header.to_owned()]);
        }
        args.extend(["--data".to_owned(), body.to_string()]);
    }
    args.push(format!("http://llama:{}{path}", strategy.port));
    let text = String::from_utf8(strategy.engine.run(&args)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let replica = head.lines().find_map(|line| line.strip_prefix("x-replica: "));
    Asked {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        replica: replica.unwrap_or_default().to_owned(),
        body: body.to_owned(),
    }
}

/// The directory where the engine looks for it, which may have files of its own: removed when dropped.
struct Laid<'a>(&'a Strategy<'a>);

impl Laid<'_> {
    fn run(&self, script: &str) {
        let mount = format!("{}:/out", self.0.out().display());
        let image = crate::engine::BASE;
        self.0.engine.run(&["run", "--rm", "--volume", &mount, image, "sh", "-c", script]);
    }

    fn new<'a>(strategy: &'a Strategy<'a>) -> Laid<'a> {
        let laid = Laid(strategy);
        if strategy.engine.host.is_some() {
            let config = fs_err::read_to_string(strategy.out().join("haproxy.cfg")).unwrap();
            laid.run(&format!("cat > /out/haproxy.cfg <<'END'\n{config}END"));
        }
        laid
    }
}

impl Drop for Laid<'_> {
    fn drop(&mut self) {
        if self.0.engine.host.is_some() {
            self.run("rm /out/haproxy.cfg");
        }
    }
}

fn up(strategy: &Strategy<'_>, version: &str) -> bool {
    let Some(up) = strategy.compose(version, &["up", "--detach", "--wait"]) else { return false };
    up.ends(0, "");
    true
}

/// A message of somebody.
type Message = fn(&str, &str) -> Value;

fn plain(who: &str, text: &str) -> Value {
    json!({ "role": who, "content": text })
}

fn parts(who: &str, text: &str) -> Value {
    json!({ "role": who, "content": [{ "type": "text", "text": text }] })
}

fn conversations_stay(engine: &Engine) {
    if !ready(engine) {
        return;
    }
    let strategy = built(engine, 2, "");
    let refused = strategy.up().ends(2, "several servers");
    assert!(refused.err.contains("docker compose --env-file"), "{refused}");
    let _laid = Laid::new(&strategy);
    if !up(&strategy, "2") {
        return;
    }
    let from = format!("{}-llama-2-1", strategy.project);
    let ask =
        |path: &str, header: &str, body: Option<&Value>| ask(&strategy, &from, path, header, body);

    // By its opening, in each of the APIs and forms, beside what differs from turn to turn.
    let text = "the tide tables of the harbour ".repeat(8);
    let forms: [(&str, &str, bool, Message); 4] = [
        ("/v1/chat/completions", "messages", true, plain),
        ("/v1/chat/completions", "messages", false, parts),
        ("/v1/messages", "messages", false, parts),
        ("/v1/responses", "input", true, plain),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (path, list, system, message) in forms {
        for conversation in 0..4 {
            let mut messages = Vec::new();
            if system {
                messages.push(message("system", "You know the tides."));
            }
            messages.push(message("user", &format!("{conversation} {text}")));
            let mut first = None;
            for turn in 0..3 {
                let body = json!({
                    "model": "x", "max_tokens": 4, "max_output_tokens": 4, "temperature": 0, list: messages,
                });
                let answer = ask(path, "", Some(&body));
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
                let replica = first.get_or_insert_with(|| answer.replica.clone());
                assert_eq!(*replica, answer.replica, "{path} {conversation} {turn}");
                seen.insert(answer.replica.clone());
                if turn > 0 && path == "/v1/chat/completions" {
                    assert!(answer.cached() > 30, "{}", answer.body);
                }
                messages.push(if list == "input" {
                    let text = json!([{ "type": "output_text", "text": "High at noon." }]);
                    json!({ "type": "message", "role": "assistant", "content": text })
                } else {
                    message("assistant", "High at noon.")
                });
                messages.push(message("user", &format!("And {turn} days later?")));
            }
        }
    }
    assert_eq!(seen.len(), 2, "{seen:?}");

    // By its name, whatever it says; and raw prompts, which open with nothing of their own, in turn.
    let completion = |header: &str, i: usize| {
        let body = json!({ "prompt": format!("{i}"), "n_predict": 1 });
        ask("/completion", header, Some(&body)).replica
    };
    let named: std::collections::BTreeSet<_> =
        (0..6).map(|i| completion("X-Session-Id: one", i)).collect();
    let unnamed: std::collections::BTreeSet<_> = (0..6).map(|i| completion("", i)).collect();
    assert_eq!((named.len(), unnamed.len()), (1, 2));

    // A stream comes piece by piece, and what is one server's own is not given out as that of all.
    let body = json!({ "messages": [{ "role": "user", "content": "Hi" }], "max_tokens": 8, "stream": true });
    let stream = ask("/v1/chat/completions", "", Some(&body)).body;
    assert!(stream.matches("data: {").count() > 1 && stream.contains("data: [DONE]"), "{stream}");
    for (path, status) in [("/health", 200), ("/slots", 404), ("/metrics", 404), ("/props", 200)] {
        let answer = ask(path, "", None);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    let status = strategy.run(&["status", &strategy.project]).ends(0, "server (llama-1)");
    assert!(status.out.contains("server (llama-2)") && status.out.contains("front"), "{status}");
    strategy.down().ends(0, "stopping");
    strategy.nothing_is_left();
}

fn a_server_is_lost(engine: &Engine) {
    if !ready(engine) {
        return;
    }
    let strategy = built(engine, 2, "restart = \"no\"\n");
    let _laid = Laid::new(&strategy);
    if !up(&strategy, "5") {
        return;
    }
    let container = |i: usize| format!("{}-llama-{i}-1", strategy.project);
    let body = json!({ "messages": [{ "role": "user", "content": "Hi" }], "max_tokens": 2 });
    let first = ask(&strategy, &container(1), "/v1/chat/completions", "", Some(&body)).replica;
    let (lost, other) = if first == "llama-1" { (1, 2) } else { (2, 1) };
    engine.run(&["kill", &container(lost)]);
    // At once, before any health check has seen it.
    for _ in 0..3 {
        let answer = ask(&strategy, &container(other), "/v1/chat/completions", "", Some(&body));
        assert_eq!((answer.status, answer.replica), (200, format!("llama-{other}")));
    }
    engine.run(&["start", &container(lost)]);
    let back = (0..60).any(|_| {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let answer = ask(&strategy, &container(other), "/v1/chat/completions", "", Some(&body));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.replica == first
    });
    assert!(back, "the conversation never went back to {first}");
    strategy.down().ends(0, "stopping");
    strategy.nothing_is_left();
}
