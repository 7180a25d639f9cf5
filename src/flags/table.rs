//! Reads the embedded table of options, once.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Flag, Kind};

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

pub(super) struct Table {
    pub flags: &'static [Flag],
    pub by_spelling: HashMap<&'static str, &'static Flag>,
    pub by_env: HashMap<&'static str, &'static Flag>,
}

impl Table {
    fn read() -> Self {
        let flags: Vec<Flag> =
            rows(include_str!("b11434.tsv")).map(|columns| flag(&columns)).collect();
        // The table lives as long as the program; leaking it once lets everything borrow from it for good.
        let flags: &'static [Flag] = flags.leak();
        let mut by_spelling = HashMap::new();
        for flag in flags {
            for spelling in flag.spellings.iter().chain(&flag.negated) {
                by_spelling.entry(*spelling).or_insert(flag);
            }
        }
        let by_env = flags.iter().filter(|f| f.server).filter_map(|f| Some((f.env?, f))).collect();
        Self { flags, by_spelling, by_env }
    }
}

/// The lines of an embedded table that hold data, cut into their columns.
pub(super) fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

/// The words of a column that holds several.
pub(super) fn words(column: &'static str) -> impl Iterator<Item = &'static str> {
    column.split(',').filter(|word| !word.is_empty())
}

fn flag(columns: &[&'static str]) -> Flag {
    let [long, others, negated, kind, hint, env, marks] = *columns else {
        unreachable!("seven columns in {columns:?}")
    };
    let some = |column: &'static str| (!column.is_empty()).then_some(column);
    Flag {
        long,
        spellings: [long].into_iter().chain(words(others)).collect(),
        negated: words(negated).collect(),
        kind: match kind {
            "flag" => Kind::Flag,
            "bool" => Kind::Bool,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "pair" => Kind::Pair,
            _ => Kind::String,
        },
        hint: some(hint),
        env: some(env),
        server: marks.contains('s'),
        fit_params: marks.contains('f'),
        removed: marks.contains('r'),
        accumulates: marks.contains('a'),
    }
}
