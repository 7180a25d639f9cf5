//! Every key that a file for a client holds, with what it is for and where that is documented. A test holds the table
//! against the files, and the page in `docs/` is made of it.

use std::fmt::Write as _;

const TABLE: &str = include_str!("keys.tsv");

/// One row. In a path, `*` stands for the name of the model and `[]` for each element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub client: &'static str,
    pub file: &'static str,
    pub path: &'static str,
    pub about: &'static str,
    pub source: &'static str,
}

/// All rows, in the order of the table.
pub fn all() -> Vec<Key> {
    let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.filter_map(|line| {
        let mut cells = line.split('\t');
        let mut cell = || cells.next();
        Some(Key { client: cell()?, file: cell()?, path: cell()?, about: cell()?, source: cell()? })
    })
    .collect()
}

/// As a Markdown table for each client.
pub fn page() -> String {
    let mut text = String::new();
    let mut before = "";
    for key in all() {
        if key.client != before {
            before = key.client;
            let _ = write!(
                text,
                "\n### {before}\n\n| file | key | what for | source |\n|---|---|---|---|\n"
            );
        }
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | <{}> |",
            key.file, key.path, key.about, key.source
        );
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_row_is_whole() {
        let rows = super::TABLE.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).count();
        let keys = super::all();
        assert_eq!(keys.len(), rows, "a row has fewer than five cells");
        for key in keys {
            assert!(key.source.starts_with("https://"), "{key:?}");
            assert!(!key.about.is_empty() && !key.about.contains('|'), "{key:?}");
        }
    }
}
