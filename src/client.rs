//! The programs that talk to a running server: which files each wants, what to do with them, and what in them has to
//! be known about it. What stands in the files is in `templates/client/`; where each key comes from, in [`keys`].

mod address;
pub mod check;
pub mod connection;
pub mod guide;
pub mod keys;

use std::fmt;

pub use connection::Connection;

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    ClaudeCode,
    Vscode,
    LlamaVscode,
    Continue,
    Opencode,
    Codex,
    QwenCode,
    Aider,
    Openai,
    Anthropic,
}

impl Client {
    pub const ALL: [Self; 10] = [
        Self::ClaudeCode,
        Self::Vscode,
        Self::LlamaVscode,
        Self::Continue,
        Self::Opencode,
        Self::Codex,
        Self::QwenCode,
        Self::Aider,
        Self::Openai,
        Self::Anthropic,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Vscode => "vscode",
            Self::LlamaVscode => "llama-vscode",
            Self::Continue => "continue",
            Self::Opencode => "opencode",
            Self::Codex => "codex",
            Self::QwenCode => "qwen-code",
            Self::Aider => "aider",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// What it is, for a list.
    pub const fn about(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code, in a terminal",
            Self::Vscode => "VS Code's own chat: language models at a custom endpoint",
            Self::LlamaVscode => "llama.vscode: chat and agent in VS Code",
            Self::Continue => "Continue, in VS Code and JetBrains",
            Self::Opencode => "opencode, 1 and 2",
            Self::Codex => "Codex CLI, as a profile",
            Self::QwenCode => "Qwen Code, in a terminal",
            Self::Aider => "aider, in a terminal",
            Self::Openai => "whatever reads OpenAI's environment variables",
            Self::Anthropic => "whatever reads Anthropic's environment variables",
        }
    }

    /// The route of llama-server that it uses.
    pub const fn route(self) -> &'static str {
        match self {
            Self::ClaudeCode | Self::Anthropic => "/v1/messages",
            Self::Codex => "/v1/responses",
            _ => "/v1/chat/completions",
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.name() == name)
    }

    /// Texts that the client replaces inside of its own file, whatever they are quoted with.
    const fn replaced(self) -> &'static [&'static str] {
        match self {
            Self::Vscode => &["${"],
            Self::Continue => &["${{"],
            Self::Opencode => &["{env:", "{file:"],
            Self::QwenCode => &["$"],
            _ => &[],
        }
    }

    /// Whether the client would read what is written for it as it was meant.
    pub fn check(self, connection: &Connection) -> Result<(), ClientError> {
        let found = self.replaced().iter().find(|text| connection.model.contains(**text));
        match found {
            Some(text) => Err(ClientError::Replaced { client: self, text }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is nothing that a client could be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error("the preset does not say how long the context is")]
    NoContext,
    #[error("the model's name holds U+{:04X} ({char:?})", u32::from(*char))]
    Model { char: char },
    #[error("{client} replaces `{text}` in its settings, and the model's name holds it")]
    Replaced { client: Client, text: &'static str },
    /// The address is not repeated: it may hold a password.
    #[error("the address given with `--url` cannot be used: {why}")]
    Url { why: &'static str },
    /// Neither is what may be the key itself.
    #[error("what was given with `--key-env` is no name of an environment variable")]
    KeyName,
}

impl ClientError {
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NoContext => {
                "set `context.ctx_size`, or `model.context_length` where the server is to take the model's own"
            }
            Self::Model { .. } => "give the model a name of one line in `server.alias`",
            Self::Replaced { .. } => "give the model a plainer name in `server.alias`",
            Self::Url { .. } => {
                "write it like `http://rig.lan:8080`, or with a prefix, `https://example.org/llama`"
            }
            Self::KeyName => {
                "give the name of the variable that holds the key, such as LLAMA_API_KEY; the key itself is \
                 written nowhere"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Client;

    #[test]
    fn names_are_found_again() {
        for client in Client::ALL {
            assert_eq!(Client::find(client.name()), Some(client));
            assert_eq!(client.to_string(), client.name());
        }
        assert_eq!(Client::find("emacs"), None);
    }
}
