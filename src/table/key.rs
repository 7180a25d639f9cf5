//! What is known of a key before any file is read.

use super::Kind;

/// One key of a table.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    /// One or more sentences for the schema and for `show`.
    pub doc: &'static str,
    pub kind: Kind,
    /// Smallest and largest number, both allowed; of a list, of each item.
    pub range: Option<(f64, f64)>,
    /// The flag of llama-server that carries the value; `None` for what is ours alone.
    pub emit: Option<Emit>,
}

/// How a value is written on llama-server's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emit {
    /// The flag that precedes the value, or that says "yes" for a boolean.
    pub on: &'static str,
    /// The flag that says "no", where there is one.
    pub off: Option<&'static str>,
}
