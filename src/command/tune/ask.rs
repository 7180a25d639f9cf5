//! Asks a server from inside of its container, since an engine's ports need not be this machine's. The curl that
//! checks its health is there; the key never leaves the container.

use serde_json::Value;

use crate::engine::{Engine, EngineError};
use crate::plan::service::Service;

/// How the image's own health check finds the server, and then one request with the body from standard input.
const SCRIPT: &str = r#"set -eu
size=$1 path=$2 port=$3
scheme=http
[ -z "${LLAMA_SSL_CERT_FILE-}" ] || scheme=https
set --
case ${LLAMA_HOST-} in
    '' | 0.0.0.0 | ::) host=127.0.0.1 ;;
    *.sock) host=localhost && set -- --unix-socket "$LLAMA_HOST" ;;
    *:*) host=[$LLAMA_HOST] ;;
    *) host=$LLAMA_HOST ;;
esac
key=/run/secrets/api_key
if [ -r "$key" ]; then
    (umask 077 && sed -n '/^[^#]/{s/^/X-Api-Key: /p;q}' "$key" > /tmp/composegen-key)
    set -- "$@" --header @/tmp/composegen-key
fi
[ "$size" = 0 ] || set -- "$@" --header 'Content-Type: application/json' --data-binary @-
head -c "$size" | curl --globoff --silent --show-error --insecure --noproxy '*' --write-out '\n%{http_code}' "$@" \
    "$scheme://$host:$port${API_PREFIX-}$path"
"#;

/// A server in a container.
#[derive(Clone, Copy)]
pub(super) struct Inside<'a> {
    pub(super) engine: &'a Engine,
    pub(super) id: &'a str,
    pub(super) service: &'a Service,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silent {
    /// It may have ended: the engine knows.
    #[error("it does not answer: {0}")]
    Gone(String),
    #[error("{path}: status {status}: {said}")]
    Refused { path: String, status: String, said: String },
    #[error("{path}: its answer is no JSON: {said}")]
    Odd { path: String, said: String },
}

impl Inside<'_> {
    pub(super) async fn get(&self, path: &str) -> Result<Value, Silent> {
        self.ask(path, "").await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Silent> {
        self.ask(path, &body.to_string()).await
    }

    async fn ask(&self, path: &str, body: &str) -> Result<Value, Silent> {
        let (size, port) = (body.len().to_string(), self.service.port.to_string());
        let command = ["sh", "-c", SCRIPT, "sh", &size, path, &port].map(str::to_owned).to_vec();
        let said = self.engine.exec_fed(self.id, command, body.as_bytes()).await;
        let gone = |error: EngineError| Silent::Gone(error.to_string());
        let said = said.map_err(gone)?;
        read(path, &said.text)
    }
}

/// An answer with its status on a line of its own behind it.
fn read(path: &str, text: &str) -> Result<Value, Silent> {
    let (body, status) = text.trim_end().rsplit_once('\n').unwrap_or(("", text));
    let start = || body.trim().chars().take(300).collect::<String>();
    let path = || path.to_owned();
    match status.trim() {
        "200" => {
            serde_json::from_str(body).map_err(|_| Silent::Odd { path: path(), said: start() })
        }
        // What curl says where there is no status at all; a container that is gone says nothing.
        status if status == "000" || status.parse::<u16>().is_err() => {
            Err(Silent::Gone(text.trim().chars().take(300).collect()))
        }
        status => {
            let value: Option<Value> = serde_json::from_str(body).ok();
            let message =
                value.as_ref().and_then(|value| value.pointer("/error/message")?.as_str());
            let said = message.map_or_else(start, str::to_owned);
            Err(Silent::Refused { path: path(), status: status.to_owned(), said })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Silent, read};

    #[test]
    fn answers() {
        assert_eq!(read("/props", "{\"a\": 1}\n\n200").unwrap()["a"], 1);
        let error = read("/x", "{\"error\":{\"message\":\"Compute error.\"}}\n500").unwrap_err();
        assert_eq!(error.to_string(), "/x: status 500: Compute error.");
        for gone in ["", "curl: (52) Empty reply from server\n\n000", "curl: (7) no\n000", "OCI"] {
            assert!(matches!(read("/x", gone), Err(Silent::Gone(_))), "{gone}");
        }
        assert!(matches!(read("/x", "<html>\n200"), Err(Silent::Odd { .. })));
    }
}
