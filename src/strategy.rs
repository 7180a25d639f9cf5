//! A strategy as it is meant: merged, defaults applied last, ready to be planned.
//!
//! A value that nobody set and that llama.cpp decides well by itself stays absent: what is not in a preset is not
//! on the command line.

mod container;
mod image;
mod setting;

use std::rc::Rc;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::diagnostic::{FileId, Location};
use crate::hardware::Host;
use crate::lock::Placed;
use crate::plan::memory::devices::buffers;
use crate::plan::pattern::override_string;
use crate::preset::placement::OnOff;
use crate::preset::record::{Attempt, Measured, Status};
use crate::preset::resolve::{PREFIX, Resolved, or};
use crate::preset::target::Target;
use crate::preset::{Preset, value};
use crate::profile::Profile;

pub use container::{Container, Replica, gpus};
pub use image::Image;
pub use setting::{Origin, Setting, env_name};

/// One strategy, every value settled.
#[derive(Clone, Debug)]
pub struct Strategy {
    pub name: String,
    pub label: Option<String>,
    pub title: Option<String>,
    pub status: Status,
    pub reason: Option<String>,
    /// What the preset wants to be written for, where it says.
    pub target: Option<Target>,
    /// The GGUF, relative to the models directory.
    pub model: String,
    /// Of all its parts.
    pub size_gib: Option<f64>,
    /// What goes to llama-server, in the order of the preset's tables.
    pub settings: Vec<Setting>,
    pub extra_args: Vec<String>,
    /// Whole layers per GPU, where the placement is given that way.
    pub layers: Vec<u32>,
    pub port: u16,
    pub image: Image,
    /// The build whose buffers plans count with, where it is not the newest that is known.
    pub profile: Option<Arc<Profile>>,
    pub container: Container,
    /// The machine, or all machines of a cluster as llama-server sees them.
    pub host: Option<Rc<Host>>,
    pub cluster: Option<Rc<Cluster>>,
    pub measured: Vec<Measured>,
    pub attempts: Vec<Attempt>,
    /// Files that had a say, the preset first.
    pub inputs: Vec<FileId>,
    /// The preset's file.
    pub file: FileId,
}

/// Where no port is given. llama-server has announced that its own default of 8080 will change.
pub const PORT: u16 = 8080;

impl Strategy {
    /// Settles a preset that has been checked. `None` where no model is named, which the check reports.
    pub fn new(resolved: &Resolved, placed: Option<&Placed>) -> Option<Self> {
        let preset = &resolved.preset;
        let model = value(&preset.model.file)?.clone();
        let head = &preset.head;
        Some(Self {
            name: resolved.name.clone(),
            label: value(&head.label).cloned(),
            title: value(&head.title).cloned(),
            status: value(&head.status).copied().unwrap_or(Status::Untested),
            reason: value(&head.reason).cloned(),
            target: value(&head.target).copied(),
            model,
            size_gib: value(&preset.model.size_gib).map(|size| size.value),
            settings: settings(resolved, placed),
            extra_args: value(&head.extra_args).cloned().unwrap_or_default(),
            layers: value(&preset.placement.layers).cloned().unwrap_or_default(),
            port: value(&preset.server.port).and_then(|p| u16::try_from(*p).ok()).unwrap_or(PORT),
            // What is wrong with it was said by the check.
            image: Image::new(preset, resolved.host.as_deref(), &mut Vec::new()),
            profile: resolved.profile.clone(),
            container: Container::new(preset, resolved.machine.as_deref()),
            host: resolved.host.clone(),
            cluster: resolved.cluster.clone(),
            measured: preset.measured.clone(),
            attempts: preset.attempts.clone(),
            inputs: resolved.inputs.clone(),
            file: resolved.file,
        })
    }

    /// llama-server's flags and values, as the entrypoint passes them: without the model, and without `left_out`.
    pub fn args_without(&self, left_out: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for setting in self.settings.iter().filter(|s| !left_out.contains(&s.emit.on)) {
            match (setting.boolean, setting.word.as_str()) {
                (true, "true") => words.push(setting.emit.on.to_owned()),
                (true, _) => words.extend(setting.emit.off.map(str::to_owned)),
                (false, word) => words.extend([setting.emit.on.to_owned(), word.to_owned()]),
            }
        }
        words.extend(self.extra_args.iter().cloned());
        words
    }

    /// The word llama-server gets for a flag, if the strategy sets it.
    pub fn word(&self, flag: &str) -> Option<&str> {
        self.settings.iter().find(|s| s.emit.on == flag).map(|s| s.word.as_str())
    }
}

fn settings(resolved: &Resolved, placed: Option<&Placed>) -> Vec<Setting> {
    let (preset, host) = (&resolved.preset, resolved.host.as_deref());
    let workers = resolved
        .cluster
        .as_ref()
        .map(|cluster| cluster.endpoints(or(&preset.container.project, PREFIX)).join(","));
    let auto = value(&preset.placement.auto) == Some(&true);
    let placed = placed.filter(|_| auto);
    let mut settings = Vec::new();
    let explicit = explicit_placement(preset);
    preset.each(&mut |entry| {
        let Some(emit) = entry.key.emit else { return };
        if matches!(emit.on, "--model" | "--port") {
            return;
        }
        let from_layers = (emit.on == "--override-tensor").then(|| layers(preset, host)).flatten();
        let set = entry.set.as_ref().map(|(word, at)| (word.clone(), Origin::File((*at).clone())));
        let workers = workers.as_ref().filter(|_| emit.on == "--rpc");
        let set = workers.map(|word| (word.clone(), Origin::Default("the cluster's"))).or(set);
        let planned = placed.and_then(|placed| placed.flags.get(emit.on));
        let planned = planned.map(|word| (word.clone(), Origin::Default("planned")));
        let set = planned.or(set).or(from_layers).or_else(|| {
            let off = emit.on == "--fit" && (auto || explicit.is_some());
            off.then(|| {
                (OnOff::Off.to_string(), Origin::Default("off, since a placement is given"))
            })
        });
        let Some((word, origin)) = set else { return };
        let word = if BESIDE_THE_MODEL.contains(&emit.on) { below_models(&word) } else { word };
        settings.push(Setting::new(entry.table, entry.key, emit, word, origin));
    });
    settings
}

/// Flags whose files lie in the models directory.
const BESIDE_THE_MODEL: &[&str] = &["--mmproj", "--lora", "--spec-draft-model"];

/// The same files as the container sees them.
fn below_models(word: &str) -> String {
    let inside = |file: &str| {
        if file.starts_with('/') { file.to_owned() } else { format!("/models/{file}") }
    };
    word.split(',').map(inside).collect::<Vec<_>>().join(",")
}

/// Where the preset places weights by itself, if it does.
fn explicit_placement(preset: &Preset) -> Option<&Location> {
    let p = &preset.placement;
    let moe = p.cpu_moe.as_ref().filter(|set| set.value).map(|set| &set.at);
    p.layers
        .as_ref()
        .map(|set| &set.at)
        .or(p.override_tensor.as_ref().map(|set| &set.at))
        .or(moe)
        .or(p.n_cpu_moe.as_ref().map(|set| &set.at))
        .or(p.tensor_split.as_ref().map(|set| &set.at))
}

/// The override that whole layers per device stand for.
fn layers(preset: &Preset, host: Option<&Host>) -> Option<(String, Origin)> {
    let set = preset.placement.layers.as_ref()?;
    let named = value(&preset.placement.device).cloned();
    let devices = named.unwrap_or_else(|| devices(host, set.value.len()));
    Some((override_string(&set.value, &devices), Origin::File(set.at.clone())))
}

/// Names of the devices' buffers in order, as llama.cpp has them.
pub fn devices(host: Option<&Host>, at_least: usize) -> Vec<String> {
    let mut known = host.map(|host| buffers(&host.gpus)).unwrap_or_default();
    known.extend((known.len()..at_least).map(|i| format!("CUDA{i}")));
    known
}
