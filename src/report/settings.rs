//! What a change did to the settings of a strategy, as far as presets say them.

use super::words::{context, plus};
use super::{Change, Subject};

/// One row for each setting that differs: those of the overview by its names, all others by the keys of presets.
pub(super) fn changed(old: &Subject, new: &Subject) -> Vec<Change> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let tokens = |one: &Subject| one.ctx_size.map(context).unwrap_or_default();
    let mut pairs = vec![
        ("layers on GPUs", plus(&old.layers), plus(&new.layers)),
        ("context", tokens(old), tokens(new)),
        ("cache", text(&old.cache), text(&new.cache)),
        ("quant", text(&old.quant), text(&new.quant)),
    ];
    let value = |one: &Subject, key: &str| {
        let set = one.settings.iter().find(|(name, _)| name == key);
        set.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let gone = old.settings.iter().filter(|(key, _)| new.settings.iter().all(|(k, _)| k != key));
    for (key, _) in new.settings.iter().chain(gone) {
        pairs.push((key.as_str(), value(old, key), value(new, key)));
    }
    pairs
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(figure, before, after)| Change {
            strategy: new.name.clone(),
            figure: figure.to_owned(),
            before,
            after,
            change: String::new(),
            known: "set in the preset".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::changed;
    use crate::report::Subject;

    #[test]
    fn every_key_that_differs_has_a_row() {
        let subject = |layers: &[u32], settings: &[(&str, &str)]| Subject {
            layers: layers.to_vec(),
            settings: settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Subject::default()
        };
        let old = subject(&[13, 6], &[("model.file", "a.gguf"), ("sampling.temp", "0.6")]);
        assert_eq!(changed(&old, &old), []);
        let new = subject(&[14, 6], &[("model.file", "b.gguf"), ("batching.threads", "3")]);
        let rows: Vec<String> = changed(&old, &new)
            .into_iter()
            .map(|row| format!("{}: {} -> {}", row.figure, row.before, row.after))
            .collect();
        assert_eq!(
            rows,
            [
                "layers on GPUs: 13+6 -> 14+6",
                "model.file: a.gguf -> b.gguf",
                "batching.threads:  -> 3",
                "sampling.temp: 0.6 -> "
            ]
        );
    }
}
