//! What the measurements this project started from taught: warnings, since they may be wrong for others.

use super::{Subject, count};
use crate::diagnostic::{Code, Diagnostic};
use crate::preset::context::CacheType;
use crate::preset::record::Outcome;
use crate::preset::value;

pub(super) fn check(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    for field in [&preset.context.cache_type_k, &preset.context.cache_type_v] {
        if matches!(value(field), Some(CacheType::Q4_0 | CacheType::Q4_1 | CacheType::Iq4Nl)) {
            subject.say(
                Code::LessonKvQ4,
                field,
                "a 4-bit KV cache made the model correct itself without end",
                "q8_0 is functionally lossless; the measurement predates activation rotation, so measure again",
            );
            break;
        }
    }
    if let Some(quant) = value(&preset.model.quant).filter(|quant| four_bits(quant)) {
        subject.say(
            Code::LessonQuant4,
            &preset.model.quant,
            format!("{quant}: 4-bit weights took five times the tokens for agentic coding"),
            "a 5- or 6-bit dynamic quant (UD-Q5_K_XL, UD-Q6_K_XL) picks the right experts",
        );
    }
    if value(&preset.chat.jinja) == Some(&false) {
        subject.say(
            Code::LessonJinja,
            &preset.chat.jinja,
            "without Jinja the chat template and tool calls do not work",
            "leave it on; it is llama-server's default",
        );
    }
    if let Some(slots) = value(&preset.batching.parallel).filter(|slots| **slots != 1) {
        let slots = if *slots < 0 { "four shared".to_owned() } else { slots.to_string() };
        subject.say(
            Code::LessonSlots,
            &preset.batching.parallel,
            format!(
                "{slots} slots multiply the recurrent state and, unless unified, divide the context"
            ),
            "one person needs one: `parallel = 1`",
        );
    }
    unused_vram(subject);
}

fn four_bits(quant: &str) -> bool {
    let quant = quant.to_ascii_uppercase();
    let quant = quant.strip_prefix("UD-").unwrap_or(&quant);
    ["Q4", "IQ4", "Q3", "IQ3", "Q2", "IQ2", "IQ1"].iter().any(|low| quant.starts_with(low))
}

/// A card that measurably had room for one more layer, unless one more was tried and ran out of memory.
fn unused_vram(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    let (Some(host), Some(layers), Some(size), Some(placed)) = (
        subject.host,
        count(&preset.model.layers),
        value(&preset.model.size_gib),
        value(&preset.placement.layers),
    ) else {
        return;
    };
    if placed.iter().sum::<u32>() as usize >= layers {
        return;
    }
    let layer_mib = size.value * 1024.0 / layers as f64;
    let Some(used) = preset.measured.iter().rev().find_map(|m| value(&m.vram_mib)) else { return };
    for (i, ((gpu, used), placed)) in host.gpus.iter().zip(used).zip(placed).enumerate() {
        let left = gpu.memory.mib() - f64::from(*used);
        let tried = preset.attempts.iter().any(|attempt| {
            value(&attempt.outcome) == Some(&Outcome::OutOfMemory)
                && value(&attempt.layers).and_then(|l| l.get(i)).is_some_and(|more| more > placed)
        });
        if left > layer_mib && !tried {
            let place = preset.placement.layers.as_ref().map(|set| set.at.clone());
            let finding = Diagnostic::new(
                Code::LessonUnusedVram,
                format!(
                    "{left:.0} MiB were left on {}, and a layer takes {layer_mib:.0}",
                    gpu.name
                ),
            )
            .at(place)
            .help(format!("try {} layers on CUDA{i}", placed + 1));
            subject.push(finding);
        }
    }
}
