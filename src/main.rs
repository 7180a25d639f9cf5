//! Arguments in, exit code out.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use composegen::cli::Cli;
use composegen::command;
use composegen::exit::Exit;
use composegen::terminal::Terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::standard();
    match command::run(&cli, &mut terminal) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            // Nothing is left to be done where not even this can be written.
            let _ = writeln!(terminal.err, "error: {failure}");
            failure.exit().into()
        }
    }
}
