//! The commands: each reads, lets the core think, and writes. No command knows how another works.

#[cfg(feature = "engine")]
mod accepted;
mod auto;
#[cfg(feature = "bench")]
mod bench;
mod build;
mod calibrate;
mod calibration;
mod check;
mod checked;
mod client;
#[cfg(feature = "engine")]
mod doctor;
#[cfg(feature = "engine")]
mod down;
#[cfg(feature = "engine")]
mod elsewhere;
mod estimate;
#[cfg(feature = "eval")]
mod eval;
mod explain;
mod hardware;
mod header;
#[cfg(feature = "engine")]
mod image;
mod inspect;
mod ledger;
mod list;
mod machine;
mod manual;
mod ot;
mod output;
mod plan;
#[cfg(feature = "engine")]
mod probe;
#[cfg(feature = "engine")]
mod push;
mod report;
#[cfg(feature = "engine")]
mod run;
mod run_key;
mod schema;
mod show;
mod speeds;
#[cfg(feature = "engine")]
mod status;
#[cfg(feature = "engine")]
mod strategy;
#[cfg(feature = "engine")]
mod tune;
#[cfg(feature = "engine")]
mod up;
mod update;
mod verify;

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::{Cli, Command};
use crate::diagnostic::{Diagnostic, Severity, Sources};
use crate::exit::Exit;
use crate::store::StoreError;
use crate::terminal::{self, Terminal};

pub use client::artifacts as client_artifacts;
pub use explain::page as codes_page;

/// Why a command ended before it was done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Findings that were already printed.
    #[error("{0}")]
    Rejected(String),
    #[error("{message}")]
    Usage { message: String },
    /// What `check` found was already printed.
    #[error("{0}")]
    OutOfDate(String),
    #[error("{0}")]
    Edited(String),
    #[error("{0}")]
    Unresolved(String),
    #[error("{0}")]
    Regression(String),
    #[cfg(feature = "bench")]
    #[error("{0}")]
    NoAnswer(String),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    File(String),
    #[cfg(feature = "engine")]
    #[error("{0}\nhelp: {help}", help = .0.help())]
    Engine(#[from] crate::engine::EngineError),
    /// llama-server ended.
    #[cfg(feature = "engine")]
    #[error("{}\nhelp: {}", .0.sentence(), .0.help())]
    Server(crate::log::failure::Failure),
    /// A reason that has an exit code of its own.
    #[cfg(feature = "engine")]
    #[error("{message}")]
    Because { exit: Exit, message: String },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::File(format!("{error}\nhelp: {}", error.help()))
    }
}

impl Failure {
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Rejected(_) => Exit::Rejected,
            Self::Usage { .. } => Exit::Usage,
            Self::OutOfDate(_) => Exit::OutOfDate,
            Self::Edited(_) => Exit::Edited,
            Self::Unresolved(_) => Exit::Unresolved,
            Self::Regression(_) => Exit::Regression,
            #[cfg(feature = "bench")]
            Self::NoAnswer(_) => Exit::NoAnswer,
            Self::Output(_) | Self::File(_) => Exit::File,
            #[cfg(feature = "engine")]
            Self::Engine(_) => Exit::Engine,
            #[cfg(feature = "engine")]
            Self::Server(failure) => failure.exit(),
            #[cfg(feature = "engine")]
            Self::Because { exit, .. } => *exit,
        }
    }
}

/// Runs one command.
pub fn run(cli: &Cli, terminal: &mut Terminal) -> Result<(), Failure> {
    match &cli.command {
        Command::Build(args) => build::run(args, terminal),
        Command::Check(args) => check::run(args, terminal),
        Command::Update(args) => update::run(args, terminal),
        #[cfg(feature = "engine")]
        Command::Push(args) => push::run(args, terminal),
        #[cfg(feature = "engine")]
        Command::Up(args) => up::run(args, terminal),
        #[cfg(feature = "engine")]
        Command::Down(args) => down::down(args, terminal),
        #[cfg(feature = "engine")]
        Command::Restart(args) => down::restart(args, terminal),
        #[cfg(feature = "engine")]
        Command::Logs(args) => down::logs(args, terminal),
        #[cfg(feature = "engine")]
        Command::Status(args) => status::run(args, terminal),
        #[cfg(feature = "engine")]
        Command::Run(args) => run::run(args, terminal),
        #[cfg(feature = "engine")]
        Command::Doctor(args) => doctor::run(args, terminal),
        Command::List(args) => list::run(args, terminal),
        Command::Show(args) => show::run(args, terminal),
        Command::Client(args) => client::run(args, terminal),
        Command::Plan(args) => plan::run(args, terminal),
        #[cfg(feature = "engine")]
        Command::Probe(args) => probe::run(args, terminal),
        Command::Estimate(args) => estimate::run(args, terminal),
        Command::Verify(args) => verify::run(args, terminal),
        Command::Inspect(args) => inspect::run(args, terminal),
        Command::Hardware(args) => hardware::run(args, terminal),
        #[cfg(feature = "engine")]
        Command::Tune(args) => tune::run(args, terminal),
        #[cfg(feature = "bench")]
        Command::Bench(args) => bench::run(args, terminal),
        #[cfg(feature = "eval")]
        Command::Eval(args) => eval::run(args, terminal),
        Command::Calibrate(args) => calibrate::run(args, terminal),
        Command::Ledger(args) => ledger::run(args, terminal),
        Command::Report(args) => report::run(args, terminal),
        Command::Ot(args) => ot::run(args, terminal),
        Command::Schema(args) => schema::run(args, terminal),
        Command::Explain(args) => explain::run(args, terminal),
        Command::Completions(args) => manual::completions(args, terminal),
        Command::Man(args) => manual::pages(args, terminal),
    }
}

/// Reads a file for the core, which touches no file system itself.
fn load(path: &Utf8Path) -> io::Result<String> {
    fs_err::read_to_string(path)
}

/// The key in a file: llama-server takes the first line that is none.
#[cfg(feature = "bench")]
fn api_key(path: &Utf8Path) -> Result<String, Failure> {
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    let key = text.lines().map(str::trim).find(|line| !line.is_empty());
    key.map(str::to_owned).ok_or_else(|| {
        Failure::File(format!("`{path}` holds no key: write it on a line of its own"))
    })
}

/// What `--sweep` means, each point with a value of every key.
#[cfg(feature = "eval")]
fn sweep_points(given: &[String]) -> Result<Vec<crate::preset::sweep::Point>, Failure> {
    let usage = |why: String| Failure::Usage { message: format!("`--sweep`: {why}") };
    let sweeps = given.iter().map(|text| text.parse()).collect::<Result<Vec<_>, String>>();
    crate::preset::sweep::points(&sweeps.map_err(usage)?).map_err(usage)
}

/// The current directory: what relative paths start from.
fn here() -> Result<Utf8PathBuf, Failure> {
    let path = std::env::current_dir()?;
    Utf8PathBuf::from_path_buf(path)
        .map_err(|path| Failure::File(format!("`{}` is no UTF-8 path", path.display())))
}

/// Prints the findings; an error among them (or a warning, where those are denied) ends the command.
fn report(
    findings: &[Diagnostic],
    sources: &Sources,
    deny_warnings: bool,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    write!(terminal.err, "{}", terminal::render(findings, sources, terminal.color))?;
    let fatal = |f: &Diagnostic| f.severity() == Severity::Error || deny_warnings;
    if findings.iter().any(fatal) {
        return Err(Failure::Rejected(terminal::summary(findings).unwrap_or_default()));
    }
    Ok(())
}

/// A preset's file: the path itself, or its name below `presets`.
fn preset_path(given: &Utf8Path) -> Utf8PathBuf {
    let named = Utf8Path::new("presets").join(format!("{given}.toml"));
    if given.extension().is_none() && !given.exists() && named.exists() {
        named
    } else {
        given.to_owned()
    }
}
