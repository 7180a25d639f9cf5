//! The report as text. Knows no colors; what comes from the file is escaped, so that it cannot steer a terminal.

use std::fmt::{Formatter, Result, Write as _};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::layers::LayerGroup;
use super::{Inspection, Mixer};
use crate::gguf::{Role, WindowKind};
use crate::units::Bytes;

/// Findings and parts beyond these are counted.
const MOST: usize = 20;

pub(super) fn write(report: &Inspection, f: &mut Formatter<'_>) -> Result {
    head(report, f)?;
    section(f, "Types by role", &quantization(report))?;
    section(f, "Layers, MiB each", &layers(report))?;
    section(f, "Cache", &caches(report))?;
    let slot = report.caches.state_per_slot;
    if slot > Bytes::ZERO {
        let layers = report.caches.recurrent_layers;
        writeln!(f, "Recurrent state: {} per slot in {layers} layers", precise(slot))?;
    }
    if !report.odd.is_empty() {
        writeln!(f, "\nOdd")?;
    }
    for finding in report.odd.iter().take(MOST) {
        let sign = if finding.is_fatal() { '!' } else { '-' };
        writeln!(f, "  {sign} {finding}")?;
    }
    match report.odd.len().checked_sub(MOST) {
        Some(more @ 1..) => writeln!(f, "  - and {more} more"),
        _ => Ok(()),
    }
}

fn head(report: &Inspection, f: &mut Formatter<'_>) -> Result {
    write!(f, "{}", report.architecture.escape_debug())?;
    if let Some(name) = &report.name {
        write!(f, ": {}", name.escape_debug())?;
    }
    let Inspection { block_count, context_length, embedding_length, vocabulary, .. } = report;
    write!(f, "\n{block_count} blocks")?;
    if report.nextn > 0 {
        write!(f, " ({} of them nextn)", report.nextn)?;
    }
    writeln!(
        f,
        ", context {context_length}, embedding {embedding_length}, vocabulary {vocabulary}"
    )?;
    if let Some(experts) = report.experts {
        write!(f, "{} experts, {} per token", experts.count, experts.used)?;
        if experts.feed_forward_length > 0 {
            write!(f, ", {} wide", experts.feed_forward_length)?;
        }
        if experts.shared_count > 0 {
            write!(f, "; {} shared", experts.shared_count)?;
        } else if experts.shared_feed_forward_length > 0 {
            write!(f, "; shared expert {} wide", experts.shared_feed_forward_length)?;
        }
        writeln!(f)?;
    }
    if let Some(window) = &report.window {
        let layers = window.layers.iter().filter(|slides| **slides).count();
        let kind = match window.kind {
            WindowKind::Standard => "",
            WindowKind::Chunked => " in chunks",
            WindowKind::Symmetric => " to both sides",
        };
        writeln!(f, "window of {} tokens{kind} in {layers} layers", window.size)?;
    }
    write!(f, "{} tensors, {}", report.tensors, precise(report.bytes))?;
    if let Some(bytes) = report.bytes_per_token {
        write!(f, ", {} of them read per token", precise(bytes))?;
    }
    match report.parts.as_slice() {
        [] => writeln!(f),
        [one] => writeln!(f, "\n{}", one.name.escape_debug()),
        [first, ..] => {
            writeln!(f, "\n{} and {} more", first.name.escape_debug(), report.parts.len() - 1)
        }
    }
}

fn section(f: &mut Formatter<'_>, title: &str, table: &Table) -> Result {
    writeln!(f, "\n{title}")?;
    // Columns are filled up with blanks, which nobody wants at the end of a line.
    table.lines().try_for_each(|line| writeln!(f, "  {}", line.trim_end()))
}

/// The first `left` columns are words, the others numbers.
fn table(header: Vec<String>, left: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn quantization(report: &Inspection) -> Table {
    let mut table = table(words(&["role", "tensors", "size", "bits", "types"]), 1);
    if let Some(types) = table.column_mut(4) {
        types.set_cell_alignment(CellAlignment::Left);
    }
    for role in &report.quantization {
        let mut types = String::new();
        for share in &role.types {
            let comma = if types.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(types, "{comma}{} {}", share.dtype, share.tensors);
        }
        let bits = format!("{:.2}", role.bits);
        let cells =
            [role.role.to_string(), role.tensors.to_string(), precise(role.bytes), bits, types];
        table.add_row(cells);
    }
    table
}

fn layers(report: &Inspection) -> Table {
    let has = |role: &Role| {
        report.layers.iter().any(|group| group.each.iter().any(|each| each.role == *role))
    };
    let roles: Vec<Role> = Role::ALL.into_iter().filter(has).collect();
    let mut header = words(&["layers", "kind", "heads"]);
    header.extend(roles.iter().map(ToString::to_string));
    header.push("together".to_owned());
    let mut table = table(header, 3);
    for group in &report.layers {
        let mut row = vec![ranges(&group.layers), mixer(group.mixer).to_owned(), heads(group)];
        for role in &roles {
            let bytes = group.each.iter().find(|each| each.role == *role).map(|each| each.bytes);
            row.push(bytes.map_or_else(String::new, |bytes| format!("{:.2}", bytes.mib())));
        }
        row.push(format!("{:.2}", group.bytes.mib()));
        table.add_row(row);
    }
    for each in &report.outside {
        let mut row = words(&["-", each.role.as_str(), ""]);
        row.resize(3 + roles.len(), String::new());
        row.push(format!("{:.2}", each.bytes.mib()));
        table.add_row(row);
    }
    table
}

fn heads(group: &LayerGroup) -> String {
    let LayerGroup { heads, kv_heads, key_length, value_length, .. } = group;
    match group.mixer {
        Mixer::Recurrent | Mixer::None => String::new(),
        _ if key_length == value_length => format!("{heads}/{kv_heads} x {key_length}"),
        _ => format!("{heads}/{kv_heads} x {key_length}/{value_length}"),
    }
}

const fn mixer(mixer: Mixer) -> &'static str {
    match mixer {
        Mixer::Attention => "attention",
        Mixer::Window => "window",
        Mixer::SharedAttention => "attention, shared cache",
        Mixer::Recurrent => "recurrent",
        Mixer::AttentionAndRecurrent => "attention and recurrent",
        Mixer::None => "no attention",
        Mixer::Nextn => "nextn",
    }
}

fn caches(report: &Inspection) -> Table {
    let windows = report.caches.window_layers > 0;
    let full = format!("per token, {} layers", report.caches.full_layers);
    let mut header = vec!["type".to_owned(), full];
    if windows {
        header.push(format!("per window token, {} layers", report.caches.window_layers));
    }
    header.push(format!("at {} tokens", report.context_length));
    let mut table = table(header, 1);
    let cell = |bytes: Option<Bytes>| bytes.map_or_else(|| "does not fit".to_owned(), precise);
    for size in &report.caches.types {
        let mut row = vec![size.dtype.to_string(), cell(size.per_token)];
        if windows {
            row.push(cell(size.per_window_token));
        }
        row.push(cell(size.at_full_context));
        table.add_row(row);
    }
    table
}

/// Two digits more than [`Bytes`] prints.
fn precise(bytes: Bytes) -> String {
    let (size, unit) = match bytes.0 {
        size if size >= 1 << 30 => (size as f64 / f64::from(1 << 30), "GiB"),
        size if size >= 1 << 20 => (size as f64 / f64::from(1 << 20), "MiB"),
        size if size >= 1 << 10 => (size as f64 / f64::from(1 << 10), "KiB"),
        size => return format!("{size} B"),
    };
    format!("{size:.2} {unit}")
}

/// `0-2, 4-6, 8-10 ... 44-46 (36)`: the first three runs of numbers that follow one another, and the last.
fn ranges(layers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for layer in layers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*layer) => *last = *layer,
            _ => runs.push((*layer, *layer)),
        }
    }
    let one = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    match runs.as_slice() {
        [a, b, c, .., last] if runs.len() > 4 => {
            format!("{}, {}, {} ... {} ({})", one(a), one(b), one(c), one(last), layers.len())
        }
        runs => runs.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn runs_of_layers_are_folded() {
        assert_eq!(ranges(&[0, 1, 2, 3]), "0-3");
        assert_eq!(ranges(&[0, 2, 3, 5]), "0, 2-3, 5");
        assert_eq!(ranges(&[3, 7, 11, 15, 19, 23]), "3, 7, 11 ... 23 (6)");
        assert_eq!(ranges(&[]), "");
    }
}
