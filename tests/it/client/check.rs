//! `composegen client NAME PRESET --check` against a server that answers by script; the engine tests have a real one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::tls;

/// Routes and bodies that were asked for.
type Seen = Arc<Mutex<Vec<(String, Value)>>>;

fn serve(key: Option<&'static str>, slot: u64) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            handle(stream.unwrap(), key, slot, &log);
        }
    });
    (port, seen)
}

fn handle(mut stream: TcpStream, key: Option<&str>, slot: u64, log: &Seen) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let request = head.split(" HTTP").next().unwrap().to_owned();
    let given = key.is_none_or(|key| {
        lower.contains(&format!("authorization: bearer {key}"))
            || lower.contains(&format!("x-api-key: {key}"))
    });
    log.lock().unwrap().push((request.clone(), body.clone()));
    let (status, reply) = if given {
        (200, reply(&request, &body, slot))
    } else {
        (401, json!({ "error": { "message": "Invalid API Key" } }))
    };
    let text = reply.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
}

fn reply(request: &str, body: &Value, slot: u64) -> Value {
    let called = body.get("tools").is_some();
    let arguments = "{\"city\":\"Paris\"}";
    match request {
        "GET /v1/models" => json!({ "data": [{ "id": "tiny" }] }),
        "GET /props" => json!({ "default_generation_settings": { "n_ctx": slot } }),
        "POST /v1/messages/count_tokens" => json!({ "input_tokens": 12 }),
        "POST /v1/messages" if called => {
            json!({ "content": [{ "type": "tool_use", "name": "get_weather", "input": { "city": "Paris" } }] })
        }
        "POST /v1/messages" => json!({ "content": [{ "type": "text", "text": "Sunny." }] }),
        "POST /v1/responses" if called => {
            json!({ "output": [{ "type": "function_call", "name": "get_weather", "arguments": arguments }] })
        }
        "POST /v1/responses" => {
            json!({ "output": [{ "content": [{ "text": "Sunny." }] }], "usage": { "input_tokens": 12 } })
        }
        "POST /v1/chat/completions" if called => json!({ "choices": [{ "message": { "tool_calls":
            [{ "function": { "name": "get_weather", "arguments": arguments } }] } }] }),
        "POST /v1/chat/completions" => {
            json!({ "choices": [{ "message": { "content": "Sunny." } }], "usage": { "prompt_tokens": 12 } })
        }
        other => panic!("{other}"),
    }
}

fn preset(dir: &Path, port: u16, more: &str) {
    let text = format!(
        "[model]\nfile = \"a.gguf\"\n[context]\nctx_size = 8192\n[batching]\nparallel = 2\n[chat]\njinja = true\n\
         [server]\nalias = [\"tiny\"]\nport = {port}\n{more}"
    );
    std::fs::write(dir.join("rig.toml"), text).unwrap();
}

fn check(dir: &Path, args: &[&str], key: Option<&str>) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
    command.current_dir(dir).args(["client"]).args(args).env_remove("LLAMA_API_KEY");
    command.env("http_proxy", "http://127.0.0.1:1");
    if let Some(key) = key {
        command.env("LLAMA_API_KEY", key);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn every_client_gets_what_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let (port, seen) = serve(None, 4096);
    preset(dir.path(), port, "");
    for name in ["claude-code", "vscode", "codex", "openai", "anthropic", "aider"] {
        let (code, out, err) = check(dir.path(), &[name, "rig.toml", "--check"], None);
        assert_eq!(code, 0, "{name}: {out}{err}");
        let marks: Vec<&str> =
            out.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(marks, ["good"; 5], "{name}: {out}");
        assert!(
            out.contains("models     `tiny` is there") && out.contains("slot       4096 tokens"),
            "{out}"
        );
    }
    let asked = seen.lock().unwrap();
    for (request, body) in asked.iter().filter(|(request, _)| request.starts_with("POST")) {
        assert_eq!(body["model"], "tiny", "{request}");
    }
    for route in
        ["/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/chat/completions"]
    {
        assert!(asked.iter().any(|(request, _)| *request == format!("POST {route}")), "{route}");
    }
    // Whoever is asked next takes note, too.
    drop(asked);
    // It writes nothing, and says where what was written is another.
    assert!(!dir.path().join("clients").exists());
    assert_eq!(check(dir.path(), &["aider", "rig.toml"], None).0, 0);
    let (code, out, _) = check(dir.path(), &["aider", "rig.toml", "--check"], None);
    assert!(code == 0 && out.contains("good  files"), "{out}");
    preset(dir.path(), port, "timeout = 77\n");
    let (code, out, _) = check(dir.path(), &["aider", "rig.toml", "--check"], None);
    assert!(code == 23 && out.contains("write them again: `composegen client aider rig`"), "{out}");
}

#[test]
fn what_a_client_would_stumble_over_is_said_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let (port, _) = serve(Some("k3y"), 2048);
    preset(dir.path(), port, "api_key_file = \"secrets/key\"\n");
    let run =
        |key| check(dir.path(), &["claude-code", "rig.toml", "--check", "--format", "json"], key);
    let bad = |out: &str| -> Vec<(String, String)> {
        let lines: Vec<Value> = serde_json::from_str(out).unwrap();
        let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        lines
            .iter()
            .filter(|line| line["good"] == false)
            .map(|line| (word(line, "what"), word(line, "remedy")))
            .collect()
    };
    let (code, out, err) = run(None);
    assert_eq!((code, bad(&out)[0].0.as_str()), (23, "key"));
    assert!(
        bad(&out)[0].1.contains("export LLAMA_API_KEY=")
            && err.contains("would not work at http://127"),
        "{err}"
    );
    let (code, out, _) = run(Some("wrong"));
    assert_eq!((code, bad(&out).len()), (23, 5), "{out}");
    assert!(
        bad(&out).iter().all(|(_, remedy)| remedy.contains("LLAMA_API_KEY holds another key")),
        "{out}"
    );
    let (code, out, _) = run(Some("k3y"));
    assert_eq!(code, 23);
    assert_eq!(bad(&out).iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(), ["slot"]);
    assert!(!out.contains("k3y"), "no key is printed: {out}");
    let (code, _, _) = check(
        dir.path(),
        &["anthropic", "rig.toml", "--check", "--url", &format!("http://127.0.0.1:{port}/v1")],
        Some("k3y"),
    );
    assert_eq!(code, 23, "the slot again, with the other header");

    let text = std::fs::read_to_string(dir.path().join("rig.toml")).unwrap();
    std::fs::write(
        dir.path().join("rig.toml"),
        text.replace("jinja = true", "jinja = false").replace("\"tiny\"", "\"huge\""),
    )
    .unwrap();
    let (_, out, _) = run(Some("k3y"));
    assert_eq!(
        bad(&out).iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(),
        ["models", "slot", "tool call"]
    );
    for nobody in ["http://127.0.0.1:1", "https://127.0.0.1:1"] {
        let args = ["codex", "rig.toml", "--check", "--url", nobody];
        let (code, out, _) = check(dir.path(), &args, Some("k3y"));
        assert!(code == 23 && out.matches("bad").count() == 1, "{out}");
    }
    // Whoever terminates TLS for the server is asked like the server.
    let front = tls::before(&format!("http://127.0.0.1:{port}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
    command.args(["client", "codex", "rig.toml", "--check", "--url", &front]);
    command.env("SSL_CERT_FILE", tls::certificate()).env("LLAMA_API_KEY", "k3y");
    let output = command.current_dir(dir.path()).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("good  "), "{out}");
    let (code, _, err) = check(dir.path(), &["codex", "rig.toml", "--check", "--dry-run"], None);
    assert!(code == 2 && err.contains("--dry-run"), "{err}");
}
