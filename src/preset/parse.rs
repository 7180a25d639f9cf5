//! From the text of a file to a [`Preset`], with everything that is wrong with it.

use toml::de::DeTable;

use super::Preset;
use super::placement::Placement;
use crate::diagnostic::{Code, Diagnostic, FileId, Location};
use crate::flags;
use crate::table::{Reader, Set, Table};

/// Names of all tables and of the keys at the top, for unknown-key suggestions and for the schema.
pub const TABLES: &[&str] = &[
    "model",
    "context",
    "placement",
    "batching",
    "sampling",
    "chat",
    "speculative",
    "server",
    "image",
    "container",
    "measured",
    "attempt",
];

/// Reads one file. The preset holds what could be read even where there are findings.
pub fn parse(file: FileId, text: &str, findings: &mut Vec<Diagnostic>) -> Preset {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map(|span| Location::new(file, &span));
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        findings.push(Diagnostic::new(Code::Syntax, message).at(at));
    }
    let root = root.get_ref();
    let mut reader = Reader { file, findings, stray };
    let top = super::Head::KEYS.iter().map(|key| key.name);
    reader.unknown(root, "", &top.chain(TABLES.iter().copied()));
    Preset {
        head: super::Head::read(&mut reader, root),
        model: reader.table(root, "model"),
        context: reader.table(root, "context"),
        placement: placement(&mut reader, root),
        batching: reader.table(root, "batching"),
        sampling: reader.table(root, "sampling"),
        chat: reader.table(root, "chat"),
        speculative: reader.table(root, "speculative"),
        server: reader.table(root, "server"),
        image: reader.table(root, "image"),
        container: reader.table(root, "container"),
        measured: reader.tables(root, "measured"),
        attempts: reader.tables(root, "attempt"),
    }
}

/// The table, or the one word `placement = "auto"` for a table that says nothing else.
fn placement(reader: &mut Reader<'_>, root: &DeTable<'_>) -> Placement {
    match root.get("placement") {
        Some(word) if word.get_ref().as_str() == Some("auto") => {
            let at = reader.location(word);
            Placement {
                auto: Some(Box::new(Set { value: true, at, items: Vec::new() })),
                ..Placement::default()
            }
        }
        _ => reader.table(root, "placement"),
    }
}

/// A key in the wrong table, a flag that is gone, or a flag of llama-server that has no key.
fn stray(name: &str) -> Option<(Code, String)> {
    let mut belongs = None;
    Preset::default().each(&mut |entry| {
        if entry.key.name == name {
            belongs = Some(entry.table);
        }
    });
    if let Some(table) = belongs {
        let place = if table.is_empty() {
            "at the top of the file, before any table".to_owned()
        } else {
            format!("in `[{table}]`")
        };
        return Some((Code::UnknownKey, format!("`{name}` belongs {place}")));
    }
    let flag = format!("--{}", name.replace('_', "-"));
    if let Some(gone) = flags::removed(&flag) {
        return Some((Code::RemovedFlag, format!("llama.cpp no longer has it: {gone}")));
    }
    let known = flags::find(&flag).filter(|flag| flag.server)?;
    Some(match super::key_of(known.long) {
        Some(("", key)) => (Code::UnknownKey, format!("write `{key}`")),
        Some((table, key)) => (Code::UnknownKey, format!("write `{key}` in `[{table}]`")),
        None => {
            let example = if known.kind.words() == 0 {
                format!("[\"{}\"]", known.long)
            } else {
                format!("[\"{}\", \"...\"]", known.long)
            };
            (Code::UnknownKey, format!("it has no key; pass it as `extra_args = {example}`"))
        }
    })
}
