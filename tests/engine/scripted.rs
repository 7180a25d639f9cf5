//! A server that answers by script: what to say is chosen by a word of the question, `(problem WORD)`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) struct Scripted {
    pub(crate) url: String,
    /// The bodies of all questions, in order.
    pub(crate) seen: Arc<Mutex<Vec<Value>>>,
}

/// By the problem's word: the code of the answer, and how long it takes to come.
pub(crate) type Script = HashMap<String, (String, Duration)>;

pub(crate) fn script(answers: &[(&str, &str)]) -> Script {
    let entry =
        |(word, code): &(&str, &str)| ((*word).to_owned(), ((*code).to_owned(), Duration::ZERO));
    answers.iter().map(entry).collect()
}

impl Scripted {
    pub(crate) fn new(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                std::thread::spawn(move || handle(stream.unwrap(), &script, &log));
            }
        });
        Self { url, seen }
    }

    pub(crate) fn asked(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn handle(mut stream: TcpStream, script: &Script, log: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let (status, text) = match head.split(" HTTP").next().unwrap() {
        "GET /v1/models" => (200, json!({ "data": [{ "id": "scripted" }] }).to_string()),
        "POST /v1/chat/completions" => {
            let request: Value = serde_json::from_slice(&body).unwrap();
            log.lock().unwrap().push(request.clone());
            answer(&request, script)
        }
        _ => (404, json!({ "error": { "message": "no such route" } }).to_string()),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes()));
}

fn answer(request: &Value, script: &Script) -> (u16, String) {
    let question = request.pointer("/messages/0/content").and_then(Value::as_str).unwrap();
    let word = question.split("(problem ").nth(1).unwrap().split(')').next().unwrap();
    let (code, delay) = script.get(word).unwrap_or_else(|| panic!("no answer to {word}"));
    std::thread::sleep(*delay);
    if code == "refuse" {
        return (400, json!({ "error": { "message": "the prompt is too long" } }).to_string());
    }
    let text = if code.starts_with("I ") {
        code.clone()
    } else {
        format!("So it is done.\n\n```python\n{code}\n```\n")
    };
    let reason = if word.starts_with("cut") { "length" } else { "stop" };
    let events = [
        json!({ "choices": [{ "delta": { "role": "assistant", "content": null } }] }),
        json!({ "choices": [{ "delta": { "content": text } }] }),
        json!({ "choices": [{ "delta": {}, "finish_reason": reason }] }),
        json!({ "choices": [], "usage": { "completion_tokens": 100 } }),
    ];
    let mut stream = String::new();
    for event in events {
        let _ = write!(stream, "data: {event}\n\n");
    }
    stream.push_str("data: [DONE]\n\n");
    (200, stream)
}
