//! Texts that a file they are written to could not carry, and names that are no names.

use super::Subject;
use crate::diagnostic::{Code, Diagnostic};
use crate::quote::comment;

pub(super) fn check(subject: &mut Subject<'_>, name: &str) {
    if let Some(wrong) = unsafe_name(name) {
        let finding = Diagnostic::new(Code::UnsafeName, format!("the name `{name}` {wrong}"))
            .at(subject.place.clone())
            .help("rename the preset: letters, digits, `.`, `-` and `_`, beginning with a letter or digit");
        subject.push(finding);
    }
    let preset = subject.preset;
    preset.each(&mut |entry| {
        let Some((word, at)) = &entry.set else { return };
        if word.contains('\0') {
            subject.push(
                Diagnostic::new(Code::Unrepresentable, format!("`{}` holds a NUL", entry.path()))
                    .at((*at).clone())
                    .help("no environment variable or argument can carry NUL; leave it out"),
            );
        }
        let one_line =
            !entry.table.is_empty() && (entry.key.emit.is_none() || entry.key.name == "file");
        if one_line && word.contains(['\n', '\r']) && !may_break(entry.key.name) {
            subject.push(
                Diagnostic::new(
                    Code::Unrepresentable,
                    format!("`{}` holds a line break", entry.path()),
                )
                .at((*at).clone())
                .help("it is written into a comment, a label or a file name: keep it on one line"),
            );
        }
    });
    comments(subject);
    lists(subject);
}

/// What is printed behind a `#`.
fn comments(subject: &mut Subject<'_>) {
    let head = &subject.preset.head;
    let texts = [("label", &head.label), ("title", &head.title), ("reason", &head.reason)];
    for (name, field) in texts {
        let Some(set) = field else { continue };
        if let Err(refused) = comment::encode(&set.value) {
            let finding = Diagnostic::new(Code::Unrepresentable, format!("`{name}`: {refused}"))
                .at(set.at.clone())
                .help("it is printed as a comment of the .env: keep it to one line of plain text");
            subject.push(finding);
        }
    }
}

/// Keys of ours whose text goes where line breaks are carried.
fn may_break(key: &str) -> bool {
    matches!(key, "extra_args" | "environment")
}

/// llama-server splits the value of a list at every comma.
fn lists(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    let lists = [
        ("model.lora", &preset.model.lora),
        ("model.override_kv", &preset.model.override_kv),
        ("placement.device", &preset.placement.device),
        ("placement.rpc", &preset.placement.rpc),
        ("speculative.spec_type", &preset.speculative.spec_type),
        ("speculative.spec_draft_device", &preset.speculative.spec_draft_device),
        ("server.alias", &preset.server.alias),
        ("server.tags", &preset.server.tags),
    ];
    for (path, field) in lists {
        let Some(set) = field else { continue };
        for (i, item) in set.value.iter().enumerate().filter(|(_, item)| item.contains(',')) {
            let message = format!("an item of `{path}` holds a comma: \"{item}\"");
            let finding = Diagnostic::new(Code::Unrepresentable, message)
                .at(set.item(i))
                .help("llama-server splits the list at every comma; write it as several items");
            subject.push(finding);
        }
    }
}

/// What makes `name` no safe file name, for `NAME.env` and for labels.
fn unsafe_name(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > 100 {
        Some("is longer than 100 characters")
    } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Some("begins with something other than a letter or digit")
    } else if !name.chars().all(plain) {
        Some("holds a character that is not safe in a file name")
    } else {
        None
    }
}
