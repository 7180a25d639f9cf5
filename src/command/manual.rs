//! Completions and man pages, from the command line's own definition.

use std::io::Write as _;

use clap::CommandFactory as _;

use super::Failure;
use crate::cli::{Cli, Completions, Man};
use crate::terminal::Terminal;

pub(super) fn completions(args: &Completions, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "composegen", &mut text);
    terminal.out.write_all(&text)?;
    Ok(())
}

pub(super) fn pages(args: &Man, terminal: &mut Terminal) -> Result<(), Failure> {
    fs_err::create_dir_all(&args.dir).map_err(|error| Failure::File(error.to_string()))?;
    clap_mangen::generate_to(Cli::command(), &args.dir).map_err(|error| {
        Failure::File(format!("cannot write man pages to `{}`: {error}", args.dir))
    })?;
    writeln!(terminal.err, "man pages are in {}", args.dir)?;
    Ok(())
}
