//! `composegen bench` against a server that answers by script.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use composegen::ledger::{Ledger, Outcome, Source};

use crate::repository::root;
use crate::tls;

/// How a scripted server behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    /// Answers, the n-th completion a little slower; so many tokens per second at first.
    Steady(f64),
    /// Takes a part of each prompt from its cache.
    Cached,
    /// Ends the stream before the end.
    Cut,
    /// Fails in the middle of the stream.
    Error,
    Loading,
    WantsKey,
    Foreign,
}

struct Scripted {
    url: String,
    /// `POST /completion` and its body, in order.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

fn serve(mood: Mood) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, count) = (seen.clone(), Arc::new(AtomicU64::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (log, count) = (log.clone(), count.clone());
            std::thread::spawn(move || handle(stream.unwrap(), mood, &log, &count));
        }
    });
    Scripted { url, seen }
}

fn handle(stream: TcpStream, mood: Mood, log: &Mutex<Vec<(String, String)>>, count: &AtomicU64) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let header = |name: &str| {
        let found = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        found.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length:").map_or(0, |n| n.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let request = head.split(" HTTP").next().unwrap().to_owned();
    log.lock().unwrap().push((request.clone(), body.clone()));
    let (status, text) = match mood {
        Mood::Loading => (503, r#"{"error":{"message":"Loading model","code":503}}"#.to_owned()),
        Mood::WantsKey if header("authorization:").as_deref() != Some("Bearer k3y") => {
            (401, r#"{"error":{"message":"Invalid API Key","code":401}}"#.to_owned())
        }
        _ => (200, reply(&request, &body, mood, count.fetch_add(1, Ordering::Relaxed))),
    };
    let mut stream = stream;
    let start = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all(start.as_bytes()).unwrap();
    // In pieces that end anywhere.
    for piece in text.as_bytes().chunks(61) {
        if stream.write_all(piece).is_err() {
            return;
        }
        stream.flush().unwrap();
    }
}

fn reply(request: &str, body: &str, mood: Mood, count: u64) -> String {
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    match request {
        "GET /props" if mood == Mood::Foreign => "{\"status\":\"ok\"}".to_owned(),
        "GET /props" => r#"{"default_generation_settings":{"n_ctx":4096},"total_slots":2,
            "model_path":"/models/a.gguf","build_info":"b11434-c0ffee1"}"#.to_owned(),
        "GET /v1/models" => r#"{"data":[{"meta":{"size":1000}}]}"#.to_owned(),
        "POST /tokenize" => r#"{"tokens":[1,2,3,4,5,6,7,8,9,10,11]}"#.to_owned(),
        "POST /completion" => {
            let asked = value["prompt"].as_array().unwrap().len();
            let cached = if mood == Mood::Cached { 3 } else { 0 };
            let rate = if let Mood::Steady(rate) = mood { rate - count as f64 / 100.0 } else { 20.0 };
            let first = "data: {\"content\":\"a\",\"stop\":false}\r\n\r\n";
            match mood {
                Mood::Cut => first.to_owned(),
                Mood::Error => format!("{first}data: {{\"error\":{{\"message\":\"Compute error.\"}}}}\n\n"),
                _ => format!(
                    "{first}data: {{\"content\":\"\",\"stop\":true,\"stop_type\":\"limit\",\"timings\":{{\
                     \"cache_n\":{cached},\"prompt_n\":{},\"prompt_ms\":1,\"prompt_per_second\":{},\
                     \"predicted_n\":{},\"predicted_ms\":1,\"predicted_per_second\":{rate}}}}}\n\n",
                    asked - cached, rate * 10.0, value["n_predict"],
                ),
            }
        }
        "POST /v1/chat/completions" => "data: {\"choices\":[{\"delta\":{\"content\":\"def f(): pass\\n\\nWait, there's an \
            issue.\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"timings\":{\"predicted_n\":42}}\
            \n\ndata: [DONE]\n\n".to_owned(),
        other => panic!("{other}"),
    }
}

fn bench(dir: &std::path::Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_composegen"))
        .arg("bench")
        .args(args)
        .current_dir(dir)
        // A server on this machine is not asked through a proxy.
        .env("http_proxy", "http://127.0.0.1:1")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn one_server_into_the_ledger() {
    let server = serve(Mood::Steady(30.0));
    let dir = tempfile::tempdir().unwrap();
    let preset = root().join("presets/ud-q6.toml");
    let model = root().join("tests/it/headers/gpt-oss-20b.gguf");
    let args = [
        preset.as_str(),
        "--url",
        &format!("{}/v1/", server.url),
        "--depth",
        "5,100",
        "--repeat",
        "3",
        "--warmup",
        "1",
        "--tokens",
        "7",
        "--answers",
        "2",
        "--note",
        "a try",
        "--model",
        model.as_str(),
    ];
    let output = bench(dir.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // What is kept under a preset's name should be that preset.
    let notes = text(&output.stderr);
    assert!(notes.contains("it serves `a.gguf`, and `ud-q6` names `Qwen3-Coder-Next-"), "{notes}");
    assert!(
        notes.contains("its slots have 4096 tokens, and `ud-q6` a context of 262144"),
        "{notes}"
    );
    let said = text(&output.stdout);
    assert!(said.contains("ud-q6: a.gguf, llama.cpp b11434"), "{said}");
    assert!(said.contains("answer: 42 tokens in"), "{said}");
    assert!(said.contains("self-correction: \"Wait,\""), "{said}");

    let ledger = Ledger::parse(&std::fs::read_to_string(dir.path().join("ledger.jsonl")).unwrap());
    assert_eq!((ledger.entries.len(), ledger.skipped.len()), (1, 0));
    let run = &ledger.entries[0].run;
    assert_eq!(
        (run.source, run.outcome, run.preset()),
        (Source::Measured, Outcome::Ok, Some("ud-q6"))
    );
    assert_eq!(
        (run.key.llama.build, run.key.llama.commit.as_deref()),
        (Some(11434), Some("c0ffee1"))
    );
    assert_eq!(run.ctx_size, Some(262_144), "two slots: what the preset says");
    assert_eq!(run.layers, [13, 6]);
    let header = run.key.gguf.header.as_ref().unwrap();
    assert!(header.as_str().starts_with("sha256:") && run.key.gguf.bytes > Some(1000));
    // Each reply is slower than the one before; four came before the first that counts: props, models, tokens, warm-up.
    let decode = run.speeds[0].decode.as_ref().unwrap();
    assert_eq!(decode.samples(), [29.96, 29.95, 29.94]);
    assert_eq!(run.speeds[1].depth, Some(100));
    assert_eq!(run.speeds[1].first_token_ms.as_ref().unwrap().samples().len(), 3);
    assert_eq!(run.answers.len(), 2);
    assert_eq!((run.answers[0].tokens, run.answers[0].finished), (Some(42), Some(true)));
    assert!(run.at.is_some());

    let seen = server.seen.lock().unwrap();
    let prompts: Vec<serde_json::Value> = seen
        .iter()
        .filter(|(request, _)| request == "POST /completion")
        .map(|(_, body)| serde_json::from_str(body).unwrap())
        .collect();
    let lengths: Vec<usize> =
        prompts.iter().map(|body| body["prompt"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [5, 5, 5, 5, 100, 100, 100, 100]);
    assert!(prompts[0]["prompt"] != prompts[1]["prompt"], "no two prompts begin alike");
    for body in &prompts {
        assert_eq!((&body["cache_prompt"], &body["n_predict"]), (&false.into(), &7.into()));
        assert_eq!((&body["ignore_eos"], &body["temperature"]), (&true.into(), &0.into()));
    }
}

#[test]
fn answers_at_each_temperature() {
    let server = serve(Mood::Steady(30.0));
    let dir = tempfile::tempdir().unwrap();
    let args = ["--url", &server.url, "--depth", "5", "--repeat", "1", "--sweep", "temp=0.6,1.0"];
    let output = bench(dir.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("answer at temp=0.6: 42 tokens"));
    let ledger = Ledger::parse(&std::fs::read_to_string(dir.path().join("ledger.jsonl")).unwrap());
    let sampling = |i: usize| ledger.entries[0].run.answers[i].sampling["temp"].to_string();
    assert_eq!([sampling(0), sampling(1)], ["0.6", "1"]);
    let seen = server.seen.lock().unwrap();
    let asked = seen.iter().filter(|(request, _)| request == "POST /v1/chat/completions");
    let temperatures: Vec<serde_json::Value> = asked
        .map(|(_, body)| {
            serde_json::from_str::<serde_json::Value>(body).unwrap()["temperature"].take()
        })
        .collect();
    assert_eq!(temperatures, [serde_json::json!(0.6), serde_json::json!(1)]);
    let output = bench(dir.path(), &["--url", &server.url, "--sweep", "heat=1"]);
    assert_eq!(output.status.code(), Some(2));
}

/// The process that listens here goes by the server's name for this; other tests do not mind.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_a_process() {
    std::fs::write("/proc/self/comm", "llama-server").unwrap();
    let server = serve(Mood::Steady(20.0));
    let dir = tempfile::tempdir().unwrap();
    let args = ["--url", &server.url, "--depth", "5", "--repeat", "1", "--answers", "0"];
    let output = bench(dir.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(" GB of RAM"), "{}", text(&output.stdout));
    let ledger = Ledger::parse(&std::fs::read_to_string(dir.path().join("ledger.jsonl")).unwrap());
    let ram = ledger.entries[0].run.memory.ram_gb.unwrap();
    assert!((0.001..100.0).contains(&ram), "{ram}");
}

/// A proxy with a certificate of its own is asked where that is believed, and told from one that is not there.
#[test]
fn over_https_with_a_certificate_of_ones_own() {
    let server = serve(Mood::Steady(20.0));
    let url = tls::before(&server.url);
    let asked = |believe: bool| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
        command.args(["bench", "--url", &url, "--depth", "5", "--repeat", "1", "--answers", "0"]);
        if believe {
            command.env("SSL_CERT_FILE", tls::certificate());
        }
        let output = command.current_dir(dir.path()).output().unwrap();
        let written = dir.path().join("ledger.jsonl").exists();
        (output.status.code(), text(&output.stderr), written)
    };
    let (code, said, written) = asked(true);
    assert_eq!((code, written), (Some(0), true), "{said}");
    let (code, said, written) = asked(false);
    assert_eq!((code, written), (Some(23), false), "{said}");
    assert!(said.contains(&format!("no answer from {url}/props")), "{said}");
    assert!(said.to_lowercase().contains("certificate"), "{said}");
}

#[test]
fn two_servers_by_turns() {
    let (slow, fast) = (serve(Mood::Steady(20.0)), serve(Mood::Steady(25.0)));
    let dir = tempfile::tempdir().unwrap();
    let args = |first: &Scripted, second: &Scripted, more: &[&str]| {
        let args = ["--url", &first.url, "--url", &second.url, "--depth", "5", "--answers", "0"];
        let output = bench(dir.path(), &[&args, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    };
    let output = args(&slow, &fast, &["--no-ledger"]);
    let said = text(&output.stdout);
    assert!(
        said.contains("decode t/s   19.9   24.9  +25.1 %, more than chance (p = 0.031)"),
        "{said}"
    );
    assert!(!dir.path().join("ledger.jsonl").exists());
    let order: Vec<String> = text(&output.stderr)
        .lines()
        .filter(|line| line.contains(" tokens, "))
        .filter_map(|line| Some(line.split_once(',')?.0.to_owned()))
        .map(|url| if url == slow.url { "A".to_owned() } else { "B".to_owned() })
        .collect();
    assert_eq!(order.concat(), "ABBAABBAABBAAB", "warm-up and six, the order reversed each time");

    let (same, again) = (serve(Mood::Steady(20.0)), serve(Mood::Steady(20.0)));
    let said = args(&same, &again, &["--format", "json", "--repeat", "8"]);
    let report: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(report["runs"].as_array().unwrap().len(), 2);
    assert_eq!(report["verdicts"][1]["verdict"], "too-close");
    let few = args(&slow, &fast, &["--format", "json", "--repeat", "5", "--no-ledger"]);
    let few: serde_json::Value = serde_json::from_slice(&few.stdout).unwrap();
    assert_eq!(few["verdicts"][1]["verdict"], "too-few");
    let ledger = std::fs::read_to_string(dir.path().join("ledger.jsonl")).unwrap();
    assert_eq!(ledger.lines().count(), 2);
}

/// A file that cannot be written, or read, is said before the first request; one that fills up costs no figure.
#[test]
fn a_file_that_is_no_good_costs_no_measurement() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(Mood::Steady(20.0));
    let run = |more: &[&str]| {
        let args = ["--url", &server.url, "--depth", "5", "--repeat", "1", "--answers", "0"];
        bench(dir.path(), &[&args, more].concat())
    };
    for more in [["--ledger", "."], ["--model", "nowhere.gguf"]] {
        let output = run(&more);
        assert_eq!(output.status.code(), Some(7), "{more:?}: {}", text(&output.stderr));
        assert!(server.seen.lock().unwrap().is_empty(), "{more:?}");
    }
    if cfg!(target_os = "linux") {
        let output = run(&["--ledger", "/dev/full"]);
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(7), "{said}");
        assert!(out.contains("decode t/s"), "{out}");
        assert!(said.contains("\n{\"v\":1,") && said.contains(&server.url), "{said}");
    }
    for more in [["--warmup", "4294967295"], ["--answers", "4294967295"]] {
        assert_eq!(run(&more).status.code(), Some(2), "{more:?}");
    }
}

#[test]
fn what_goes_wrong_is_said_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "\n  k3y \n").unwrap();
    let fails = |mood: Mood, more: &[&str], code: i32, message: &str| {
        let server = serve(mood);
        let args = ["--url", &server.url, "--depth", "5", "--repeat", "1", "--answers", "0"];
        let output = bench(dir.path(), &[&args, more].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{mood:?}: {said}");
        assert!(said.contains(message), "{mood:?}: {said}");
        assert_eq!(dir.path().join("ledger.jsonl").exists(), code == 0);
    };
    fails(Mood::Cached, &[], 23, "of 5 prompt tokens it worked on 2 and took 3 from its cache");
    fails(Mood::Cut, &[], 23, "the stream ended without `timings`");
    fails(Mood::Error, &[], 23, "/completion: Compute error.");
    fails(
        Mood::Loading,
        &[],
        23,
        "/props answers 503: Loading model\nwait until the model is loaded",
    );
    fails(
        Mood::WantsKey,
        &[],
        23,
        "Invalid API Key\nname the file with the key in `--api-key-file`",
    );
    fails(Mood::Foreign, &[], 23, "it is no llama-server");
    let steady = Mood::Steady(20.0);
    fails(steady, &["--depth", "4090"], 2, "do not fit into a slot of");
    fails(steady, &["--url", "ftp://example.org"], 23, "`ftp://example.org` is no address");
    fails(steady, &["--url", "http://127.0.0.1:1"], 23, "no answer from http://127.0.0.1:1/props");
    fails(steady, &["ud-q6", "ud-q5"], 7, "ud-q6");
    let started = &["--sweep", "ubatch-size=1,2"];
    fails(steady, started, 2, "llama-server takes `ubatch_size` when it starts");
    fails(steady, &["--sweep", "temp=1,2"], 2, "for the answers, and `--answers` is 0");
    fails(steady, &["--sweep", "port=1,2"], 2, "`port` is no number that can be swept");
    fails(Mood::WantsKey, &["--api-key-file", key.to_str().unwrap()], 0, "1 of 1");
}
