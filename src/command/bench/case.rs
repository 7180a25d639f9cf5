//! What is measured: servers at addresses that were given, or presets that are started.

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::stage::Stage;
use crate::artifact::Digest;
use crate::cli::Bench;
use crate::command::{Failure, api_key, load, preset_path, report};
use crate::gpu;
use crate::hardware::Gpu;
use crate::preset::resolve::Library;
use crate::preset::sweep::Point;
use crate::server::{Props, Server};
use crate::strategy::Strategy;
use crate::terminal::Terminal;

/// A server that is measured, and what is known of it.
pub(super) struct Case {
    /// As it is called on the screen.
    pub(super) name: String,
    pub(super) server: Arc<Server>,
    pub(super) strategy: Option<Strategy>,
    /// Whether it is on this machine, where its GPUs and its process can be looked at.
    pub(super) here: bool,
    /// What its GPUs are asked for by, `None` where it uses none; empty: all of them.
    pub(super) gpus: Option<Vec<String>>,
    /// The model's file, where it is known.
    pub(super) model: Option<Utf8PathBuf>,
    pub(super) image: Option<Digest>,
    /// Since it has answered.
    pub(super) props: Option<Props>,
}

impl Case {
    /// Of the machine's GPUs, those that it uses.
    pub(super) fn of<'a>(&self, all: &'a [Gpu]) -> Vec<&'a Gpu> {
        let Some(wanted) = &self.gpus else { return Vec::new() };
        let wants = |(i, gpu): &(usize, &Gpu)| {
            wanted.is_empty()
                || wanted.iter().any(|id| Some(id) == gpu.uuid.as_ref() || *id == i.to_string())
        };
        // In the order of the strategy, which is that of its devices.
        let place = |gpu: &Gpu| wanted.iter().position(|id| Some(id) == gpu.uuid.as_ref());
        let mut used: Vec<&Gpu> =
            all.iter().enumerate().filter(wants).map(|(_, gpu)| gpu).collect();
        used.sort_by_key(|gpu| place(gpu));
        used
    }

    /// Where the server is not what the preset says. The ledger would keep it under the preset's name.
    pub(super) fn doubtful(&self, props: &Props) -> Vec<String> {
        let Some(strategy) = &self.strategy else { return Vec::new() };
        let name = &strategy.name;
        let mut notes = Vec::new();
        let file = strategy.model.rsplit('/').next().unwrap_or_default();
        if file != props.model_file() {
            notes.push(format!("it serves `{}`, and `{name}` names `{file}`", props.model_file()));
        }
        let tokens = strategy.word("--ctx-size").and_then(|word| word.parse::<u64>().ok());
        // Slots share the context or each have a part of it; the server does not say which.
        let slot = props.n_ctx;
        let differs = |n: &u64| *n > 0 && *n != slot && *n != slot * props.slots;
        if let Some(tokens) = tokens.filter(differs) {
            notes.push(format!("its slots have {slot} tokens, and `{name}` a context of {tokens}"));
        }
        notes
    }

    /// Whether prompt and answer fit into a slot, before an hour is spent on the smaller ones.
    pub(super) fn fits(&self, args: &Bench, props: &Props) -> Result<(), Failure> {
        let most = props.n_ctx;
        match args.depth.iter().find(|depth| depth.saturating_add(args.tokens) > most) {
            None => Ok(()),
            Some(depth) => Err(usage(&format!(
                "a prompt of {depth} and {} more tokens do not fit into a slot of {}, which has {most}",
                args.tokens,
                self.server.url()
            ))),
        }
    }
}

pub(super) fn usage(message: &str) -> Failure {
    Failure::Usage { message: message.to_owned() }
}

/// All of them, and where they stand.
pub(super) fn all(
    args: &Bench,
    starts: &[Point],
    terminal: &mut Terminal,
) -> Result<(Vec<Case>, Stage), Failure> {
    #[cfg(feature = "engine")]
    if args.starts_presets() {
        return super::hosted::all(args, starts, terminal);
    }
    #[cfg(not(feature = "engine"))]
    let _ = starts;
    Ok((given(args, terminal)?, Stage::default()))
}

pub(super) fn server(args: &Bench, url: &str, key: Option<&str>) -> Result<Arc<Server>, Failure> {
    let patience = Duration::from_secs(args.timeout);
    Ok(Arc::new(Server::new(url, key.map(str::to_owned), patience)?))
}

/// What runs already, at the addresses or at the presets' ports.
fn given(args: &Bench, terminal: &mut Terminal) -> Result<Vec<Case>, Failure> {
    let strategies = strategies(args, terminal)?;
    let urls = if args.url.is_empty() {
        strategies.iter().map(|s| format!("http://127.0.0.1:{}", s.port)).collect()
    } else {
        args.url.clone()
    };
    match (urls.as_slice(), strategies.len()) {
        ([_, _, _, ..], _) => return Err(usage("at most two servers can be compared")),
        ([first, second], _) if first == second => {
            return Err(usage(&format!(
                "both servers would be {first}: give each its address with `--url`, in the order of the presets"
            )));
        }
        (urls, presets) if presets > 0 && presets != urls.len() => {
            return Err(usage("give one preset for each `--url`, or none"));
        }
        _ => {}
    }
    if args.model.is_some() && urls.len() > 1 {
        return Err(usage("`--model` names the file of one server: leave it out to compare two"));
    }
    let key = args.api_key_file.as_deref().map(api_key).transpose()?;
    let mut strategies = strategies.into_iter();
    let case = |url: &String| {
        let server = server(args, url, key.as_deref())?;
        Ok(Case {
            name: server.url().to_owned(),
            here: server.is_local(),
            server,
            strategy: strategies.next(),
            gpus: Some(Vec::new()),
            model: args.model.clone(),
            image: None,
            props: None,
        })
    };
    urls.iter().map(case).collect()
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

/// This machine, where one of the servers is on it.
pub(super) fn machine(cases: &[Case]) -> Option<gpu::Detected> {
    cases.iter().any(|case| case.here).then(|| gpu::detect().ok()).flatten()
}
