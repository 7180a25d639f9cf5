//! Asks a running llama-server, ours or not, over HTTP or https: what it is, and to complete a prompt.
//!
//! An edge: it opens sockets and looks at the clock. What comes back is read by pure functions beside it.

mod chat;
mod error;
pub mod process;
mod reply;
pub mod sse;
mod tls;

use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use chat::About;
pub use error::ServerError;
pub use reply::{Completion, Props, Spoken, Timings};

use reply::Gathered;
use sse::Decoder;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How much of an answer that is no stream is read.
const MOST: u64 = 64 << 20;

/// How a key is handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer`, as OpenAI's clients and Claude Code do.
    #[default]
    Bearer,
    /// `X-Api-Key`, as Anthropic's packages do.
    XApiKey,
}

/// A server at an address.
#[derive(Debug)]
pub struct Server {
    base: String,
    key: Option<String>,
    header: KeyHeader,
    agent: ureq::Agent,
}

/// A prompt of tokens, and how many to generate: always that many, with the most likely token each time.
#[derive(Clone, Debug)]
pub struct Prompt {
    pub tokens: Vec<u64>,
    pub generate: u64,
}

impl Server {
    /// `patience` is how long the server may be silent: a long prompt is worked on without a word.
    pub fn new(url: &str, key: Option<String>, patience: Duration) -> Result<Self, ServerError> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let (scheme, host) = base.split_once("://").unwrap_or_default();
        let known = matches!(scheme, "http" | "https");
        if !known || host.is_empty() || host.contains(char::is_whitespace) {
            return Err(ServerError::Url { url: url.to_owned() });
        }
        let mut config = ureq::Agent::config_builder();
        if scheme == "https" {
            config = config.tls_config(tls::config());
        }
        let config = config
            .http_status_as_error(false)
            // A server of one's own is not behind the proxy that leads out.
            .proxy(None)
            .max_redirects(0)
            // llama-server hangs up after a number of requests, whenever that is.
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(patience))
            .build();
        Ok(Self { base: base.to_owned(), key, header: KeyHeader::default(), agent: config.into() })
    }

    /// The same server, with the key handed over in another way.
    #[must_use]
    pub fn with_header(self, header: KeyHeader) -> Self {
        Self { header, ..self }
    }

    pub fn url(&self) -> &str {
        &self.base
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        ["127.", "localhost", "[::1]"].iter().any(|local| self.host().starts_with(local))
    }

    /// The port in its address; the scheme's own where there is none.
    pub fn port(&self) -> Option<u16> {
        match self.host().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
            _ if self.base.starts_with("https:") => Some(443),
            _ => Some(80),
        }
    }

    /// Host and port, without scheme and path.
    fn host(&self) -> &str {
        let (_, rest) = self.base.split_once("://").unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }

    /// What the server says about itself, the size of its model included.
    pub fn props(&self) -> Result<Props, ServerError> {
        let props = self.json("/props", None)?;
        let models = self.json("/v1/models", None)?;
        Props::read(&props, &models).ok_or_else(|| self.odd("/props", "it is no llama-server"))
    }

    pub fn tokenize(&self, text: &str) -> Result<Vec<u64>, ServerError> {
        let reply = self.json("/tokenize", Some(&json!({ "content": text })))?;
        let tokens = reply.get("tokens").and_then(Value::as_array);
        let tokens: Option<Vec<u64>> =
            tokens.and_then(|list| list.iter().map(Value::as_u64).collect());
        tokens
            .filter(|tokens| !tokens.is_empty())
            .ok_or_else(|| self.odd("/tokenize", "there are no tokens in its answer"))
    }

    /// Completes a prompt without what an earlier one left in the cache.
    pub fn complete(&self, prompt: &Prompt) -> Result<Completion, ServerError> {
        let body = json!({
            "prompt": prompt.tokens,
            "n_predict": prompt.generate,
            "cache_prompt": false,
            "ignore_eos": true,
            "temperature": 0,
            "stream": true,
        });
        self.stream("/completion", &body)
    }

    /// Answers a person, with the sampling that the server was started with, but for these fields of a request.
    pub fn answer(
        &self,
        task: &str,
        most_tokens: u64,
        sampling: &[(&str, Value)],
    ) -> Result<Completion, ServerError> {
        let mut body = json!({
            "messages": [{ "role": "user", "content": task }],
            "max_tokens": most_tokens,
            "cache_prompt": false,
            "stream": true,
        });
        for (field, value) in sampling {
            if let Some(fields) = body.as_object_mut() {
                fields.insert((*field).to_owned(), value.clone());
            }
        }
        self.stream("/v1/chat/completions", &body)
    }

    fn stream(&self, path: &str, body: &Value) -> Result<Completion, ServerError> {
        let (gathered, total) = self.gather(path, body)?;
        gathered.finish(total).map_err(|why| self.odd(path, &why))
    }

    /// All events of a stream, and how long they took.
    fn gather(&self, path: &str, body: &Value) -> Result<(Gathered, Duration), ServerError> {
        let start = Instant::now();
        let response = self.send(path, Some(body))?;
        let mut reader = response.into_body().into_reader();
        let mut decoder = Decoder::default();
        let mut gathered = Gathered::default();
        let mut buffer = [0; 16 << 10];
        loop {
            let count = reader.read(&mut buffer).map_err(|error| self.broken(path, &error))?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            for event in decoder.push(bytes).map_err(|error| self.odd(path, &error.to_string()))? {
                let text = gathered.take(&event.data).map_err(|why| self.odd(path, &why))?;
                if text && gathered.first_token.is_none() {
                    gathered.first_token = Some(start.elapsed());
                }
            }
        }
        Ok((gathered, start.elapsed()))
    }

    fn json(&self, path: &str, body: Option<&Value>) -> Result<Value, ServerError> {
        let response = self.send(path, body)?;
        let text = response.into_body().into_with_config().limit(MOST).read_to_string();
        let text = text.map_err(|error| self.failed(path, &error))?;
        serde_json::from_str(&text).map_err(|_| self.odd(path, "its answer is no JSON"))
    }

    /// Sends a request; an answer other than 200 is an error with what the server says.
    fn send(
        &self,
        path: &str,
        body: Option<&Value>,
    ) -> Result<ureq::http::Response<ureq::Body>, ServerError> {
        let url = format!("{}{path}", self.base);
        let key = self.key.as_ref().map(|key| match self.header {
            KeyHeader::Bearer => ("Authorization", format!("Bearer {key}")),
            KeyHeader::XApiKey => ("X-Api-Key", key.clone()),
        });
        let response = if let Some(body) = body {
            let mut request = self.agent.post(&url).header("Content-Type", "application/json");
            if let Some((name, value)) = &key {
                request = request.header(*name, value);
            }
            request.send(body.to_string())
        } else {
            let mut request = self.agent.get(&url);
            if let Some((name, value)) = &key {
                request = request.header(*name, value);
            }
            request.call()
        };
        let mut response = response.map_err(|error| self.failed(path, &error))?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let said = response.body_mut().with_config().limit(1 << 16).read_to_string();
        let said = reply::message(&said.unwrap_or_default());
        Err(ServerError::Refused { url, status, said })
    }

    fn failed(&self, path: &str, error: &ureq::Error) -> ServerError {
        ServerError::Unreachable { url: format!("{}{path}", self.base), why: error.to_string() }
    }

    fn broken(&self, path: &str, error: &std::io::Error) -> ServerError {
        ServerError::Unreachable { url: format!("{}{path}", self.base), why: error.to_string() }
    }

    fn odd(&self, path: &str, why: &str) -> ServerError {
        ServerError::Odd { url: format!("{}{path}", self.base), why: why.to_owned() }
    }
}
