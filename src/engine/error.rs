//! What can go wrong between us and an engine.

use super::Address;

/// Says what was being done; [`EngineError::help`] says the way out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("no Docker engine is there: none of {} exists", places.join(", "))]
    None { places: Vec<String> },
    #[error("`{given}` is no address of an engine: {why}")]
    Address { given: String, why: String },
    #[error("no engine answers at {address}: {why}")]
    Silent { address: Address, why: String },
    #[error("the engine refused to {doing}: {message}")]
    Refused { doing: String, status: u16, message: String },
    #[error("the engine went away while asked to {doing}: {why}")]
    Gone { doing: String, why: String },
    #[error("cannot {doing}: {why}")]
    Local { doing: String, why: String },
}

impl EngineError {
    /// Sorts bollard's errors into those of the engine and those of the way to it.
    pub(super) fn of(doing: impl Into<String>, error: bollard::errors::Error) -> Self {
        use bollard::errors::Error;
        let doing = doing.into();
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Refused { doing, status: status_code, message: message.trim().to_owned() }
            }
            Error::DockerStreamError { error } => {
                Self::Refused { doing, status: 500, message: error.trim().to_owned() }
            }
            Error::RequestTimeoutError => {
                Self::Gone { doing, why: "it did not answer in time".to_owned() }
            }
            other => Self::Gone { doing, why: chain(&other) },
        }
    }

    /// The engine's own words, where it said something.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } => Some(message),
            _ => None,
        }
    }

    pub(super) const fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::None { .. } => {
                "install Docker (20.10 or later) or Podman's service and start it, or set DOCKER_HOST"
            }
            Self::Address { .. } => {
                "write DOCKER_HOST as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST:PORT"
            }
            Self::Silent { address: Address::Ssh(_), .. } => {
                "`ssh HOST docker version` has to work without a question: a key in the agent or the configuration, a \
                 known host key, and Docker's CLI there"
            }
            Self::Silent { why, .. } if why.contains("ermission denied") => {
                "add this user to the engine's group (`docker`), or run it rootless"
            }
            Self::Silent { why, .. } if why.contains("HTTPS server") => {
                "it wants TLS: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem"
            }
            Self::Silent { why, .. } if why.contains("ertificate") => {
                "DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem; the engine's own must be signed by \
                 that ca.pem, for the name in DOCKER_HOST"
            }
            Self::Silent { .. } => {
                "start the engine, or correct DOCKER_HOST; `composegen doctor` looks further"
            }
            Self::Gone { .. } => "look whether the engine still runs, and run this again",
            Self::Refused { .. } | Self::Local { .. } => "mend this and run it again",
        }
    }
}

/// An error with what it was caused by.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}

/// What is at the bottom of an error: the system's own words.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(next) = at.source() {
        at = next;
    }
    at.to_string().trim().to_owned()
}
