//! The files of a client.

use askama::Template;

use super::filter as filters;
use super::{RenderError, finish};
use crate::artifact::Artifact;
use crate::client::connection::{Connection, KEY, NO_KEY};
use crate::client::{Client, guide};

/// What the templates print. Each text is in the form that one client wants.
struct Page<'a> {
    connection: &'a Connection,
    label: String,
    v1: String,
    /// The route for chats.
    chat: String,
    /// `openai/NAME`, as litellm tells providers apart.
    litellm: String,
    /// The key as an input of VS Code, as a secret of Continue, as what opencode substitutes; a placeholder for none.
    input: String,
    secret: String,
    substituted: String,
    /// The variable that holds the key, or in which a placeholder stands.
    variable: &'a str,
    no_key: &'static str,
    /// The name under which an environment file exports the key.
    key_name: &'static str,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Page<'a> {
    fn new(client: Client, connection: &'a Connection) -> Self {
        let key = |form: &dyn Fn(&str) -> String| {
            connection.key.as_deref().map_or_else(|| NO_KEY.to_owned(), form)
        };
        Self {
            connection,
            label: connection.label(),
            v1: connection.v1(),
            chat: format!("{}/chat/completions", connection.v1()),
            litellm: format!("openai/{}", connection.model),
            input: key(&|name| format!("${{input:{name}}}")),
            secret: key(&|name| format!("${{{{ secrets.{name} }}}}")),
            substituted: key(&|name| format!("{{env:{name}}}")),
            variable: connection.key.as_deref().unwrap_or(KEY),
            no_key: NO_KEY,
            key_name: key_name(client),
            variables: variables(client, connection),
        }
    }
}

const fn key_name(client: Client) -> &'static str {
    match client {
        Client::ClaudeCode => "ANTHROPIC_AUTH_TOKEN",
        Client::Anthropic => "ANTHROPIC_API_KEY",
        _ => "OPENAI_API_KEY",
    }
}

/// Of an environment file, in order; a key that stands in a variable of its own is not among them.
fn variables(client: Client, connection: &Connection) -> Vec<(&'static str, String)> {
    let model = || connection.model.clone();
    let yes = || "1".to_owned();
    let mut variables = match client {
        Client::ClaudeCode => vec![
            ("ANTHROPIC_BASE_URL", connection.base.clone()),
            ("ANTHROPIC_MODEL", model()),
            ("ANTHROPIC_DEFAULT_OPUS_MODEL", model()),
            ("ANTHROPIC_DEFAULT_SONNET_MODEL", model()),
            ("ANTHROPIC_DEFAULT_HAIKU_MODEL", model()),
            ("CLAUDE_CODE_SUBAGENT_MODEL", model()),
            ("CLAUDE_CODE_MAX_CONTEXT_TOKENS", connection.slot.to_string()),
            ("CLAUDE_CODE_AUTO_COMPACT_WINDOW", connection.slot.to_string()),
            ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", connection.output.to_string()),
            ("CLAUDE_CODE_DISABLE_1M_CONTEXT", yes()),
            // It changes with each request and stands in front of everything: the prefix cache would never match.
            ("CLAUDE_CODE_ATTRIBUTION_HEADER", "0".to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", yes()),
            ("API_TIMEOUT_MS", connection.timeout_ms().to_string()),
        ],
        Client::Openai => vec![("OPENAI_BASE_URL", connection.v1()), ("OPENAI_MODEL", model())],
        Client::Anthropic => {
            vec![("ANTHROPIC_BASE_URL", connection.base.clone()), ("ANTHROPIC_MODEL", model())]
        }
        _ => Vec::new(),
    };
    if connection.key.is_none() {
        variables.push((key_name(client), NO_KEY.to_owned()));
    }
    variables
}

/// One template, and the function that prints it.
macro_rules! files {
    ($($print:ident $template:ident $path:literal;)+) => {$(
        #[derive(Template)]
        #[template(path = $path, escape = "plain")]
        struct $template<'a> {
            header: &'a [String],
            page: &'a Page<'a>,
        }

        fn $print(header: &[String], page: &Page<'_>) -> askama::Result<String> {
            $template { header, page }.render()
        }
    )+};
}

/// The same for a format without comments.
macro_rules! bare_files {
    ($($print:ident $template:ident $path:literal;)+) => {$(
        #[derive(Template)]
        #[template(path = $path, escape = "plain")]
        struct $template<'a> {
            page: &'a Page<'a>,
        }

        fn $print(page: &Page<'_>) -> askama::Result<String> {
            $template { page }.render()
        }
    )+};
}

files! {
    shell Shell "client/environment.sh";
    dotenv Dotenv "client/environment.env";
    continues Continue "client/continue/config.yaml";
    codex Codex "client/codex/profile.config.toml";
    aider Aider "client/aider/aider.conf.yml";
}

bare_files! {
    claude_code ClaudeCode "client/claude-code/settings.json";
    vscode Vscode "client/vscode/chatLanguageModels.json";
    llama_vscode LlamaVscode "client/llama-vscode/llama-vscode.settings.json";
    opencode Opencode "client/opencode/opencode.json";
    qwen_code QwenCode "client/qwen-code/settings.json";
    aider_models AiderModels "client/aider/aider.model.metadata.json";
}

/// All files of a client but the lock file. `header` opens those whose format has comments.
pub fn client(
    client: Client,
    connection: &Connection,
    header: &[String],
) -> Result<Vec<Artifact>, RenderError> {
    let page = &Page::new(client, connection);
    let files = match client {
        Client::ClaudeCode => vec![
            ("settings.json".to_owned(), claude_code(page)),
            ("claude-code.sh".to_owned(), shell(header, page)),
        ],
        Client::Vscode => vec![("chatLanguageModels.json".to_owned(), vscode(page))],
        Client::LlamaVscode => vec![("llama-vscode.settings.json".to_owned(), llama_vscode(page))],
        Client::Continue => vec![("config.yaml".to_owned(), continues(header, page))],
        Client::Opencode => vec![("opencode.json".to_owned(), opencode(page))],
        Client::Codex => vec![(guide::codex_file(&connection.name), codex(header, page))],
        Client::QwenCode => vec![("settings.json".to_owned(), qwen_code(page))],
        Client::Aider => vec![
            ("aider.conf.yml".to_owned(), aider(header, page)),
            ("aider.model.metadata.json".to_owned(), aider_models(page)),
        ],
        Client::Openai | Client::Anthropic => vec![
            (format!("{client}.sh"), shell(header, page)),
            (format!("{client}.env"), dotenv(header, page)),
        ],
    };
    files.into_iter().map(|(name, text)| finish(&name, text)).collect()
}
