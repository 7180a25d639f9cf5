//! A plan on a screen: bars, rules, speeds, alternatives. Every figure says how it is known.

use std::collections::BTreeSet;

use super::Case;
use super::alternatives::{Alternative, left, residents};
use crate::command::estimate::SystemMemory;
use crate::command::verify::ranges;
use crate::plan::placement::Placement;
use crate::terminal::{Align, table};
use crate::units::Bytes;

const WIDTH: f64 = 48.0;

pub(super) fn text(
    case: &Case,
    placement: &Placement,
    words: &[String],
    others: &[Alternative],
    advice: &[String],
    memory: &SystemMemory,
) -> String {
    let name = case.model.name.as_deref().unwrap_or(&case.model.architecture);
    let mut lines = vec![
        format!("{name} on {}, context {}", case.host.name, case.request.ctx_size),
        String::new(),
        "# weights, + cache, % compute, . margin, _ free; MiB, computed from the header".to_owned(),
    ];
    for (i, device) in placement.estimate.devices.iter().enumerate() {
        let margin = case.margin.get(i).copied().unwrap_or(Bytes::ZERO);
        let spare = device.free.saturating_sub(device.total() + margin);
        let parts = [
            ('#', device.model),
            ('+', device.context),
            ('%', device.compute),
            ('.', margin),
            ('_', spare),
        ];
        lines.push(format!("{} [{}]", device.name, bar(&parts, device.free)));
        lines.push(format!(
            "      weights {:.0}, cache {:.0}, compute {:.0}, margin {:.0}, left {:.0} of {:.0} free (read)",
            device.model.mib(),
            device.context.mib(),
            device.compute.mib(),
            margin.mib(),
            device.free.mib() - (device.total() + margin).mib(),
            device.free.mib(),
        ));
    }
    if let Some(profile) = &case.request.profile {
        lines.push(format!(
            "compute with the additions of profile {}: {}",
            profile.name, profile.about
        ));
    }
    let host = &placement.estimate.host;
    // Only what the CPU computes has its cache there.
    let cache = format!(" cache {:.0},", host.context.mib());
    let cache = if host.context > Bytes::ZERO { cache.as_str() } else { "" };
    lines.push(format!(
        "Host  weights {:.0},{cache} compute {:.0}",
        host.model.mib(),
        host.compute.mib()
    ));
    lines.extend(memory.lines());
    lines.push(String::new());
    for slice in placement.slices.iter().filter(|slice| slice.count > 0) {
        let mut line = format!(
            "{}: {} layers from {}, experts of {}",
            slice.device, slice.count, slice.first, slice.resident
        );
        if let Some((layer, kinds)) = &slice.partial {
            line.push_str(&[" and ", &kinds.join(", "), " of layer ", &layer.to_string()].concat());
        }
        lines.push(line);
    }
    if !placement.rules.is_empty() {
        let row = |rule: &crate::plan::placement::Rule| {
            vec![
                format!("{}={}", rule.pattern, rule.buffer),
                ranges(&rule.layers.iter().copied().collect::<BTreeSet<u32>>()),
                format!("{:.0}", rule.bytes.mib()),
            ]
        };
        let head = [("RULE", Align::Left), ("LAYERS", Align::Left), ("MIB", Align::Right)];
        lines.push(String::new());
        lines.push(table(&head, placement.rules.iter().map(row).collect()));
    }
    let p = &placement.prediction;
    lines.push(format!(
        "predicted: {:.1} tokens/s +-{:.0} %, prompts {:.0} tokens/s +-{:.0} % (rough){}",
        p.decode_tps,
        p.error * 100.0,
        p.prompt_tps,
        p.prompt_error * 100.0,
        if p.assumed { "; some bandwidths are not known and were assumed" } else { "" }
    ));
    for crossing in &placement.crossings {
        lines.push(format!(
            "  of it to {} ({}): {:.1} KB and {} round trips per token, {:.2} ms",
            crossing.host,
            crossing.device,
            crossing.bytes / 1e3,
            crossing.round_trips,
            crossing.seconds * 1e3
        ));
    }
    lines.push(String::new());
    let words: Vec<String> = words
        .iter()
        .map(
            |word| if word.contains(['\\', '|', '(']) { format!("'{word}'") } else { word.clone() },
        )
        .collect();
    lines.push(words.join(" "));
    if !others.is_empty() {
        lines.push(String::new());
        lines.push(alternatives(placement, &case.margin, others));
    }
    lines.extend(placement.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(advice.iter().map(|line| format!("hint: {line}")));
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn bar(parts: &[(char, Bytes)], whole: Bytes) -> String {
    let mut text = String::new();
    let mut sum = 0.0;
    for (sign, bytes) in parts {
        sum += bytes.mib();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some columns")]
        let end = (sum / whole.mib().max(1.0) * WIDTH).round().clamp(0.0, 2.0 * WIDTH) as usize;
        while text.len() < end {
            text.push(*sign);
        }
    }
    text
}

fn alternatives(placement: &Placement, margin: &[Bytes], others: &[Alternative]) -> String {
    let head = [
        ("ALTERNATIVE", Align::Left),
        ("LAYERS", Align::Left),
        ("EXPERTS MIB", Align::Right),
        ("TOKENS/S", Align::Right),
        ("PROMPT", Align::Right),
        ("LEFT MIB", Align::Left),
        ("", Align::Left),
    ];
    let join = |list: &[f64]| list.iter().map(|n| format!("{n:.0}")).collect::<Vec<_>>().join(" ");
    let layers = |list: &[u32]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
    let row = |other: &Alternative| {
        vec![
            other.change.clone(),
            layers(&other.layers),
            format!("{:.0}", other.experts_mib),
            format!("{:.1}", other.decode_tps),
            format!("{:.0}", other.prompt_tps),
            join(&other.left_mib),
            if other.fits { "" } else { "does not fit" }.to_owned(),
        ]
    };
    let own = Alternative {
        #[cfg(feature = "engine")]
        placement: placement.clone(),
        change: "this plan".to_owned(),
        fits: placement.fits,
        layers: residents(placement),
        experts_mib: placement.experts_placed.mib(),
        decode_tps: placement.prediction.decode_tps,
        prompt_tps: placement.prediction.prompt_tps,
        left_mib: left(placement, margin),
    };
    table(&head, std::iter::once(&own).chain(others).map(row).collect())
}
