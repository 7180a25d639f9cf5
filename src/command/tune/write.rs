//! Puts the best plan into the preset's file, and leaves everything else in it as it was.

use toml_edit::{Array, DocumentMut, Item, TableLike, value};

use super::subject::Subject;
use crate::command::plan::{Words, place_words, put, table};
use crate::command::{Failure, load};
use crate::plan::counted::{Counted, Way};
use crate::preset::value as of;
use crate::store;
use crate::tune::Candidate;

pub(super) fn into(
    subject: &Subject,
    counted: Option<&Counted<'_>>,
    best: &Candidate,
) -> Result<(), Failure> {
    let path = &subject.path;
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    let text = edited(&text, subject, counted, best)
        .map_err(|error| Failure::File(format!("{path}: {error}")))?;
    Ok(store::single(path, &text, true)?)
}

fn edited(
    text: &str,
    subject: &Subject,
    counted: Option<&Counted<'_>>,
    best: &Candidate,
) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    if let Some(counted) = counted {
        placement(table(&mut document, "placement")?, subject, counted, best);
    }
    if subject.ctx_size().ok() != Some(best.ctx_size) {
        put(table(&mut document, "context")?, "ctx_size", number(best.ctx_size));
    }
    for dimension in &subject.also {
        let Some(word) = best.settings.get(&dimension.key).filter(|word| **word != dimension.base)
        else {
            continue;
        };
        let count = || word.parse().map_or_else(|_| value(word.as_str()), number);
        match dimension.key.as_str() {
            "ubatch_size" => {
                let batching = table(&mut document, "batching")?;
                put(batching, "ubatch_size", count());
                if subject.batch(word).is_some() {
                    put(batching, "batch_size", count());
                }
            }
            "threads" => put(table(&mut document, "batching")?, "threads", count()),
            "load_mode" => {
                put(table(&mut document, "placement")?, "load_mode", value(word.as_str()));
            }
            _ => {
                let context = table(&mut document, "context")?;
                for key in ["cache_type_k", "cache_type_v"] {
                    put(context, key, value(word.as_str()));
                }
            }
        }
    }
    Ok(document.to_string())
}

fn placement(
    table: &mut dyn TableLike,
    subject: &Subject,
    counted: &Counted<'_>,
    best: &Candidate,
) {
    let list = |counts: &[u32]| value(counts.iter().map(|n| i64::from(*n)).collect::<Array>());
    match counted.way {
        Way::Front => {
            put(table, "layers", list(&best.layers));
            if of(&subject.preset.placement.tensor_split).is_none() {
                put(table, "tensor_split", list(&counted.split));
            }
        }
        Way::Own | Way::Blocks => {
            let request = counted.request(&best.layers, best.ctx_size);
            // A preset that this one extends may ask for planning; a key of its own goes before it.
            let inherited =
                of(&subject.preset.placement.auto) == Some(&true) && table.get("auto").is_none();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "they are counts of layers"
            )]
            let split: Vec<u32> = request.tensor_split.iter().map(|n| *n as u32).collect();
            place_words(
                table,
                &Words { gpu_layers: request.gpu_layers, split: &split, rules: &request.overrides },
            );
            if inherited {
                put(table, "auto", value(false));
            }
        }
    }
}

fn number(tokens: u64) -> Item {
    value(i64::try_from(tokens).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
