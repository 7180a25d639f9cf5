//! Figures of other models as their makers or others published them, each with its source, to stand beside our own.

use crate::diagnostic::{Code, Diagnostic, FileId, Location};
use crate::table::{Field, Number, Reader, document, table};
use serde::Serialize;

table! {
    /// One published figure.
    pub struct Row {
        /// The suite and its version, as our own results name it.
        suite: String;
        /// The model, as its publisher calls it.
        model: String;
        /// Share of tasks that were solved at the first attempt, 0 to 1.
        pass_at_1: Number, 0.0 ..= 1.0;
        /// Where it was published: an address or a title.
        source: String;
        /// Day of the publication, `2026-02-13`.
        date: String;
        /// Anything else.
        note: String;
    }
}

/// A figure with its source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Published {
    pub suite: String,
    pub model: String,
    pub pass_at_1: f64,
    pub source: String,
    pub date: String,
    pub note: String,
}

/// Reads a file of `[[result]]` tables. A row without a source is an error: a figure that nobody vouches for has no place
/// beside measured ones.
pub fn parse(file: FileId, text: &str, findings: &mut Vec<Diagnostic>) -> Vec<Published> {
    let root = document(file, text, findings);
    let root = root.get_ref();
    let mut reader = Reader { file, findings, stray: |_| None };
    reader.unknown(root, "", &["result"].into_iter());
    let rows: Vec<Row> = reader.tables(root, "result");
    rows.into_iter().enumerate().filter_map(|(i, row)| settle(i, row, file, findings)).collect()
}

fn settle(
    index: usize,
    row: Row,
    file: FileId,
    findings: &mut Vec<Diagnostic>,
) -> Option<Published> {
    let place = row.model.as_ref().map_or(Location::new(file, &(0..0)), |set| set.at.clone());
    // Blank is as good as absent.
    let blank =
        |field: &Field<String>| field.as_ref().is_none_or(|set| set.value.trim().is_empty());
    let missing: Vec<&str> = [
        ("suite", blank(&row.suite)),
        ("model", blank(&row.model)),
        ("pass_at_1", row.pass_at_1.is_none()),
        ("source", blank(&row.source)),
    ]
    .into_iter()
    .filter_map(|(key, missing)| missing.then_some(key))
    .collect();
    for key in &missing {
        findings.push(
            Diagnostic::new(Code::MissingKey, format!("result {} has no `{key}`", index + 1))
                .at(place.clone())
                .help(format!("add `{key} = ...` below its `[[result]]`")),
        );
    }
    let text = |field: Field<String>| field.map(|set| set.value).unwrap_or_default();
    missing.is_empty().then(|| Published {
        pass_at_1: row.pass_at_1.map(|set| set.value.value).unwrap_or_default(),
        suite: text(row.suite),
        model: text(row.model),
        source: text(row.source),
        date: text(row.date),
        note: text(row.note),
    })
}

#[cfg(test)]
mod tests {
    use super::{Published, parse};
    use crate::diagnostic::{Diagnostic, Sources};

    fn read(text: &str) -> (Vec<Published>, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let file = Sources::default().add(camino::Utf8Path::new("a.toml"), text.to_owned());
        (parse(file, text, &mut findings), findings)
    }

    #[test]
    fn a_figure_without_a_source_is_refused() {
        let row = "[[result]]\nsuite = \"s\"\nmodel = \"m\"\npass_at_1 = 0.5\n";
        let (found, findings) = read(row);
        assert_eq!(found, []);
        assert_eq!(findings.len(), 1);
        let (found, findings) = read(&format!("{row}source = \"https://example.org\"\n"));
        assert_eq!((found.len(), findings.len()), (1, 0));
        for blank in ["", "  "] {
            let (found, findings) = read(&format!("{row}source = \"{blank}\"\n"));
            assert_eq!((found.len(), findings.len()), (0, 1), "{blank:?}");
        }
        let (_, findings) = read("[[result]]\npass_at_1 = 50\n[other]\n");
        assert!(findings.len() >= 4, "{findings:?}");
        assert!(!read("[[").1.is_empty());
    }
}
