//! Puts a placement into a preset's file and leaves everything else in it as it was.

use camino::Utf8Path;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

use crate::command::{Failure, load};
use crate::plan::memory::{GpuLayers, Override};
use crate::plan::placement::Placement;
use crate::store;

pub(super) fn into(path: &Utf8Path, placement: &Placement) -> Result<(), Failure> {
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    let text =
        placed(&text, placement).map_err(|error| Failure::File(format!("{path}: {error}")))?;
    Ok(store::single(path, &text, true)?)
}

fn placed(text: &str, placement: &Placement) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let table = document.entry("placement").or_insert(Item::Table(Table::new()));
    let table = table.as_table_like_mut().ok_or("`placement` is no table")?;
    let Placement { request, tensor_split, .. } = placement;
    place(
        table,
        &Words { gpu_layers: request.gpu_layers, split: tensor_split, rules: &request.overrides },
    );
    Ok(document.to_string())
}

/// A placement as a preset says it.
pub(in crate::command) struct Words<'a> {
    pub(in crate::command) gpu_layers: GpuLayers,
    pub(in crate::command) split: &'a [u32],
    pub(in crate::command) rules: &'a [Override],
}

/// Puts it into `[placement]`, in place of what says otherwise.
pub(in crate::command) fn place(table: &mut dyn TableLike, words: &Words<'_>) {
    for key in ["auto", "layers", "cpu_moe", "n_cpu_moe"] {
        table.remove(key);
    }
    let layers = match words.gpu_layers {
        GpuLayers::All => value("all"),
        GpuLayers::Count(count) => value(i64::from(count)),
    };
    put(table, "n_gpu_layers", layers);
    let split: Array = words.split.iter().map(|count| i64::from(*count)).collect();
    put(table, "tensor_split", value(split));
    let mut rules = Array::new();
    for rule in words.rules {
        rules.push(format!("{}={}", rule.pattern, rule.target));
    }
    if rules.is_empty() {
        table.remove("override_tensor");
    } else {
        rules.iter_mut().for_each(|rule| rule.decor_mut().set_prefix("\n    "));
        rules.set_trailing("\n");
        rules.set_trailing_comma(true);
        put(table, "override_tensor", value(rules));
    }
}

/// Replaces a value and keeps the comment behind it.
pub(in crate::command) fn put(table: &mut dyn TableLike, key: &str, mut item: Item) {
    if let (Some(old), Some(new)) = (table.get(key).and_then(Item::as_value), item.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, item);
}
