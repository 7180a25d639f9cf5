//! What the target cannot express, and what has no effect there.

use std::net::IpAddr;

use super::{Subject, at};
use crate::diagnostic::{Code, Diagnostic, Location};
use crate::plan::inlined::label;
use crate::plan::quadlet::path;
use crate::preset::target::Target;
use crate::preset::value;
use crate::quote::{Refused, kubernetes, systemd};
use crate::table::Field;

pub(super) fn check(subject: &mut Subject<'_>, name: &str, target: Target) {
    if target != Target::Compose && subject.servers() > 1 {
        replicas(subject, target);
    }
    match target {
        Target::Compose => {}
        Target::Swarm => {
            driver(subject, "a stack asks for a node's generic resources");
            address(subject, "a stack publishes on every address of a node, or not at all");
            node_paths(subject, "a node's");
            node_label(subject);
        }
        Target::Kubernetes => {
            driver(subject, "the cluster's device plugin hands out the GPUs");
            address(subject, "a Service cannot choose an address of a node");
            node_paths(subject, "a node's");
            node_label(subject);
            names(subject, name);
            cluster(subject);
            words(subject, kubernetes::scalar);
        }
        Target::Quadlet => {
            driver(subject, "Podman has them by the Container Device Interface alone");
            unit_paths(subject);
            words(subject, systemd::word);
            logs(subject, "journald keeps the log, by its own rules");
        }
    }
}

/// Several servers behind a front are written for Compose alone.
fn replicas(subject: &mut Subject<'_>, target: Target) {
    let container = &subject.preset.container;
    let at = at(&container.replica_gpus).or_else(|| at(&container.replicas));
    let message = format!("several servers behind one address are not written for {target}");
    subject.push(
        Diagnostic::new(Code::BeyondTarget, message)
            .at(at)
            .help("leave `replicas` out and see \"Replicas\" in docs/targets.md for what the target has itself"),
    );
}

/// On this machine alone, or for everybody: nothing else can be said.
fn address(subject: &mut Subject<'_>, why: &str) {
    let field = &subject.preset.container.publish;
    let Some(Ok(address)) = value(field).map(|text| text.parse::<IpAddr>()) else { return };
    if !address.is_loopback() && !address.is_unspecified() {
        subject.say(
            Code::BeyondTarget,
            field,
            format!("{why}; {address} is neither"),
            "write 0.0.0.0 to publish, or leave `publish` out for other services alone; Compose and Quadlet take any",
        );
    }
}

/// Paths that a scheduler passes on to whichever node it chooses.
fn node_paths(subject: &mut Subject<'_>, whose: &str) {
    let container = &subject.preset.container;
    let help = "write an absolute path without `..` that exists on every node that may be chosen";
    let models = value(&container.models_dir).map(|dir| (dir.as_str(), at(&container.models_dir)));
    let volumes = container.volumes.iter().flat_map(|set| {
        let hosts = set.value.iter().enumerate();
        hosts.map(|(i, v)| (v.split(':').next().unwrap_or_default(), Some(set.item(i))))
    });
    for (path, at) in models.into_iter().chain(volumes) {
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            subject.push(
                Diagnostic::new(
                    Code::BeyondTarget,
                    format!("`{path}` lies beside files that are not {whose}"),
                )
                .at(at)
                .help(help),
            );
        }
    }
}

/// The node is found by a label that is made of the hardware's name; without one the server could be put anywhere.
fn node_label(subject: &mut Subject<'_>) {
    let Some(host) = subject.host.filter(|_| subject.cluster.is_none()) else { return };
    if (subject.is_cuda() && !host.gpus.is_empty() || host.cpu.isa.is_some())
        && label(&host.name).is_empty()
    {
        subject.say(
            Code::BeyondTarget,
            &subject.preset.head.hardware,
            format!("no node can have a label that is made of the hardware's name `{}`", host.name),
            "give the hardware file a `name` with letters from a to z or digits",
        );
    }
}

/// What lies beside the directories of the strategies.
const FILES: &[&str] = &[
    "dockerfile",
    "dockerfile.dockerignore",
    "entrypoint.sh",
    "described-gpus.c",
    "kustomization.yaml",
    "models.yaml",
    "composegen.lock",
];

/// A strategy's name is that of a directory; names of objects in a cluster begin with the project's.
fn names(subject: &mut Subject<'_>, name: &str) {
    if FILES.contains(&name.to_ascii_lowercase().as_str()) {
        let finding = Diagnostic::new(
            Code::UnsafeName,
            format!("the directory `{name}` would be where a file of that name is"),
        )
        .at(subject.place.clone())
        .help("rename the preset");
        subject.push(finding);
    }
    let field = &subject.preset.container.project;
    let Some(project) = value(field) else { return };
    if project.contains('_')
        || project.ends_with('-')
        || project.starts_with(|c: char| c.is_ascii_digit())
        || project.len() > 40
    {
        subject.say(
            Code::BeyondTarget,
            field,
            format!("no object of a cluster can be named `{project}`"),
            "lower-case letters, digits and dashes between them, beginning with a letter, at most 40",
        );
    }
}

fn cluster(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    if preset.container.restart.is_some() {
        ignored(
            subject,
            &preset.container.restart,
            "restart",
            "a Deployment always starts its pods again, each time after a longer pause",
        );
    }
    if value(&preset.placement.load_mode).is_some_and(|mode| mode.as_str().contains("mlock")) {
        ignored(
            subject,
            &preset.placement.load_mode,
            "load_mode",
            "a pod cannot ask for locked memory; the node's container runtime sets the limit",
        );
    }
    logs(subject, "the kubelet rotates logs, by its own settings");
}

fn logs(subject: &mut Subject<'_>, why: &str) {
    let container = &subject.preset.container;
    ignored(subject, &container.log_max_size, "log_max_size", why);
    ignored(subject, &container.log_max_file, "log_max_file", why);
}

fn driver(subject: &mut Subject<'_>, why: &str) {
    ignored(subject, &subject.preset.container.gpu_driver, "gpu_driver", why);
}

fn ignored<T>(subject: &mut Subject<'_>, field: &Field<T>, key: &str, why: &str) {
    if field.is_some() {
        let help = "leave it out, or set it there";
        subject.say(Code::IgnoredByTarget, field, format!("`{key}` has no effect: {why}"), help);
    }
}

/// Paths that stand in a unit as they are, between colons.
fn unit_paths(subject: &mut Subject<'_>) {
    let container = &subject.preset.container;
    if let Some(dir) = value(&container.models_dir) {
        let wrong = if dir.contains(':') {
            Some("a `:` would end the path".to_owned())
        } else {
            // What follows the path in its line.
            systemd::line(&format!("{}:/models", path(dir)))
                .err()
                .map(|refused| refused.to_string())
        };
        let at = at(&container.models_dir);
        subject.extend(wrong.map(|wrong| beyond("models_dir", &wrong, at)));
    }
    for (set, i, volume) in container
        .volumes
        .iter()
        .flat_map(|set| set.value.iter().enumerate().map(move |(i, v)| (set, i, v)))
    {
        let wrong = systemd::line(volume).err();
        subject.extend(wrong.map(|w| beyond("volumes", &w.to_string(), Some(set.item(i)))));
    }
}

/// Values that do not come through to the container.
fn words(subject: &mut Subject<'_>, encode: fn(&str) -> Result<String, Refused>) {
    let preset = subject.preset;
    let mut found = Vec::new();
    preset.each(&mut |entry| {
        let Some((word, at)) = &entry.set else { return };
        let carried = entry.key.emit.is_some()
            || matches!(
                entry.key.name,
                "file" | "extra_args" | "environment" | "volumes" | "models_dir"
            );
        if carried && !word.contains('\0') {
            let wrong = encode(word).err();
            found
                .extend(wrong.map(|w| beyond(entry.key.name, &w.to_string(), Some((*at).clone()))));
        }
    });
    subject.extend(found);
}

fn beyond(key: &str, wrong: &str, at: Option<Location>) -> Diagnostic {
    Diagnostic::new(Code::BeyondTarget, format!("`{key}`: {wrong}"))
        .at(at)
        .help("write it in another way; `--target compose` takes it as it is")
}
