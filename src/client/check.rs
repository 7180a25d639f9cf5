//! What a client will ask of the server, asked beforehand: the requests, and what their replies have to hold.

use serde_json::{Value, json};

use super::{Client, Connection};

/// One thing that a client counts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The model has the name that the files give it.
    Models,
    /// A slot has room for what the files say.
    Slot,
    Chat,
    ToolCall,
    /// The server says how many tokens a message has.
    Tokens,
}

/// Why a reply is not what a client counts on, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    pub why: String,
    pub remedy: String,
}

/// A route that only llama-server has; a proxy in front of it may hide it.
pub const PROPS: &str = "/props";

const TOOL: &str = "get_weather";

impl Probe {
    pub const ALL: [Self; 5] = [Self::Models, Self::Slot, Self::Chat, Self::ToolCall, Self::Tokens];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Slot => "slot",
            Self::Chat => "chat",
            Self::ToolCall => "tool call",
            Self::Tokens => "tokens",
        }
    }

    /// The route, and the body where it is one that takes any.
    pub fn request(self, client: Client, connection: &Connection) -> (&'static str, Option<Value>) {
        match (self, client.route()) {
            (Self::Models, _) => ("/v1/models", None),
            (Self::Slot, _) => (PROPS, None),
            (Self::Tokens, "/v1/messages") => {
                let body = json!({ "model": connection.model, "messages": hello() });
                ("/v1/messages/count_tokens", Some(body))
            }
            (_, route) => (route, Some(self.body(route, connection))),
        }
    }

    fn body(self, route: &str, connection: &Connection) -> Value {
        let calls = self == Self::ToolCall;
        let most = if calls { 256 } else { 32 }.min(connection.output);
        let schema = json!({
            "type": "object",
            "properties": { "city": { "type": "string" } },
            "required": ["city"],
        });
        let about = "The weather of a city";
        let (mut body, tool, choice) = match route {
            "/v1/messages" => (
                json!({ "max_tokens": most, "messages": hello() }),
                json!({ "name": TOOL, "description": about, "input_schema": schema }),
                json!({ "type": "any" }),
            ),
            "/v1/responses" => (
                json!({ "max_output_tokens": most, "input": "What is the weather in Paris?" }),
                json!({ "type": "function", "name": TOOL, "description": about, "parameters": schema }),
                json!("required"),
            ),
            _ => (
                json!({ "max_tokens": most, "messages": hello() }),
                json!({
                    "type": "function",
                    "function": { "name": TOOL, "description": about, "parameters": schema },
                }),
                json!("required"),
            ),
        };
        if let Some(fields) = body.as_object_mut() {
            fields.insert("model".to_owned(), connection.model.clone().into());
            if calls {
                fields.insert("tools".to_owned(), json!([tool]));
                fields.insert("tool_choice".to_owned(), choice);
            }
        }
        body
    }

    /// What there is to say of a reply.
    pub fn read(
        self,
        client: Client,
        connection: &Connection,
        reply: &Value,
    ) -> Result<String, Bad> {
        let bad = |why: String, remedy: &str| Bad { why, remedy: remedy.to_owned() };
        let route = client.route();
        match self {
            Self::Models => {
                let models = reply.get("data").and_then(Value::as_array).into_iter().flatten();
                let ids: Vec<&str> =
                    models.filter_map(|model| model.get("id").and_then(Value::as_str)).collect();
                if ids.contains(&connection.model.as_str()) {
                    return Ok(format!("`{}` is there", connection.model));
                }
                Err(bad(
                    format!("it has {}, and the files say `{}`", list(&ids), connection.model),
                    "start the server by this preset, or write the files from the one that runs",
                ))
            }
            Self::Slot => {
                let slot =
                    reply.pointer("/default_generation_settings/n_ctx").and_then(Value::as_u64);
                match slot {
                    Some(slot) if slot == connection.slot => Ok(format!("{slot} tokens")),
                    Some(slot) => Err(bad(
                        format!("it has {slot} tokens, and the files say {}", connection.slot),
                        "start the server by this preset: what it has by another, the client would overrun or not use",
                    )),
                    None => Err(bad(
                        "it does not say".to_owned(),
                        "ask llama-server itself, not what is before it",
                    )),
                }
            }
            Self::Chat => match said(route, reply) {
                Some(text) => Ok(format!("`{}`", text.trim().chars().take(40).collect::<String>())),
                None => Err(bad(
                    format!("there is no text in its answer: {}", short(reply)),
                    "see the server's log: the model's chat template may be wrong",
                )),
            },
            Self::ToolCall => match called(route, reply) {
                Some(arguments) => Ok(format!("{TOOL} {arguments}")),
                None => Err(bad(
                    format!("it called no tool: {}", short(reply)),
                    "turn `chat.jinja` on, and use a model whose template knows tools",
                )),
            },
            Self::Tokens => {
                let count = ["/input_tokens", "/usage/prompt_tokens", "/usage/input_tokens"]
                    .iter()
                    .find_map(|pointer| reply.pointer(pointer).and_then(Value::as_u64));
                match count.filter(|count| *count > 0) {
                    Some(count) => Ok(format!("{count} in a short message")),
                    None => Err(bad(
                        format!("it counts none: {}", short(reply)),
                        "update llama.cpp: without the count the client does not know when to compact",
                    )),
                }
            }
        }
    }
}

fn hello() -> Value {
    json!([{ "role": "user", "content": "What is the weather in Paris?" }])
}

/// Text of an answer, what was thought aloud included.
fn said(route: &str, reply: &Value) -> Option<String> {
    let text = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    match route {
        "/v1/messages" => parts(reply, "/content")
            .find_map(|part| text(part.get("text")).or_else(|| text(part.get("thinking")))),
        "/v1/responses" => parts(reply, "/output")
            .flat_map(|item| parts(item, "/content"))
            .find_map(|part| text(part.get("text"))),
        _ => {
            let message = reply.pointer("/choices/0/message")?;
            text(message.get("content")).or_else(|| text(message.get("reasoning_content")))
        }
    }
}

/// The arguments of the call of the tool, as JSON.
fn called(route: &str, reply: &Value) -> Option<String> {
    let is = |value: Option<&Value>, word: &str| value.and_then(Value::as_str) == Some(word);
    let arguments = match route {
        "/v1/messages" => parts(reply, "/content")
            .find(|part| is(part.get("type"), "tool_use") && is(part.get("name"), TOOL))?
            .get("input")?
            .clone(),
        "/v1/responses" => {
            let call = parts(reply, "/output").find(|item| is(item.get("name"), TOOL))?;
            serde_json::from_str(call.get("arguments")?.as_str()?).ok()?
        }
        _ => {
            let mut calls = parts(reply, "/choices/0/message/tool_calls");
            let call = calls.find_map(|call| {
                call.get("function").filter(|function| is(function.get("name"), TOOL))
            })?;
            serde_json::from_str(call.get("arguments")?.as_str()?).ok()?
        }
    };
    arguments.is_object().then(|| arguments.to_string())
}

fn parts<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn list(ids: &[&str]) -> String {
    match ids {
        [] => "no models".to_owned(),
        ids => ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "),
    }
}

fn short(reply: &Value) -> String {
    reply.to_string().chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Probe;
    use crate::client::{Client, Connection};

    fn connection() -> Connection {
        Connection {
            name: "rig".to_owned(),
            base: "http://rig:8080".to_owned(),
            model: "m".to_owned(),
            key: None,
            slot: 4096,
            slots: 1,
            input: 3072,
            output: 1024,
            timeout_s: 60,
            tools: true,
            vision: false,
        }
    }

    #[test]
    fn each_protocol_is_asked_in_its_own_words() {
        for client in Client::ALL {
            for probe in Probe::ALL {
                let (path, body) = probe.request(client, &connection());
                assert!(path.starts_with(client.route()) || body.is_none(), "{client} {path}");
                let Some(body) = body else { continue };
                assert_eq!(body["model"], "m");
                assert_eq!(body.get("tools").is_some(), probe == Probe::ToolCall);
            }
        }
    }

    #[test]
    fn what_replies_have_to_hold() {
        let text = "{\"city\":\"Paris\"}";
        let (claude, codex, aider) = (Client::ClaudeCode, Client::Codex, Client::Aider);
        for (client, probe, reply) in [
            (claude, Probe::Models, json!({"data": [{"id": "m"}]})),
            (claude, Probe::Slot, json!({"default_generation_settings": {"n_ctx": 4096}})),
            (claude, Probe::Chat, json!({"content": [{"type": "text", "text": "Hi"}]})),
            (
                claude,
                Probe::ToolCall,
                json!({"content": [{"type": "tool_use", "name": "get_weather", "input": {"city": "Paris"}}]}),
            ),
            (claude, Probe::Tokens, json!({"input_tokens": 9})),
            (codex, Probe::Chat, json!({"output": [{"content": [{"text": "Hi"}]}]})),
            (
                codex,
                Probe::ToolCall,
                json!({"output": [{"type": "function_call", "name": "get_weather", "arguments": text}]}),
            ),
            (codex, Probe::Tokens, json!({"usage": {"input_tokens": 9}})),
            (
                aider,
                Probe::Chat,
                json!({"choices": [{"message": {"content": null, "reasoning_content": "Hm"}}]}),
            ),
            (
                aider,
                Probe::ToolCall,
                json!({"choices": [{"message": {"tool_calls": [{"function": {"name": "get_weather", "arguments": text}}]}}]}),
            ),
            (aider, Probe::Tokens, json!({"usage": {"prompt_tokens": 9}})),
        ] {
            assert!(
                probe.read(client, &connection(), &reply).is_ok(),
                "{client} {probe:?} {reply}"
            );
            for other in [
                json!({}),
                json!({"data": [{"id": "n"}]}),
                json!({"default_generation_settings": {"n_ctx": 512}}),
                json!({"choices": [{"message": {"tool_calls": [{"function": {"name": "get_weather", "arguments": "{"}}]}}]}),
            ] {
                let bad = probe.read(client, &connection(), &other).unwrap_err();
                assert!(!bad.why.is_empty() && !bad.remedy.is_empty());
            }
        }
    }
}
