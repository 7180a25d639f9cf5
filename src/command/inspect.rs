//! `composegen inspect`: what a GGUF file holds, from its header.

use std::io::{Error, Write as _};

use super::Failure;
use super::machine::model;
use crate::cli::{Format, Inspect};
use crate::gguf::inspect;
use crate::terminal::Terminal;

pub(super) fn run(args: &Inspect, terminal: &mut Terminal) -> Result<(), Failure> {
    let report = inspect(&model(&args.model)?);
    match args.output.format {
        Format::Text => write!(terminal.out, "{report}")?,
        Format::Json => {
            let text = serde_json::to_string_pretty(&report).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
    }
    Ok(())
}
