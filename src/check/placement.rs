//! Ways of placing weights that exclude each other or that llama.cpp would silently ignore.

use super::{Subject, at, count};
use crate::diagnostic::{Code, Diagnostic};
use crate::preset::placement::{GpuLayers, OnOff, SplitMode};
use crate::preset::value;
use crate::table::Field;

pub(super) fn check(subject: &mut Subject<'_>) {
    exclusive(subject);
    auto(subject);
    fit(subject);
    split_mode(subject);
    layer_counts(subject);
    ineffective(subject);
}

/// Keys that llama.cpp reads and then does not look at.
fn ineffective(subject: &mut Subject<'_>) {
    let p = &subject.preset.placement;
    let mode = value(&p.split_mode).copied().unwrap_or(SplitMode::Layer);
    // Index 0 is what the layers would start with anyway.
    if matches!(mode, SplitMode::Layer) && value(&p.main_gpu).is_some_and(|gpu| *gpu > 0) {
        subject.say(
            Code::IneffectiveKey,
            &p.main_gpu,
            "`main_gpu` has no effect with `split_mode = \"layer\"`",
            "order the devices with `device`, or give shares with `tensor_split`",
        );
    }
    if value(&p.fit) == Some(&OnOff::Off) {
        for (name, place) in [("fit_target", at(&p.fit_target)), ("fit_ctx", at(&p.fit_ctx))] {
            if place.is_some() {
                let message = format!("`{name}` has no effect with `fit = \"off\"`");
                let help = "take it out, or let llama-server fit with `fit = \"on\"`";
                subject.push(Diagnostic::new(Code::IneffectiveKey, message).at(place).help(help));
            }
        }
    }
}

/// What planning needs to know, and keys that it decides instead.
fn auto(subject: &mut Subject<'_>) {
    let p = &subject.preset.placement;
    if value(&p.auto) != Some(&true) {
        return;
    }
    match subject.host {
        _ if !subject.is_cuda() => subject.say(
            Code::PlacementConflict,
            &p.auto,
            "`auto` plans for CUDA devices, and the image is built for something else",
            "take `auto` out; llama-server decides by itself where no placement is given",
        ),
        None => subject.say(
            Code::MissingKey,
            &p.auto,
            "`auto` has no `hardware` to plan for",
            "name the machine in `hardware`; `composegen hardware detect` describes the one it runs on",
        ),
        Some(host) if host.gpus.is_empty() => subject.say(
            Code::UnknownDevice,
            &p.auto,
            format!("`{}` has no GPU to place anything on", host.name),
            "add a `[[gpu]]` to the hardware, or take `auto` out",
        ),
        Some(_) => {}
    }
    let count = p.n_gpu_layers.as_ref().filter(|set| matches!(set.value, GpuLayers::Count(_)));
    for (name, place) in
        [("tensor_split", at(&p.tensor_split)), ("n_gpu_layers", count.map(|set| set.at.clone()))]
    {
        if place.is_some() {
            let message = format!("`{name}` is planned anew with `auto`");
            let help = "take it out, or place by hand without `auto`";
            subject.push(Diagnostic::new(Code::IneffectiveKey, message).at(place).help(help));
        }
    }
}

/// Only one of the ways to say which experts stay in system memory.
fn exclusive(subject: &mut Subject<'_>) {
    let p = &subject.preset.placement;
    let planned = value(&p.auto) == Some(&true);
    let cpu_moe = p.cpu_moe.as_ref().filter(|set| set.value).map(|set| ("cpu_moe", &set.at));
    let ways = [
        p.auto.as_ref().filter(|set| set.value).map(|set| ("auto", &set.at)),
        p.layers.as_ref().map(|set| ("layers", &set.at)),
        p.override_tensor.as_ref().map(|set| ("override_tensor", &set.at)),
        cpu_moe,
        p.n_cpu_moe.as_ref().map(|set| ("n_cpu_moe", &set.at)),
        p.n_cpu_ffn.as_ref().filter(|_| planned).map(|set| ("n_cpu_ffn", &set.at)),
    ];
    let mut given = ways.into_iter().flatten();
    let (Some((first, first_at)), Some((second, second_at))) = (given.next(), given.next()) else {
        return;
    };
    let finding = Diagnostic::new(
        Code::PlacementConflict,
        format!("`{first}` and `{second}` both say where the experts go"),
    )
    .at(second_at.clone())
    .related(first_at.clone(), format!("`{first}` is set here"))
    .help("keep one of them: what is given adds up, and the first pattern that matches wins");
    subject.push(finding);
}

fn fit(subject: &mut Subject<'_>) {
    let p = &subject.preset.placement;
    if value(&p.fit) != Some(&OnOff::On) {
        return;
    }
    let count_given = p.n_gpu_layers.as_ref().filter(|set| set.value != GpuLayers::Auto);
    let other = [
        p.auto.as_ref().filter(|set| set.value).map(|set| ("auto", &set.at)),
        p.layers.as_ref().map(|set| ("layers", &set.at)),
        p.override_tensor.as_ref().map(|set| ("override_tensor", &set.at)),
        p.cpu_moe.as_ref().filter(|set| set.value).map(|set| ("cpu_moe", &set.at)),
        p.n_cpu_moe.as_ref().map(|set| ("n_cpu_moe", &set.at)),
        p.tensor_split.as_ref().map(|set| ("tensor_split", &set.at)),
        count_given.map(|set| ("n_gpu_layers", &set.at)),
    ];
    let Some((name, place)) = other.into_iter().flatten().next() else { return };
    let finding = Diagnostic::new(
        Code::FitConflict,
        format!("`fit = \"on\"` does not work together with `{name}`"),
    )
    .at(at(&p.fit))
    .related(place.clone(), format!("`{name}` is set here"))
    .help("set `fit = \"off\"`, or leave the placement to llama-server");
    subject.push(finding);
}

fn split_mode(subject: &mut Subject<'_>) {
    let p = &subject.preset.placement;
    let Some(mode) = value(&p.split_mode).copied() else { return };
    if mode != SplitMode::Layer && value(&p.auto) == Some(&true) {
        subject.say(
            Code::SplitModeConflict,
            &p.split_mode,
            format!("`auto` places layers, and `split_mode = \"{mode}\"` does not"),
            "use `split_mode = \"layer\"`; which GPUs are used says `device`",
        );
    }
    if !matches!(mode, SplitMode::Row | SplitMode::Tensor) {
        return;
    }
    let named = value(&p.override_tensor).is_some_and(|rules| {
        rules.iter().any(|rule| rule.rsplit('=').next().is_some_and(|buffer| buffer != "CPU"))
    });
    if p.layers.is_some() || named {
        let what = if named { "override_tensor" } else { "layers" };
        subject.say(
            Code::SplitModeConflict,
            &p.split_mode,
            format!(
                "`split_mode = \"{mode}\"` splits each tensor that `{what}` puts on one device"
            ),
            "use `split_mode = \"layer\"` with a placement per device",
        );
    }
    if mode == SplitMode::Row {
        subject.say(
            Code::DeprecatedSplit,
            &p.split_mode,
            "llama.cpp has deprecated `split_mode = \"row\"`",
            "use \"layer\"; \"tensor\" is its experimental successor",
        );
        return;
    }
    let context = &subject.preset.context;
    for field in [&context.cache_type_k, &context.cache_type_v] {
        if let Some(kind) = value(field).filter(|kind| kind.is_quantized()) {
            subject.say(
                Code::SplitModeConflict,
                field,
                format!("`split_mode = \"tensor\"` takes no quantized cache, and this is {kind}"),
                "use f16 or bf16, or `split_mode = \"layer\"`",
            );
        }
    }
    if value(&p.fit) == Some(&OnOff::On) {
        subject.say(
            Code::SplitModeConflict,
            &p.fit,
            "`fit` refuses to work with `split_mode = \"tensor\"`",
            "set `fit = \"off\"`",
        );
    }
}

/// Layer counts against the model's.
fn layer_counts(subject: &mut Subject<'_>) {
    let p = &subject.preset.placement;
    let Some(layers) = count(&subject.preset.model.layers) else { return };
    if let Some(GpuLayers::Count(n)) = value(&p.n_gpu_layers)
        && (*n as usize) <= layers
    {
        subject.say(
            Code::FewLayers,
            &p.n_gpu_layers,
            format!("{n} layers are fewer than the model's {layers} blocks and its output"),
            "use \"all\", unless the rest is meant to stay on the CPU together with its KV cache",
        );
    }
    too_many(subject, "layers", layers, value(&p.layers).map(|l| l.iter().sum()), &p.layers);
    let pinned = value(&p.pinned_layers);
    let pinned = pinned.map(|pins| pins.iter().filter_map(|pin| pin.count()).sum());
    too_many(subject, "pinned_layers", layers, pinned, &p.pinned_layers);
    let moved = value(&p.n_cpu_moe).and_then(|n| u32::try_from(*n).ok());
    too_many(subject, "n_cpu_moe", layers, moved, &p.n_cpu_moe);
}

fn too_many<T>(
    subject: &mut Subject<'_>,
    name: &str,
    layers: usize,
    given: Option<u32>,
    field: &Field<T>,
) {
    if let Some(given) = given
        && given as usize > layers
    {
        subject.say(
            Code::OutOfRange,
            field,
            format!("`{name}` counts {given} layers, and the model has {layers}"),
            "give no more layers than the model has",
        );
    }
}
