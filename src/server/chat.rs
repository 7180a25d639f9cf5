//! The interface that many servers share: which models there are, and an answer to one message.

use serde_json::{Value, json};

use super::reply::Spoken;
use super::{Props, Server, ServerError};

/// What a server of whatever make says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Names of its models.
    pub models: Vec<String>,
    /// Where it is a llama-server.
    pub props: Option<Props>,
    /// What of a llama-server's properties shapes its answers: file, build, template, its own defaults.
    pub shape: Value,
}

/// Properties that are the same as long as the server runs as it does.
const SHAPE: &[&str] = &[
    "model_path",
    "build_info",
    "chat_template",
    "chat_template_tool_use",
    "modalities",
    "total_slots",
];

impl Server {
    /// Asks for models and, of llama-server, properties. A server without either is asked for none.
    pub fn about(&self) -> Result<About, ServerError> {
        let absent = |error: &ServerError| {
            matches!(
                error,
                ServerError::Refused { status: 404 | 405 | 501, .. } | ServerError::Odd { .. }
            )
        };
        let or_null = |reply: Result<Value, ServerError>| match reply {
            Err(error) if absent(&error) => Ok(Value::Null),
            reply => reply,
        };
        let models = or_null(self.json("/v1/models", None))?;
        let props = or_null(self.json("/props", None))?;
        let ids = models.get("data").and_then(Value::as_array).into_iter().flatten();
        let ids = ids.filter_map(|model| model.get("id").and_then(Value::as_str));
        let mut shape = json!({});
        if let Some(fields) = shape.as_object_mut() {
            for key in SHAPE {
                fields.extend(props.get(*key).map(|value| ((*key).to_owned(), value.clone())));
            }
            let defaults = props.get("default_generation_settings");
            for key in ["params", "n_ctx"] {
                let value = defaults.and_then(|defaults| defaults.get(key));
                fields.extend(value.map(|value| (key.to_owned(), value.clone())));
            }
        }
        Ok(About {
            models: ids.map(str::to_owned).collect(),
            props: Props::read(&props, &models),
            shape,
        })
    }

    /// An answer to a request of the chat route, which is asked for as a stream, so that a server at work is not taken for
    /// one that is silent.
    pub fn chat(&self, request: &Value) -> Result<Spoken, ServerError> {
        let path = "/v1/chat/completions";
        let mut body = request.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("stream".to_owned(), true.into());
            fields.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        }
        let (gathered, total) = self.gather(path, &body)?;
        gathered.spoken(total).map_err(|why| self.odd(path, &why))
    }

    /// The answer of a route to a body, as JSON; without a body it is asked for with GET.
    pub fn route(&self, path: &str, body: Option<&Value>) -> Result<Value, ServerError> {
        self.json(path, body)
    }
}
