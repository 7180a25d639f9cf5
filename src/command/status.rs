//! `composegen status`: what runs, how it is, what it was planned to take and what it reports, and how fast it is.

mod planned;
mod stack;

use std::io::{Error, Write as _};

use camino::Utf8Path;
use serde::Serialize;

use super::Failure;
use super::down::{directory, look};
use super::elsewhere::Wanted;
use super::strategy::engine;
use crate::cli::{Format, Status};
use crate::engine::container::{Found, Health};
use crate::engine::{Engine, labels, run as block_on};
use crate::lock;
use crate::log::metrics::Speeds;
use crate::log::progress::{Holds, Progress};
use crate::plan::service::NAME;
use crate::terminal::{Align, Terminal, table};

pub(super) fn run(args: &Status, terminal: &mut Terminal) -> Result<(), Failure> {
    let named = args.running.preset.is_some()
        || args.running.out.is_some()
        || Utf8Path::new(lock::FILE).is_file();
    let directory = if named { Some(directory(&args.running)?) } else { None };
    if let Some(name) = directory.as_deref().map(stack::name).transpose()?.flatten() {
        return stack::run(&name, args.output.format, terminal);
    }
    let list = block_on(async {
        let (engine, found) = if named {
            let looked = look(&args.running, Wanted::Status).await?;
            (looked.engine, looked.found)
        } else {
            let engine = engine().await?;
            let ours = [labels::STRATEGY.to_owned(), format!("{}=False", labels::ONE_OFF)];
            let found = engine.find(&ours).await?;
            (engine, found)
        };
        let mut list = Vec::new();
        for container in &found {
            list.push(one(&engine, container).await?);
        }
        Ok::<_, Failure>(list)
    })??;
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&list).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text if list.is_empty() => writeln!(terminal.err, "nothing runs")?,
        Format::Text => write!(terminal.out, "{}", text(&list))?,
    }
    Ok(())
}

/// One strategy that runs or ran.
#[derive(Serialize)]
struct Entry {
    strategy: String,
    /// The compose file's name of it.
    service: String,
    container: String,
    directory: String,
    state: String,
    health: &'static str,
    restarts: i64,
    exit_code: Option<i64>,
    ports: Vec<u16>,
    started_at: String,
    /// As computed from the plan; empty where the model's header or the machine is not known here.
    planned: Vec<Memory>,
    /// As llama-server's log has it; empty below verbosity 4.
    reported: Vec<Memory>,
    tokens_per_second: Speeds,
}

impl Entry {
    /// The strategy, with the service's name where it is one of several.
    fn title(&self) -> String {
        match self.service.as_str() {
            "" | NAME => self.strategy.clone(),
            service if self.strategy.is_empty() => service.to_owned(),
            service => format!("{} ({service})", self.strategy),
        }
    }
}

/// MiB on one device.
#[derive(Serialize)]
struct Memory {
    device: String,
    mib: f64,
}

async fn one(engine: &Engine, found: &Found) -> Result<Entry, Failure> {
    let state = engine.state(&found.id).await?;
    let strategy = found.label(labels::STRATEGY).to_owned();
    let directory = found.label(labels::DIRECTORY).to_owned();
    let tokens_per_second =
        if state.running { speeds(engine, &found.id).await } else { Speeds::default() };
    Ok(Entry {
        planned: planned::memory(Utf8Path::new(&directory), &strategy),
        reported: reported(engine, &found.id).await?,
        service: found.label(labels::SERVICE).to_owned(),
        container: found.name.clone(),
        state: found.state.clone(),
        health: match state.health {
            Health::None => "-",
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        },
        restarts: state.restarts,
        exit_code: (!state.running).then_some(state.exit_code),
        ports: found.ports.clone(),
        started_at: state.started_at,
        tokens_per_second,
        strategy,
        directory,
    })
}

/// Asked inside of the container, where the port is the server's and the key is at hand.
async fn speeds(engine: &Engine, id: &str) -> Speeds {
    const ASK: &str = "key=/run/secrets/api_key; \
        url=http${LLAMA_SSL_CERT_FILE:+s}://127.0.0.1:${PORT:-8080}${API_PREFIX-}/metrics; \
        set -- --fail --silent --insecure --noproxy '*' --max-time 4; \
        if [ -r \"$key\" ]; then \
            grep -v -e '^#' -e '^$' \"$key\" | head -n 1 | sed 's/^/X-Api-Key: /' | curl --header @- \"$@\" \"$url\"; \
        else curl \"$@\" \"$url\"; fi";
    match engine.exec(id, &["/bin/sh", "-c", ASK]).await {
        Ok(said) if said.code == 0 => Speeds::read(&said.text),
        _ => Speeds::default(),
    }
}

async fn reported(engine: &Engine, id: &str) -> Result<Vec<Memory>, Failure> {
    let mut progress = Progress::default();
    let mut output = engine.logs(id, None, false);
    while let Some(lines) = output.next().await {
        for line in lines {
            progress.line(&line);
        }
    }
    let mut list: Vec<Memory> = Vec::new();
    for (name, holds, mib) in progress.buffers() {
        // The same memory under other names, by the way it was taken.
        let device = name.split(['_', '[']).next().unwrap_or(name);
        let host = name == "CPU" || name.starts_with("CPU_") || name.ends_with("_Host");
        let device = if host { "Host" } else { device };
        // Mapped weights are the page cache's.
        if name == "CPU_Mapped" && holds == Holds::Model {
            continue;
        }
        match list.iter_mut().find(|known| known.device == device) {
            Some(known) => known.mib += mib,
            None => list.push(Memory { device: device.to_owned(), mib }),
        }
    }
    Ok(list)
}

fn text(list: &[Entry]) -> String {
    let head = [
        ("STRATEGY", Align::Left),
        ("STATE", Align::Left),
        ("HEALTH", Align::Left),
        ("RESTARTS", Align::Right),
        ("PORT", Align::Right),
        ("PLANNED MIB", Align::Left),
        ("REPORTED MIB", Align::Left),
        ("PROMPT T/S", Align::Right),
        ("TOKENS/S", Align::Right),
    ];
    let memory = |list: &[Memory]| {
        let parts = list.iter().map(|memory| format!("{} {:.0}", memory.device, memory.mib));
        let text = parts.collect::<Vec<_>>().join(", ");
        if text.is_empty() { "-".to_owned() } else { text }
    };
    let speed = |speed: Option<f64>| speed.map_or_else(|| "-".to_owned(), |s| format!("{s:.1}"));
    let row = |entry: &Entry| {
        let ports: Vec<String> = entry.ports.iter().map(u16::to_string).collect();
        let state = entry
            .exit_code
            .map_or_else(|| entry.state.clone(), |code| format!("{} ({code})", entry.state));
        vec![
            entry.title(),
            state,
            entry.health.to_owned(),
            entry.restarts.to_string(),
            ports.join(","),
            memory(&entry.planned),
            memory(&entry.reported),
            speed(entry.tokens_per_second.prompt),
            speed(entry.tokens_per_second.generated),
        ]
    };
    table(&head, list.iter().map(row).collect())
}
