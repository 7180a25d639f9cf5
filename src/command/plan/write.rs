//! Puts a placement into a preset's file and leaves everything else in it as it was.

use std::io;

use camino::Utf8Path;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

use super::super::{Failure, load, report};
use crate::check::check;
use crate::diagnostic::{FileId, Severity};
use crate::plan::memory::{GpuLayers, Override};
use crate::plan::placement::Placement;
use crate::preset::resolve::{Library, Resolved, clean};
use crate::store;
use crate::table::Field;
use crate::terminal::Terminal;

pub(super) fn into(
    path: &Utf8Path,
    placement: &Placement,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    let broken = |error: String| Failure::File(format!("{path}: {error}"));
    let text = placed(&text, placement).map_err(broken)?;
    let unread = |error: io::Error| Failure::File(error.to_string());
    let first = instead(path, &text);
    let resolved = Library::new(&first).resolve(path).map_err(unread)?;
    let text = over_inherited(&text, &resolved).map_err(broken)?;
    let second = instead(path, &text);
    let mut library = Library::new(&second);
    let resolved = library.resolve(path).map_err(unread)?;
    check(&resolved, None, &mut library.findings);
    // The warnings are those from before the plan.
    library.findings.retain(|finding| finding.severity() == Severity::Error);
    report(&library.findings, &library.sources, false, terminal).map_err(|_| {
        Failure::Rejected(format!(
            "the placement was not written: it does not go together with what `{path}` says or extends; take the key \
             out there that is named above"
        ))
    })?;
    Ok(store::single(path, &text, true)?)
}

/// Reads files, and for the preset says this text.
fn instead(path: &Utf8Path, text: &str) -> impl Fn(&Utf8Path) -> io::Result<String> {
    let (path, text) = (clean(path), text.to_owned());
    move |asked| if *asked == path { Ok(text.clone()) } else { load(asked) }
}

fn placed(text: &str, placement: &Placement) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let table = table(&mut document, "placement")?;
    let Placement { request, tensor_split, .. } = placement;
    place(
        table,
        &Words { gpu_layers: request.gpu_layers, split: tensor_split, rules: &request.overrides },
    );
    Ok(document.to_string())
}

/// What a preset inherits goes on beside the plan unless it says otherwise itself. Keys that no value takes back stay:
/// the check finds them.
fn over_inherited(text: &str, resolved: &Resolved) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let table = table(&mut document, "placement")?;
    let of = &resolved.preset.placement;
    let own = resolved.file;
    for (key, standing) in [
        ("auto", inherited(&of.auto, own) == Some(&true)),
        ("cpu_moe", inherited(&of.cpu_moe, own) == Some(&true)),
    ] {
        if standing {
            put(table, key, value(false));
        }
    }
    if inherited(&of.n_cpu_ffn, own).is_some_and(|count| *count > 0) {
        put(table, "n_cpu_ffn", value(0));
    }
    if inherited(&of.override_tensor, own).is_some_and(|rules| !rules.is_empty()) {
        put(table, "override_tensor", value(Array::new()));
    }
    // Beside rules even a count of none is a second way to place experts.
    if of.override_tensor.is_none() && inherited(&of.n_cpu_moe, own).is_some() {
        put(table, "n_cpu_moe", value(0));
    }
    Ok(document.to_string())
}

/// The value of a key that another file set.
fn inherited<T>(field: &Field<T>, own: FileId) -> Option<&T> {
    field.as_ref().filter(|set| set.at.file != own).map(|set| &set.value)
}

/// A table of the preset. `placement = "auto"` is one in a word, which a plan takes the place of.
pub(in crate::command) fn table<'a>(
    document: &'a mut DocumentMut,
    name: &str,
) -> Result<&'a mut dyn TableLike, String> {
    let word = document.get(name).and_then(Item::as_value).filter(|value| value.is_str());
    if let Some(word) = word {
        let behind = word.decor().suffix().and_then(|text| text.as_str()).map(str::to_owned);
        let mut table = Table::new();
        if let Some(behind) = behind {
            table.decor_mut().set_suffix(behind);
        }
        if let Some(mut key) = document.key_mut(name) {
            let decor = key.leaf_decor_mut();
            let above = decor.prefix().and_then(|text| text.as_str()).unwrap_or_default();
            if above.contains('#') {
                // The blank line goes above the comment, not below it.
                let above = format!("\n{above}");
                decor.set_prefix(above);
                table.decor_mut().set_prefix("");
            }
        }
        if let Some(item) = document.get_mut(name) {
            *item = Item::Table(table);
        }
    }
    let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
    item.as_table_like_mut().ok_or_else(|| format!("`{name}` is no table"))
}

/// A placement as a preset says it.
pub(in crate::command) struct Words<'a> {
    pub(in crate::command) gpu_layers: GpuLayers,
    pub(in crate::command) split: &'a [u32],
    pub(in crate::command) rules: &'a [Override],
}

/// Puts it into `[placement]`, in place of what says otherwise. Comments of what goes stay with what comes.
pub(in crate::command) fn place(table: &mut dyn TableLike, words: &Words<'_>) {
    let mut comments = Comments::default();
    for key in ["auto", "layers", "cpu_moe", "n_cpu_moe", "n_cpu_ffn"] {
        comments.take(table, key);
    }
    if words.rules.is_empty() {
        comments.take(table, "override_tensor");
    }
    let layers = match words.gpu_layers {
        GpuLayers::All => value("all"),
        GpuLayers::Count(count) => value(i64::from(count)),
    };
    put(table, "n_gpu_layers", layers);
    comments.give(table, "n_gpu_layers");
    let split: Array = words.split.iter().map(|count| i64::from(*count)).collect();
    put(table, "tensor_split", value(split));
    if words.rules.is_empty() {
        return;
    }
    let mut rules = Array::new();
    for rule in words.rules {
        rules.push(format!("{}={}", rule.pattern, rule.target));
    }
    rules.iter_mut().for_each(|rule| rule.decor_mut().set_prefix("\n    "));
    rules.set_trailing("\n");
    rules.set_trailing_comma(true);
    put(table, "override_tensor", value(rules));
}

/// Comments of keys that are taken out.
#[derive(Default)]
struct Comments {
    /// Whole lines.
    above: String,
    behind: Vec<String>,
}

impl Comments {
    /// Takes a key out and keeps what is written about it.
    fn take(&mut self, table: &mut dyn TableLike, key: &str) {
        let said = |text: Option<&str>| text.filter(|text| text.contains('#')).map(str::to_owned);
        let above = table.key(key).and_then(|key| key.leaf_decor().prefix()?.as_str());
        self.above.push_str(&said(above).unwrap_or_default());
        let value = table.get(key).and_then(Item::as_value);
        self.behind.extend(said(value.and_then(|value| value.decor().suffix()?.as_str())));
        table.remove(key);
    }

    /// Puts them to another key: one behind it where there is none, all others above it.
    fn give(self, table: &mut dyn TableLike, key: &str) {
        let Self { mut above, behind } = self;
        let mut behind = behind.into_iter();
        if let Some(value) = table.get_mut(key).and_then(Item::as_value_mut) {
            let taken = value.decor().suffix().and_then(|text| text.as_str());
            if !taken.is_some_and(|text| text.contains('#'))
                && let Some(first) = behind.next()
            {
                value.decor_mut().set_suffix(first);
            }
        }
        for comment in behind {
            above.push_str(comment.trim());
            above.push('\n');
        }
        if above.is_empty() {
            return;
        }
        if let Some(mut key) = table.key_mut(key) {
            let decor = key.leaf_decor_mut();
            let own = decor.prefix().and_then(|text| text.as_str()).unwrap_or_default().to_owned();
            decor.set_prefix(above + &own);
        }
    }
}

/// Replaces a value and keeps the comments above and behind it.
pub(in crate::command) fn put(table: &mut dyn TableLike, key: &str, mut item: Item) {
    // To insert a key that is there would take its comments away.
    let Some(slot) = table.get_mut(key) else {
        table.insert(key, item);
        return;
    };
    if let (Some(old), Some(new)) = (slot.as_value(), item.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    *slot = item;
}
