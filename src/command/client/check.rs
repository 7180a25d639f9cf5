//! `composegen client NAME PRESET --check`: whether the running server gives what the files of a client promise.

use std::io::Write as _;
use std::time::Duration;

use camino::Utf8Path;
use serde::Serialize;

use crate::artifact::Artifact;
use crate::cli::Format;
use crate::client::check::{Bad, PROPS, Probe};
use crate::client::connection::NO_KEY;
use crate::client::{Client, Connection};
use crate::command::{Failure, load};
use crate::server::{KeyHeader, Server, ServerError};
use crate::terminal::Terminal;

/// One line of the outcome.
#[derive(Serialize)]
struct Line {
    what: &'static str,
    good: bool,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Line {
    fn good(what: &'static str, said: impl Into<String>) -> Self {
        Self { what, good: true, said: said.into(), remedy: None }
    }

    fn bad(what: &'static str, said: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, good: false, said: said.into(), remedy: Some(remedy.into()) }
    }
}

pub(super) fn run(
    client: Client,
    connection: &Connection,
    files: &[Artifact],
    out: &Utf8Path,
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut lines: Vec<Line> = written(client, connection, files, out).into_iter().collect();
    match key(connection) {
        Ok((key, line)) => {
            lines.extend(line);
            lines.extend(asked(client, connection, key));
        }
        Err(line) => lines.push(line),
    }
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&lines).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            for line in &lines {
                let mark = if line.good { "good" } else { "bad " };
                writeln!(terminal.out, "{mark}  {:<10} {}", line.what, line.said)?;
                if let Some(remedy) = &line.remedy {
                    writeln!(terminal.out, "      {:<10} {remedy}", "")?;
                }
            }
        }
    }
    match lines.iter().filter(|line| !line.good).count() {
        0 => Ok(()),
        bad => Err(Failure::NoAnswer(format!(
            "{client} would not work at {}: {bad} of {} things are not as it needs them",
            connection.base,
            lines.len()
        ))),
    }
}

/// Whether what was written earlier is what would be written now. The server is asked for the latter.
fn written(
    client: Client,
    connection: &Connection,
    files: &[Artifact],
    out: &Utf8Path,
) -> Option<Line> {
    let state = |file: &Artifact| load(&out.join(&file.path)).ok().map(|text| text == file.text);
    let found: Vec<Option<bool>> = files.iter().map(state).collect();
    if found.iter().all(Option::is_none) {
        return None;
    }
    if found.iter().all(|same| *same == Some(true)) {
        return Some(Line::good("files", format!("{out} is as it would be written now")));
    }
    let again = format!("write them again: `composegen client {client} {}`", connection.name);
    Some(Line::bad("files", format!("{out} is not as it would be written now"), again))
}

/// The key as a client would take it. A server that asks for none is given what stands for none.
fn key(connection: &Connection) -> Result<(String, Option<Line>), Line> {
    let Some(name) = &connection.key else { return Ok((NO_KEY.to_owned(), None)) };
    match shell(name).filter(|key| !key.trim().is_empty()) {
        Some(key) => Ok((key, Some(Line::good("key", format!("taken from {name}"))))),
        None => Err(Line::bad(
            "key",
            format!("{name} is not set"),
            format!(
                "export {name}=\"$(cat KEYFILE)\", with the file that the preset's `api_key_file` names"
            ),
        )),
    }
}

#[expect(clippy::disallowed_methods, reason = "clients take the key from this variable, too")]
fn shell(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn asked(client: Client, connection: &Connection, key: String) -> Vec<Line> {
    let header = if client == Client::Anthropic { KeyHeader::XApiKey } else { KeyHeader::Bearer };
    let patience = Duration::from_secs(connection.timeout_s);
    let server = match Server::new(&connection.base, Some(key), patience) {
        Ok(server) => server.with_header(header),
        Err(error) => return vec![Line::bad("server", error.to_string(), error.help())],
    };
    let mut lines = Vec::new();
    for probe in Probe::ALL {
        if probe == Probe::ToolCall && !connection.tools {
            lines.push(Line::bad(
                probe.name(),
                "`chat.jinja` is off: the server takes no tools",
                "turn it on in the preset and start the server again",
            ));
            continue;
        }
        let (path, body) = probe.request(client, connection);
        match server.route(path, body.as_ref()) {
            Ok(reply) => lines.push(match probe.read(client, connection, &reply) {
                Ok(said) => Line::good(probe.name(), said),
                Err(Bad { why, remedy }) => Line::bad(probe.name(), why, remedy),
            }),
            // Not every server shows them.
            Err(ServerError::Refused { status: 403 | 404 | 501, .. }) if path == PROPS => {}
            Err(error) => {
                let remedy = match (&error, &connection.key) {
                    (ServerError::Refused { status: 401, .. }, None) => {
                        "the server asks for a key: name its variable with `--key-env`, or its file in the preset's \
                         `server.api_key_file`"
                            .to_owned()
                    }
                    (ServerError::Refused { status: 401, .. }, Some(name)) => {
                        format!("{name} holds another key than the server's: export the right one")
                    }
                    _ => error.help().to_owned(),
                };
                let unreachable = matches!(error, ServerError::Unreachable { .. });
                lines.push(Line::bad(probe.name(), error.to_string(), remedy));
                // It would be the same with each of the others.
                if unreachable {
                    break;
                }
            }
        }
    }
    lines
}
