//! The strategies of a directory as the page needs them: what presets say, and what can be computed of it.

use std::io;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::compute;
use crate::command::ledger::import::reported;
use crate::command::list::order;
use crate::command::{Failure, report, run_key};
use crate::hardware::short_name;
use crate::ledger::Run;
use crate::preset::resolve::Library;
use crate::preset::{Preset, value};
use crate::profile::Profile;
use crate::report::{Card, Subject};
use crate::strategy::Strategy;
use crate::terminal::Terminal;

/// Where things are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Where models are, if the command line says so.
    pub(super) models: Option<&'a Utf8Path>,
    /// Where probes are kept.
    pub(super) ledger: &'a Utf8Path,
    /// The build to compute with, where a preset names none.
    pub(super) profile: Option<&'a Arc<Profile>>,
}

/// All strategies, and what their presets say was measured.
pub(super) struct Gathered {
    pub(super) subjects: Vec<Subject>,
    pub(super) reported: Vec<Run>,
}

type Load<'a> = dyn Fn(&Utf8Path) -> io::Result<String> + 'a;

/// Reads presets through `load`, so that those of another commit can be read, too.
pub(super) fn gather(
    place: &Place<'_>,
    files: &[Utf8PathBuf],
    load: &Load<'_>,
    terminal: &mut Terminal,
) -> Result<Gathered, Failure> {
    let mut library = Library::new(load);
    let mut subjects = Vec::new();
    let mut runs = Vec::new();
    for path in files {
        let resolved = library.resolve(path).map_err(|e| Failure::File(e.to_string()))?;
        let Some(strategy) = Strategy::new(&resolved, None) else { continue };
        let mut own = reported(&strategy)
            .map_err(|why| Failure::Rejected(format!("{path}: `[[measured]]`: {why}")))?;
        runs.append(&mut own);
        let mut subject = subject(&strategy);
        subject.settings = settings(&resolved.preset);
        let model = &resolved.preset.model;
        subject.quant = value(&model.quant).cloned();
        subject.all_layers = value(&model.layers).and_then(|layers| u64::try_from(*layers).ok());
        match compute::compute(&resolved, &strategy, &library.sources, place) {
            Ok(found) => {
                subject.computed = Some((found.devices, found.how));
                subject.predicted = Some(found.predicted);
            }
            Err(why) => subject.missing = Some(why),
        }
        subjects.push(subject);
    }
    report(&library.findings, &library.sources, false, terminal)?;
    subjects.sort_by(|a, b| {
        order(a.label.as_deref(), &a.name).cmp(&order(b.label.as_deref(), &b.name))
    });
    Ok(Gathered { subjects, reported: runs })
}

/// Keys that a subject has in a form of its own, and those that say nothing of what runs.
const APART: [&str; 8] = [
    "extends",
    "label",
    "title",
    "reason",
    "model.quant",
    "context.ctx_size",
    "placement.layers",
    "model.header",
];

/// What the preset says, with what it extends.
fn settings(preset: &Preset) -> Vec<(String, String)> {
    let mut set = Vec::new();
    preset.each(&mut |entry| {
        let path = entry.path();
        let apart = APART.contains(&path.as_str()) || path.starts_with("context.cache_type_");
        if let Some((word, _)) = entry.set.filter(|_| !apart) {
            set.push((path, word));
        }
    });
    set
}

fn subject(strategy: &Strategy) -> Subject {
    let word = |flag| strategy.word(flag).map(str::to_owned);
    let cache = match (word("--cache-type-k"), word("--cache-type-v")) {
        (Some(k), Some(v)) if k == v => Some(k),
        (None, None) => None,
        (k, v) => Some([k, v].map(|ty| ty.unwrap_or_else(|| "f16".to_owned())).join("/")),
    };
    let gpus = strategy.host.iter().flat_map(|host| &host.gpus);
    Subject {
        name: strategy.name.clone(),
        label: strategy.label.clone(),
        title: strategy.title.clone(),
        ctx_size: word("--ctx-size").and_then(|word| word.parse().ok()),
        cache,
        layers: strategy.layers.clone(),
        status: Some(strategy.status),
        reason: strategy.reason.clone(),
        digest: run_key::preset(strategy).digest,
        cards: gpus
            .map(|gpu| Card {
                name: short_name(&gpu.name),
                memory_mib: gpu.memory.mib(),
                free_mib: gpu.free.mib(),
            })
            .collect(),
        ..Subject::default()
    }
}
