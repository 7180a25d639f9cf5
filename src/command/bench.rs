//! `composegen bench`: how fast a running server is, by its own clock, and whether one is faster than another.

mod key;
mod measure;
mod text;

use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::speeds::{self, Compared};
use super::{Failure, ledger, load, preset_path, report};
use crate::bench::Verdict;
use crate::cli::{Bench, Format};
use crate::ledger::Run;
use crate::preset::resolve::Library;
use crate::server::{Props, Server, ServerError};
use crate::strategy::Strategy;
use crate::terminal::Terminal;

/// A server that is measured, and what is known of it.
struct Target {
    server: Server,
    props: Props,
    strategy: Option<Strategy>,
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::NoAnswer(format!("{error}\n{}", error.help()))
    }
}

pub(super) fn run(args: &Bench, terminal: &mut Terminal) -> Result<(), Failure> {
    let points = super::sweep_points(&args.sweep)?;
    let targets = targets(args, terminal)?;
    for target in &targets {
        fits(args, target)?;
        for note in doubtful(target) {
            writeln!(terminal.err, "note: {}: {note}", target.server.url())?;
        }
    }
    let measured = measure::all(args, &targets, &points, terminal)?;
    let mut runs = Vec::new();
    for (target, measured) in targets.iter().zip(measured) {
        runs.push(key::run(args, target, measured)?);
    }
    if !args.no_ledger {
        ledger::append(&args.file.ledger, &runs)?;
    }
    // Taken in turns, sample by sample.
    let pairs = match runs.as_slice() {
        [first, second] => speeds::pairs(first, second, Verdict::paired),
        _ => Vec::new(),
    };
    match args.output.format {
        Format::Json => {
            let verdicts = pairs.iter().map(Compared::new).collect();
            let text = serde_json::to_string_pretty(&Report { runs: &runs, verdicts })
                .map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            write!(terminal.out, "{}", text::runs(&targets, &runs))?;
            if !pairs.is_empty() {
                write!(terminal.out, "\n{}", speeds::text(&pairs))?;
            }
        }
    }
    if !args.no_ledger {
        writeln!(terminal.err, "written to `{}`", args.file.ledger)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'a> {
    runs: &'a [Run],
    verdicts: Vec<Compared>,
}

fn targets(args: &Bench, terminal: &mut Terminal) -> Result<Vec<Target>, Failure> {
    let usage = |message: &str| Failure::Usage { message: message.to_owned() };
    let strategies = strategies(args, terminal)?;
    let urls = if args.url.is_empty() {
        strategies.iter().map(|s| format!("http://127.0.0.1:{}", s.port)).collect()
    } else {
        args.url.clone()
    };
    match (urls.as_slice(), strategies.len()) {
        ([_, _, _, ..], _) => return Err(usage("at most two servers can be compared")),
        ([first, second], _) if first == second => {
            return Err(Failure::Usage {
                message: format!(
                    "both servers would be {first}: give each its address with `--url`, in the order of the presets"
                ),
            });
        }
        (urls, presets) if presets > 0 && presets != urls.len() => {
            return Err(usage("give one preset for each `--url`, or none"));
        }
        _ => {}
    }
    if args.model.is_some() && urls.len() > 1 {
        return Err(usage("`--model` names the file of one server: leave it out to compare two"));
    }
    let key = args.api_key_file.as_deref().map(super::api_key).transpose()?;
    let mut strategies = strategies.into_iter();
    let patience = Duration::from_secs(args.timeout);
    urls.iter()
        .map(|url| {
            let server = Server::new(url, key.clone(), patience)?;
            let props = server.props()?;
            Ok(Target { server, props, strategy: strategies.next() })
        })
        .collect()
}

fn strategies(args: &Bench, terminal: &mut Terminal) -> Result<Vec<Strategy>, Failure> {
    let mut library = Library::new(&load);
    let mut strategies = Vec::new();
    for preset in &args.presets {
        let resolved =
            library.resolve(&preset_path(preset)).map_err(|e| Failure::File(e.to_string()))?;
        match Strategy::new(&resolved, None) {
            Some(strategy) => strategies.push(strategy),
            None => return Err(Failure::Rejected(format!("`{preset}` names no model"))),
        }
    }
    report(&library.findings, &library.sources, false, terminal)?;
    Ok(strategies)
}

/// Where the server is not what the preset says. The ledger would keep it under the preset's name.
fn doubtful(target: &Target) -> Vec<String> {
    let Some(strategy) = &target.strategy else { return Vec::new() };
    let (props, name) = (&target.props, &strategy.name);
    let mut notes = Vec::new();
    let file = strategy.model.rsplit('/').next().unwrap_or_default();
    if file != props.model_file() {
        notes.push(format!("it serves `{}`, and `{name}` names `{file}`", props.model_file()));
    }
    let tokens = strategy.word("--ctx-size").and_then(|word| word.parse::<u64>().ok());
    // Slots share the context or each have a part of it; the server does not say which.
    let slot = props.n_ctx;
    if let Some(tokens) = tokens.filter(|n| *n > 0 && *n != slot && *n != slot * props.slots) {
        notes.push(format!("its slots have {slot} tokens, and `{name}` a context of {tokens}"));
    }
    notes
}

/// Whether prompt and answer fit into a slot, before an hour is spent on the smaller ones.
fn fits(args: &Bench, target: &Target) -> Result<(), Failure> {
    let most = target.props.n_ctx;
    match args.depth.iter().find(|depth| depth.saturating_add(args.tokens) > most) {
        None => Ok(()),
        Some(depth) => Err(Failure::Usage {
            message: format!(
                "a prompt of {depth} and {} more tokens do not fit into a slot of {}, which has {most}",
                args.tokens,
                target.server.url()
            ),
        }),
    }
}
