//! From the text of a file to a [`Preset`], with everything that is wrong with it.

use toml::de::DeTable;

use super::Preset;
use crate::diagnostic::{Code, Diagnostic, FileId, Location};
use crate::table::{Reader, Table};

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
    let mut reader = Reader { file, findings };
    let top = super::Head::KEYS.iter().map(|key| key.name);
    reader.unknown(root, "", top.chain(TABLES.iter().copied()));
    Preset {
        head: super::Head::read(&mut reader, root),
        model: reader.table(root, "model"),
        context: reader.table(root, "context"),
        placement: reader.table(root, "placement"),
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
