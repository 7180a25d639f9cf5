//! Several servers of one kind: GPUs of their own, the same for each, and a front that can reach them.

use super::{Subject, at, count};
use crate::diagnostic::{Code, Diagnostic};
use crate::plan::image::ImageReference;
use crate::preset::value;

pub(super) fn check(subject: &mut Subject<'_>) {
    let container = &subject.preset.container;
    number(subject);
    sets(subject);
    let image = value(&container.front_image).map(|name| name.parse::<ImageReference>());
    if let Some(Err(why)) = image {
        let help = "write the name of an image with HAProxy, such as `haproxy:3.2`";
        subject.say(Code::BadReference, &container.front_image, why, help);
    }
    if subject.servers() > 1 {
        front(subject);
    } else if container.front_image.is_some() {
        let help = "leave it out, or set `replicas`";
        let message = "one server has no front";
        subject.say(Code::IneffectiveKey, &container.front_image, message, help);
    }
}

/// The number and the sets say the same, and on GPUs there are sets.
fn number(subject: &mut Subject<'_>) {
    let container = &subject.preset.container;
    let sets = value(&container.replica_gpus).map(Vec::len);
    match (count(&container.replicas), sets) {
        (Some(replicas), Some(sets)) if replicas != sets => subject.say(
            Code::ReplicaConflict,
            &container.replicas,
            format!("`replicas` is {replicas} and `replica_gpus` has {sets} sets"),
            "leave `replicas` out: there are as many servers as sets",
        ),
        (Some(2..), None) if subject.is_cuda() => subject.say(
            Code::ReplicaConflict,
            &container.replicas,
            "the servers would share the same GPUs, and each is planned to have them alone",
            "say which GPUs each has: `replica_gpus = [[0], [1]]`, numbered as the hardware lists them; on one GPU \
             `parallel` serves several conversations from one copy of the weights",
        ),
        _ => {}
    }
}

fn sets(subject: &mut Subject<'_>) {
    let Some(set) = &subject.preset.container.replica_gpus else { return };
    let wrong = |message: String, at, help: &str| {
        Diagnostic::new(Code::ReplicaConflict, message).at(at).help(help)
    };
    if set.value.is_empty() || !subject.is_cuda() {
        let message = if set.value.is_empty() {
            "`replica_gpus` names no server"
        } else {
            "llama.cpp is compiled for the CPU, and its servers have no GPUs"
        };
        let help = "give `replicas = 2` alone for servers on the CPU";
        subject.push(wrong(message.to_owned(), set.at.clone(), help));
        return;
    }
    let Some(machine) = subject.machine else {
        let help = "name the machine with `hardware`, and number its GPUs from 0";
        subject.push(wrong("no hardware says which GPUs these are".into(), set.at.clone(), help));
        return;
    };
    let mut taken = Vec::new();
    let mut found = Vec::new();
    for (i, gpus) in set.value.iter().enumerate() {
        let number = i + 1;
        if gpus.is_empty() {
            let help = "name its GPUs, or leave the empty set out";
            found.push(wrong(format!("server {number} has no GPU"), set.item(i), help));
            continue;
        }
        for gpu in gpus {
            match taken.iter().find(|(other, _)| other == gpu) {
                Some((_, owner)) => found.push(wrong(
                    format!("server {number} would have GPU {gpu}, which server {owner} has"),
                    set.item(i),
                    "give each GPU to one server",
                )),
                None => taken.push((*gpu, number)),
            }
        }
        let Some(ours) = machine.with(gpus) else {
            let has = machine.gpus.len();
            found.push(wrong(
                format!("`{}` has {has} GPUs, and server {number} wants others", machine.name),
                set.item(i),
                "number them from 0, in the order of the hardware's file",
            ));
            continue;
        };
        let first = set.value.first().and_then(|first| machine.with(first));
        let alike = first.as_ref().is_none_or(|first| {
            first.gpus.len() == ours.gpus.len()
                && first.gpus.iter().zip(&ours.gpus).all(|(a, b)| {
                    (&a.name, a.memory, a.free, a.compute_capability)
                        == (&b.name, b.memory, b.free, b.compute_capability)
                })
        });
        if !alike {
            let names = |gpus: &[crate::hardware::Gpu]| {
                gpus.iter().map(|gpu| gpu.name.as_str()).collect::<Vec<_>>().join(" and ")
            };
            let theirs = first.map(|first| names(&first.gpus)).unwrap_or_default();
            found.push(wrong(
                format!(
                    "one plan cannot fit both: server {number} has {}, server 1 has {theirs}",
                    names(&ours.gpus)
                ),
                set.item(i),
                "give each server the same GPUs in the same order; a preset of its own, on another port, serves the rest",
            ));
        }
    }
    subject.extend(found);
}

/// What the front cannot pass on.
fn front(subject: &mut Subject<'_>) {
    let server = &subject.preset.server;
    for (field, key) in
        [(&server.ssl_key_file, "ssl_key_file"), (&server.ssl_cert_file, "ssl_cert_file")]
    {
        if field.is_some() {
            subject.say(
                Code::ReplicaConflict,
                field,
                format!("`{key}` makes the servers speak TLS, and the front has to read what it passes on"),
                "leave it out; let a proxy with the certificate stand before the front",
            );
        }
    }
    let rpc = &subject.preset.placement.rpc;
    if let Some(place) = at(rpc) {
        let message = "the servers would share the RPC workers, and a worker serves one at a time";
        let finding = Diagnostic::new(Code::ReplicaConflict, message)
            .at(place)
            .help("leave `rpc` out, or `replicas`");
        subject.push(finding);
    }
}
