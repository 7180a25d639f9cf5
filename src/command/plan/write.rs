//! Puts a placement into a preset's file and leaves everything else in it as it was.

use camino::Utf8Path;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use crate::command::{Failure, load};
use crate::plan::memory::GpuLayers;
use crate::plan::placement::Placement;

pub(super) fn into(path: &Utf8Path, placement: &Placement) -> Result<(), Failure> {
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    let text =
        placed(&text, placement).map_err(|error| Failure::File(format!("{path}: {error}")))?;
    fs_err::write(path, text).map_err(|error| Failure::File(error.to_string()))
}

fn placed(text: &str, placement: &Placement) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let table = document.entry("placement").or_insert(Item::Table(Table::new()));
    let table = table.as_table_like_mut().ok_or("`placement` is no table")?;
    for key in ["auto", "layers", "cpu_moe", "n_cpu_moe"] {
        table.remove(key);
    }
    let layers = match placement.request.gpu_layers {
        GpuLayers::All => value("all"),
        GpuLayers::Count(count) => value(i64::from(count)),
    };
    put(table, "n_gpu_layers", layers);
    let split: Array = placement.tensor_split.iter().map(|count| i64::from(*count)).collect();
    put(table, "tensor_split", value(split));
    let mut rules = Array::new();
    for rule in &placement.request.overrides {
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
    Ok(document.to_string())
}

/// Replaces a value and keeps the comment behind it.
fn put(table: &mut dyn toml_edit::TableLike, key: &str, mut item: Item) {
    if let (Some(old), Some(new)) = (table.get(key).and_then(Item::as_value), item.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, item);
}
