//! Why a server gave no answer that can be used.

/// Names the address; [`ServerError::help`] says the way out.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("`{url}` is no address of a llama-server")]
    Url { url: String },
    #[error("no answer from {url}: {why}")]
    Unreachable { url: String, why: String },
    #[error("{url} answers {status}: {said}")]
    Refused { url: String, status: u16, said: String },
    #[error("{url}: {why}")]
    Odd { url: String, why: String },
}

impl ServerError {
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Url { .. } => {
                "write it `http://HOST:PORT` or `https://HOST`; a certificate of your own is believed by its file in SSL_CERT_FILE"
            }
            Self::Unreachable { .. } => {
                "see whether the server runs and its log says `listening on`, and whether the port is published"
            }
            Self::Refused { status: 401, .. } => "name the file with the key in `--api-key-file`",
            Self::Refused { status: 503, .. } => "wait until the model is loaded",
            Self::Refused { .. } | Self::Odd { .. } => {
                "see the server's log; only llama-server's own interface is understood here"
            }
        }
    }
}
