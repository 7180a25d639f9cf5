//! What cannot work, or will not work well, in a strategy as a whole: said before anything is planned or built.
//!
//! Each file below is about one subject. A rule looks at values that were read without complaint, and points at
//! the line that set them, be it in the preset or in what it extends.

mod args;
mod cache;
mod cluster;
mod container;
mod devices;
mod environment;
mod image;
mod lessons;
mod memory;
mod model;
mod overrides;
mod placement;
mod replicas;
mod target;
mod words;

use crate::cluster::Cluster;
use crate::diagnostic::{Code, Diagnostic, Location};
use crate::hardware::Host;
use crate::preset::resolve::Resolved;
use crate::preset::target::Target;
use crate::preset::{Preset, value};
use crate::table::Field;

/// Adds what there is to say about `resolved`, which is to be written for the target that was asked for, else its own.
pub fn check(resolved: &Resolved, asked: Option<Target>, findings: &mut Vec<Diagnostic>) {
    let mut subject = Subject {
        preset: &resolved.preset,
        host: resolved.host.as_deref(),
        cluster: resolved.cluster.as_deref(),
        machine: resolved.machine.as_deref(),
        place: resolved.place(),
        findings,
    };
    words::check(&mut subject, &resolved.name);
    model::check(&mut subject);
    placement::check(&mut subject);
    overrides::check(&mut subject);
    devices::check(&mut subject);
    cache::check(&mut subject);
    memory::check(&mut subject);
    image::check(&mut subject);
    container::check(&mut subject);
    environment::check(&mut subject);
    replicas::check(&mut subject);
    let target = asked.or(value(&resolved.preset.head.target).copied());
    let target = target.unwrap_or(Target::Compose);
    target::check(&mut subject, &resolved.name, target);
    cluster::check(&mut subject, target);
    args::check(&mut subject);
    lessons::check(&mut subject);
}

/// What the rules look at, and where they leave their findings.
struct Subject<'a> {
    preset: &'a Preset,
    /// What one server has of the machine.
    host: Option<&'a Host>,
    cluster: Option<&'a Cluster>,
    machine: Option<&'a Host>,
    place: Location,
    findings: &'a mut Vec<Diagnostic>,
}

impl Subject<'_> {
    /// A finding at the line that set `field`.
    fn say<T>(&mut self, code: Code, field: &Field<T>, message: impl Into<String>, help: &str) {
        self.push(Diagnostic::new(code, message).at(at(field)).help(help));
    }

    fn extend(&mut self, findings: impl IntoIterator<Item = Diagnostic>) {
        self.findings.extend(findings);
    }

    fn push(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// Whether there is anything beside the CPU to place weights on.
    fn has_devices(&self) -> bool {
        let remote = |host: &Host| host.gpus.iter().any(|gpu| gpu.remote.is_some());
        self.is_cuda() || self.host.is_some_and(remote)
    }

    /// How many servers run beside each other.
    fn servers(&self) -> usize {
        let container = &self.preset.container;
        let sets = value(&container.replica_gpus).map(Vec::len).filter(|sets| *sets > 0);
        sets.or_else(|| count(&container.replicas)).unwrap_or(1)
    }

    /// Whether llama.cpp is compiled for CUDA, which is the default.
    fn is_cuda(&self) -> bool {
        value(&self.preset.image.backend).is_none_or(|b| *b == crate::preset::image::Backend::Cuda)
    }
}

fn at<T>(field: &Field<T>) -> Option<Location> {
    field.as_ref().map(|set| set.at.clone())
}

/// The number of a field as a `usize`; negative numbers do not pass the ranges of the keys it is used for.
fn count(field: &Field<i64>) -> Option<usize> {
    value(field).and_then(|n| usize::try_from(*n).ok())
}
