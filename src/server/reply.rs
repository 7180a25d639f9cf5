//! What llama-server's answers say: its properties, its own timings, the pieces of a streamed text.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// The server's own measurement of one completion. Milliseconds, and tokens per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Tokens of the prompt that were in the cache and cost nothing.
    pub cache_n: u64,
    pub prompt_n: u64,
    pub prompt_ms: f64,
    pub prompt_per_second: f64,
    pub predicted_n: u64,
    pub predicted_ms: f64,
    /// Without the first token, which the prompt's last step gives.
    pub predicted_per_second: f64,
}

/// A completion that came to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub text: String,
    pub timings: Timings,
    /// From the request to the first piece of text.
    pub first_token: Option<Duration>,
    pub total: Duration,
    /// Whether the model ended it, not the limit of tokens.
    pub finished: bool,
}

/// An answer of a server of whatever make.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spoken {
    pub text: String,
    /// Where the server tells it apart from the answer.
    pub reasoning: String,
    /// By llama-server's timings, or the usage that others report.
    pub tokens: Option<u64>,
    pub total: Duration,
    /// Whether the model ended it, not the limit of tokens.
    pub finished: bool,
}

/// What a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Props {
    pub build: Option<u32>,
    pub commit: Option<String>,
    /// As the server sees it.
    pub model_path: String,
    /// Of the model's tensors.
    pub model_bytes: Option<u64>,
    /// Tokens of one slot.
    pub n_ctx: u64,
    pub slots: u64,
}

impl Props {
    pub(super) fn read(props: &Value, models: &Value) -> Option<Self> {
        let info = props.get("build_info").and_then(Value::as_str).unwrap_or_default();
        let (build, commit) = info.split_once('-').unwrap_or((info, ""));
        let known = |commit: &&str| !matches!(*commit, "" | "unknown");
        Some(Self {
            build: build.strip_prefix('b').and_then(|number| number.parse().ok()),
            commit: Some(commit).filter(known).map(str::to_owned),
            model_path: props.get("model_path")?.as_str()?.to_owned(),
            model_bytes: models.pointer("/data/0/meta/size").and_then(Value::as_u64),
            n_ctx: props.pointer("/default_generation_settings/n_ctx")?.as_u64()?,
            slots: props.get("total_slots").and_then(Value::as_u64).unwrap_or(1),
        })
    }

    /// The name of the model's file.
    pub fn model_file(&self) -> &str {
        self.model_path.rsplit(['/', '\\']).next().unwrap_or_default()
    }
}

/// The pieces of a streamed completion so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    text: String,
    /// Of `text`, what is no reasoning.
    answer: String,
    reasoning: String,
    timings: Option<Timings>,
    usage: Option<u64>,
    pub(super) first_token: Option<Duration>,
    limited: bool,
    stopped: bool,
}

impl Gathered {
    /// Takes one event, of `/completion` or of `/v1/chat/completions`; says whether there was text in it.
    pub(super) fn take(&mut self, data: &str) -> Result<bool, String> {
        if data == "[DONE]" {
            return Ok(false);
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|_| format!("an event is no JSON: {}", start(data)))?;
        if value.get("error").is_some() {
            return Err(message(data));
        }
        let delta = value.pointer("/choices/0/delta");
        let mut pieces = vec![value.get("content")];
        // A model that reasons has begun to answer, too.
        pieces.extend(["reasoning_content", "content"].map(|key| delta.and_then(|d| d.get(key))));
        for (key, all) in
            [("reasoning_content", &mut self.reasoning), ("content", &mut self.answer)]
        {
            let piece = delta.and_then(|delta| delta.get(key)).and_then(Value::as_str);
            all.push_str(piece.unwrap_or_default());
        }
        let before = self.text.len();
        for piece in pieces.into_iter().flatten().filter_map(Value::as_str) {
            self.text.push_str(piece);
        }
        if let Some(timings) = value.get("timings") {
            let timings = Timings::deserialize(timings).map_err(|e| format!("`timings`: {e}"))?;
            self.timings = Some(timings);
        }
        self.usage =
            value.pointer("/usage/completion_tokens").and_then(Value::as_u64).or(self.usage);
        let stop = value.get("stop_type").or_else(|| value.pointer("/choices/0/finish_reason"));
        self.stopped |= stop.is_some_and(Value::is_string);
        self.limited |= matches!(stop.and_then(Value::as_str), Some("limit" | "length"));
        Ok(self.text.len() > before)
    }

    pub(super) fn finish(self, total: Duration) -> Result<Completion, String> {
        let timings = self.timings.ok_or("the stream ended without `timings`")?;
        Ok(Completion {
            text: self.text,
            timings,
            first_token: self.first_token,
            total,
            finished: !self.limited,
        })
    }
}

impl Gathered {
    /// The answer to a chat. One that nobody ended was cut off on its way.
    pub(super) fn spoken(self, total: Duration) -> Result<Spoken, String> {
        if !self.stopped {
            return Err("the stream ended within an answer".to_owned());
        }
        Ok(Spoken {
            text: self.answer,
            reasoning: self.reasoning,
            tokens: self.timings.map(|timings| timings.predicted_n).or(self.usage),
            total,
            finished: !self.limited,
        })
    }
}

/// What an error says: its `error.message`, or its text as it is.
pub(super) fn message(text: &str) -> String {
    let value: Option<Value> = serde_json::from_str(text).ok();
    let said = value.as_ref().and_then(|v| v.pointer("/error/message")).and_then(Value::as_str);
    said.map_or_else(|| start(text), str::to_owned)
}

/// The beginning of a text of unknown length, on one line.
fn start(text: &str) -> String {
    let line: String =
        text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.is_empty() { "nothing more is said".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Gathered, Props, message};

    /// Lines of build b11434, shortened.
    #[test]
    fn a_completion_and_a_chat() {
        let mut gathered = Gathered::default();
        let first = r#"{"index":0,"content":"_","tokens":[79],"stop":false,"tokens_predicted":1}"#;
        let last = r#"{"index":0,"content":"","stop":true,"stop_type":"limit","timings":{"cache_n":0,"prompt_n":4,"prompt_ms":338.15,"prompt_per_second":11.83,"predicted_n":3,"predicted_ms":189.485,"predicted_per_second":10.55,"draft_n":0}}"#;
        assert_eq!(gathered.take(first), Ok(true));
        assert_eq!(gathered.take(last), Ok(false));
        let done = gathered.finish(Duration::from_secs(1)).unwrap();
        assert_eq!((done.text.as_str(), done.finished, done.timings.prompt_n), ("_", false, 4));

        let mut gathered = Gathered::default();
        for (event, text) in [
            (
                r#"{"choices":[{"finish_reason":null,"delta":{"role":"assistant","content":null}}]}"#,
                false,
            ),
            (r#"{"choices":[{"finish_reason":null,"delta":{"reasoning_content":"hm "}}]}"#, true),
            (r#"{"choices":[{"finish_reason":null,"delta":{"content":"hi"}}]}"#, true),
            (
                r#"{"choices":[{"finish_reason":"stop","delta":{}}],"timings":{"predicted_n":2}}"#,
                false,
            ),
            ("[DONE]", false),
        ] {
            assert_eq!(gathered.take(event), Ok(text), "{event}");
        }
        let done = gathered.finish(Duration::ZERO).unwrap();
        assert_eq!(
            (done.text.as_str(), done.finished, done.timings.predicted_n),
            ("hm hi", true, 2)
        );
    }

    #[test]
    fn an_answer_of_any_server() {
        let mut gathered = Gathered::default();
        for event in [
            r#"{"choices":[{"finish_reason":null,"delta":{"reasoning_content":"hm "}}]}"#,
            r#"{"choices":[{"finish_reason":null,"delta":{"content":"hi"}}]}"#,
            r#"{"choices":[{"finish_reason":"length","delta":{}}]}"#,
            r#"{"choices":[],"usage":{"completion_tokens":7}}"#,
            "[DONE]",
        ] {
            gathered.take(event).unwrap();
        }
        let spoken = gathered.spoken(Duration::ZERO).unwrap();
        assert_eq!((spoken.text.as_str(), spoken.reasoning.as_str()), ("hi", "hm "));
        assert_eq!((spoken.tokens, spoken.finished), (Some(7), false));
        let cut = Gathered::default().spoken(Duration::ZERO).unwrap_err();
        assert_eq!(cut, "the stream ended within an answer");
    }

    #[test]
    fn what_goes_wrong_in_a_stream() {
        let error = r#"{"error":{"code":500,"message":"Compute error.","type":"server_error"}}"#;
        assert_eq!(Gathered::default().take(error), Err("Compute error.".to_owned()));
        assert!(Gathered::default().take("{").unwrap_err().contains("no JSON: {"));
        let cut = Gathered::default().finish(Duration::ZERO).unwrap_err();
        assert_eq!(cut, "the stream ended without `timings`");
        assert_eq!(message("<html>\n502"), "<html> 502");
        assert_eq!(message(""), "nothing more is said");
    }

    #[test]
    fn what_a_server_is() {
        let props = json!({
            "default_generation_settings": {"n_ctx": 4096}, "total_slots": 1,
            "model_path": "/models/a.gguf", "build_info": "b11434-c0ffee1"
        });
        let models = json!({"data": [{"meta": {"size": 96_576_768}}]});
        let read = Props::read(&props, &models).unwrap();
        assert_eq!((read.build, read.commit.as_deref()), (Some(11434), Some("c0ffee1")));
        assert_eq!(
            (read.model_file(), read.model_bytes, read.n_ctx),
            ("a.gguf", Some(96_576_768), 4096)
        );
        assert_eq!(Props::read(&json!({"swagger": "2.0"}), &models), None);
    }
}
