//! The only place that knows how things look on a screen: findings with their lines marked, tables, color.

mod findings;
mod table;

use std::io::{self, Write};

use anstream::AutoStream;

pub use findings::{render, summary};
pub use table::{Align, plain, table};

/// Where a command writes: results to `out`, everything said about the run to `err`.
pub struct Terminal {
    pub out: Box<dyn Write>,
    pub err: Box<dyn Write>,
    /// Whether `err` shows colors.
    pub color: bool,
}

impl Terminal {
    /// Standard output and error; colors on a terminal only, and as `NO_COLOR` and its relatives say.
    pub fn standard() -> Self {
        let choice = AutoStream::choice(&io::stderr());
        Self {
            out: Box::new(AutoStream::auto(io::stdout())),
            err: Box::new(AutoStream::auto(io::stderr())),
            color: choice != anstream::ColorChoice::Never,
        }
    }
}
