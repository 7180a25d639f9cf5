//! The status of a stack: on which nodes its services are, and which host of a split model was lost.

use std::io::{Error, Write as _};

use camino::Utf8Path;
use serde::Serialize;

use super::super::Failure;
use super::super::elsewhere::prefix;
use super::super::output::read_lock;
use super::super::strategy::engine;
use crate::cli::Format;
use crate::engine::run as block_on;
use crate::engine::stack::Part;
use crate::terminal::{Align, Terminal, table};

/// The name of the stack that a directory is deployed as; `None` where it is no stack's.
pub(super) fn name(directory: &Utf8Path) -> Result<Option<String>, Failure> {
    let Some(lock) = read_lock(directory)? else { return Ok(None) };
    if !lock.outputs.keys().any(|file| file.as_str().ends_with(".stack.yml")) {
        return Ok(None);
    }
    Ok(Some(prefix(directory, &lock)))
}

pub(super) fn run(name: &str, format: Format, terminal: &mut Terminal) -> Result<(), Failure> {
    let parts = block_on(async { Ok::<_, Failure>(engine().await?.stack(name).await?) })??;
    let lost = lost(&parts);
    match format {
        Format::Json => {
            let entries: Vec<Entry<'_>> = parts.iter().map(Entry::new).collect();
            let report = Report { stack: name, services: entries, lost: &lost };
            let text = serde_json::to_string_pretty(&report).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text if parts.is_empty() => {
            writeln!(terminal.err, "there is no stack `{name}`; `docker stack deploy` starts one")?;
        }
        Format::Text => {
            write!(terminal.out, "{}", text(&parts))?;
            for line in &lost {
                writeln!(terminal.out, "{line}")?;
            }
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'a> {
    stack: &'a str,
    services: Vec<Entry<'a>>,
    lost: &'a [String],
}

#[derive(Serialize)]
struct Entry<'a> {
    service: &'a str,
    strategy: &'a str,
    host: Option<&'a str>,
    node: Option<&'a str>,
    node_is: Option<&'a str>,
    running: bool,
    state: &'a str,
    error: Option<&'a str>,
    exit_code: Option<i64>,
    ended: usize,
    image: &'a str,
}

impl<'a> Entry<'a> {
    fn new(part: &'a Part) -> Self {
        Self {
            service: &part.service,
            strategy: &part.strategy,
            host: part.host.as_deref(),
            node: part.node.as_deref(),
            node_is: part.node_is.as_deref(),
            running: part.running,
            state: &part.state,
            error: part.error.as_deref(),
            exit_code: part.exit_code,
            ended: part.ended,
            image: &part.image,
        }
    }
}

/// What a person has to know beside the table: hosts that do not run what they should, and builds that differ.
fn lost(parts: &[Part]) -> Vec<String> {
    let mut lines = Vec::new();
    for part in parts.iter().filter(|part| part.is_lost()) {
        let what = part.host.as_deref().map_or_else(
            || "llama-server".to_owned(),
            |host| format!("the worker of host `{host}`"),
        );
        let at = match (&part.node, &part.node_is) {
            (Some(node), Some(is)) => format!(" with node `{node}`, which is {is}"),
            (Some(node), None) => format!(", last on node `{node}`"),
            (None, _) => String::new(),
        };
        let error = part.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        lines.push(format!("lost: {what} ({}){at}; it is {}{error}", part.service, part.state));
    }
    let workers = parts.iter().any(|part| part.host.is_some());
    let mut images: Vec<&str> = parts.iter().map(|part| part.image.as_str()).collect();
    images.sort_unstable();
    images.dedup();
    if workers && images.len() > 1 {
        lines.push(format!(
            "llama-server and its workers run different images, and must be the same build: {}",
            images.join(", ")
        ));
    }
    lines
}

fn text(parts: &[Part]) -> String {
    let head = [
        ("SERVICE", Align::Left),
        ("STRATEGY", Align::Left),
        ("HOST", Align::Left),
        ("NODE", Align::Left),
        ("STATE", Align::Left),
        ("ENDED", Align::Right),
        ("LAST EXIT", Align::Right),
    ];
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |part: &Part| {
        vec![
            part.service.clone(),
            part.strategy.clone(),
            or_none(&part.host),
            or_none(&part.node),
            part.state.clone(),
            part.ended.to_string(),
            part.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
        ]
    };
    table(&head, parts.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::{Part, lost};

    fn part(service: &str, host: Option<&str>, running: bool) -> Part {
        Part {
            service: service.to_owned(),
            host: host.map(str::to_owned),
            node: Some("n".to_owned()),
            running,
            state: if running { "running" } else { "pending" }.to_owned(),
            image: "i@sha256:1".to_owned(),
            ..Part::default()
        }
    }

    #[test]
    fn says_which_host_was_lost() {
        let well = [part("llama_llama", None, true), part("llama_llama-b", Some("b"), true)];
        assert!(lost(&well).is_empty());
        let down =
            Part { node_is: Some("down".to_owned()), ..part("llama_llama-b", Some("b"), true) };
        let said = lost(&[part("llama_llama", None, true), down]);
        assert_eq!(
            said,
            [
                "lost: the worker of host `b` (llama_llama-b) with node `n`, which is down; it is running"
            ]
        );
        let ended =
            Part { error: Some("exit (139)".to_owned()), ..part("llama_llama", None, false) };
        assert_eq!(
            lost(&[ended]),
            ["lost: llama-server (llama_llama), last on node `n`; it is pending: exit (139)"]
        );
        let other =
            Part { image: "i@sha256:2".to_owned(), ..part("llama_llama-b", Some("b"), true) };
        assert!(lost(&[part("llama_llama", None, true), other])[0].contains("same build"));
    }
}
