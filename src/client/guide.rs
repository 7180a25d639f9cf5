//! What to do with the files of a client, and what to know before: the lines that the command prints.

use camino::Utf8Path;

use super::Client;
use super::connection::{Connection, NO_KEY};
use crate::quote::{Refused, shell};

/// Below this, Claude Code's reserve for the answer and for compaction leaves no room to work in
/// (<https://github.com/jundot/omlx/pull/2400>).
const CLAUDE_CODE_SLOT: u64 = 48 << 10;

impl Client {
    /// One step a line: a command to run, or where to put what. `dir` is where the files are, as the user can type it.
    pub fn steps(self, connection: &Connection, dir: &str) -> Result<Vec<String>, Refused> {
        let at = |file: &str| shell::encode(Utf8Path::new(dir).join(file).as_str());
        let name = &connection.name;
        let mut steps = Vec::new();
        if let (Some(key), true) = (&connection.key, self.wants_key_in_shell()) {
            steps.push(format!("export {key}=\"$(cat KEYFILE)\"     # the file that the preset's `api_key_file` names"));
        }
        steps.extend(match self {
            Self::ClaudeCode => vec![
                format!("claude --settings {}", at("settings.json")?),
                format!("or, for programs built on its SDK: . {}", at("claude-code.sh")?),
            ],
            Self::Vscode => vec![
                "run `Chat: Manage Language Models` in VS Code and open chatLanguageModels.json".to_owned(),
                format!("add the entry of {} to the list in it", at("chatLanguageModels.json")?),
            ],
            Self::LlamaVscode => vec![
                format!(
                    "copy the keys of {} into VS Code's settings.json (`Preferences: Open User Settings (JSON)`)",
                    at("llama-vscode.settings.json")?
                ),
                "where an env was chosen in its menu, choose `Empty - no models`, which leaves it to the settings".to_owned(),
            ],
            Self::Continue => vec![format!(
                "copy {} to ~/.continue/configs/{name}.yaml, or its model into ~/.continue/config.yaml",
                at("config.yaml")?
            )],
            Self::Opencode => vec![format!("OPENCODE_CONFIG={} opencode", at("opencode.json")?)],
            Self::Codex => vec![
                format!("cp {} ~/.codex/", at(&codex_file(name))?),
                format!("codex --profile {}", shell::encode(name)?),
            ],
            Self::QwenCode => vec![
                format!("copy {} to .qwen/settings.json of a project, or write it there with `--out .qwen`", at("settings.json")?),
                "qwen".to_owned(),
            ],
            Self::Aider => {
                let key = connection.key.as_ref().map(|key| format!("OPENAI_API_KEY=\"${key}\" "));
                vec![format!(
                    "{}aider --config {} --model-metadata-file {}",
                    key.unwrap_or_default(),
                    at("aider.conf.yml")?,
                    at("aider.model.metadata.json")?
                )]
            }
            Self::Openai | Self::Anthropic => vec![
                format!(". {}", at(&format!("{self}.sh"))?),
                format!("or, as the `env_file` of a service in Compose: {}", at(&format!("{self}.env"))?),
            ],
        });
        Ok(steps)
    }

    /// What would otherwise be found out by an error.
    pub fn notes(self, connection: &Connection) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(key) = &connection.key {
            notes.push(match self {
                Self::Vscode => format!("VS Code asks for the key once and keeps it: `${{input:{key}}}` stands for it"),
                Self::LlamaVscode => "llama.vscode takes keys from its settings alone: put it into \
                     `llama-vscode.api_key_chat` and `llama-vscode.api_key_tools` of your user settings"
                    .to_owned(),
                Self::Continue => format!("Continue reads {key} from ~/.continue/.env or the workspace's .env"),
                _ => format!("no file holds the key; it is taken from {key}"),
            });
        } else {
            notes.push(format!(
                "the server asks for no key; `{NO_KEY}` stands where a client insists on one"
            ));
        }
        if !connection.tools && !matches!(self, Self::Openai | Self::Anthropic) {
            notes.push(
                "`chat.jinja` is off: the server takes no tool calls, which agents live on"
                    .to_owned(),
            );
        }
        if self == Self::ClaudeCode {
            if connection.slot < CLAUDE_CODE_SLOT {
                notes.push(format!(
                    "a slot holds {} tokens; Claude Code needs about {CLAUDE_CODE_SLOT} to work in",
                    connection.slot
                ));
            }
            if connection.model.to_ascii_lowercase().starts_with("claude-") {
                notes.push(
                    "Claude Code takes the window of a name that begins with `claude-` from its own table: choose \
                     another in `server.alias`"
                        .to_owned(),
                );
            }
        }
        notes
    }

    /// Whether what runs the client has to have the key in its environment.
    const fn wants_key_in_shell(self) -> bool {
        !matches!(self, Self::Vscode | Self::LlamaVscode | Self::Continue)
    }
}

/// Codex finds a profile by the name of its file.
pub fn codex_file(name: &str) -> String {
    format!("{name}.config.toml")
}
