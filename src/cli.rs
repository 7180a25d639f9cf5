//! The command line: names, types and help. What a command does is in `command`.

#[cfg(feature = "bench")]
mod bench;
mod calibrate;
mod client;
#[cfg(feature = "engine")]
mod engine;
#[cfg(feature = "eval")]
mod eval;
mod ledger;
mod machines;
mod planner;
mod report;
#[cfg(feature = "engine")]
mod tune;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

#[cfg(feature = "bench")]
pub use bench::Bench;
pub use calibrate::Calibrate;
pub use client::{Client, ClientAction, ClientList};
#[cfg(feature = "engine")]
pub use engine::{Chosen, Doctor, Logs, Probe, Push, Run, Running, Status, Up};
#[cfg(feature = "eval")]
pub use eval::Eval;
pub use ledger::{
    Ledger, LedgerCommand, LedgerCompare, LedgerEvals, LedgerFile, LedgerImport, LedgerList,
    LedgerSource, LedgerWhich,
};
pub use machines::{Cards, Detect, Hardware, HardwareCommand};
pub use planner::{Buffers, Estimate, Granularity, Machine, Plan, Verify};
pub use report::{Report, ReportFormat};
#[cfg(feature = "engine")]
pub use tune::Tune;

/// Typed presets for llama.cpp on unequal GPUs, compiled into Docker artifacts.
#[derive(Debug, Parser)]
#[command(name = "composegen", version, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "Exit codes: 0 done, 1 preset rejected, 2 usage, 3 out of date, 4 engine, \
5 out of memory, 6 edited by hand, 7 file, 8 unresolved, 9 slower, 10 to 25 why an image or a server failed \
(docs/exit-codes.md), 130 interrupted.";

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one value of it exists in a run")]
pub enum Command {
    /// Write Dockerfile, docker-compose.yml, entrypoint and .env files for presets
    Build(Build),
    /// Generate again and compare with what is on disk
    Check(Check),
    /// Resolve branch and base images to a commit and digests, and build again
    Update(Update),
    /// Push the image to the registry that the preset names, and lock its digest
    #[cfg(feature = "engine")]
    Push(Push),
    /// Start a strategy on the engine and wait until it answers
    #[cfg(feature = "engine")]
    Up(Up),
    /// Stop a strategy and remove its container
    #[cfg(feature = "engine")]
    Down(Running),
    /// Stop a strategy and start it again as it is
    #[cfg(feature = "engine")]
    Restart(Running),
    /// Print what a strategy's server says
    #[cfg(feature = "engine")]
    Logs(Logs),
    /// Show what runs, how it is, and what it takes
    #[cfg(feature = "engine")]
    Status(Status),
    /// Run one command in a strategy's image: llama-bench, llama-fit-params, or the server with other flags
    #[cfg(feature = "engine")]
    Run(Run),
    /// Look whether this machine has what building and running takes
    #[cfg(feature = "engine")]
    Doctor(Doctor),
    /// Show all strategies in a table
    List(List),
    /// Show one strategy: every value, and where it comes from
    Show(Show),
    /// Write what a program needs to use the running server
    Client(Client),
    /// Find which layers and experts go to which device
    Plan(Plan),
    /// Ask the image's own llama.cpp what a strategy takes; its GPUs need not be there
    #[cfg(feature = "engine")]
    Probe(Probe),
    /// Compute what llama-server will take of each device
    Estimate(Estimate),
    /// Show which tensors each override of a preset claims
    Verify(Verify),
    /// Show what a GGUF file holds
    Inspect(Inspect),
    /// Describe machines for planning
    Hardware(Hardware),
    /// Try placements on this machine, from the most aggressive one down, until the best is found
    #[cfg(feature = "engine")]
    Tune(Tune),
    /// Measure a preset or a running llama-server, or two in turns, and write it into the ledger
    #[cfg(feature = "bench")]
    Bench(Bench),
    /// Let running servers solve coding problems, judge what they answer, and write the score into the ledger
    #[cfg(feature = "eval")]
    Eval(Eval),
    /// Fit the speed model to the ledger's runs of a machine, and say how much better it predicts
    Calibrate(Calibrate),
    /// Show what was measured, compare two runs, or fail where a speed has fallen
    Ledger(Ledger),
    /// Write one page about all strategies: which to run and why, with every figure's source
    Report(Report),
    /// Print the tensor override for a number of layers per device
    Ot(Ot),
    /// Print the JSON Schema of presets or hardware files
    Schema(Schema),
    /// Explain the code of a finding
    Explain(Explain),
    /// Print completions for a shell
    Completions(Completions),
    /// Write man pages
    Man(Man),
}

#[derive(Debug, Args)]
pub struct Build {
    /// Presets, the one that `docker compose up` runs by default first
    #[arg(required = true, value_name = "PRESET")]
    pub presets: Vec<Utf8PathBuf>,
    /// Directory to write to [default: deploy/NAME of the first preset]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<Utf8PathBuf>,
    /// What to write for [default: the presets' `target`, else compose]
    #[arg(long, value_name = "TARGET")]
    pub target: Option<Target>,
    /// Overwrite files that were edited by hand
    #[arg(long)]
    pub force: bool,
    /// Build the image on the engine, too
    #[cfg(feature = "engine")]
    #[arg(long)]
    pub image: bool,
    #[command(flatten)]
    pub deny: Deny,
    #[command(flatten)]
    pub models: Models,
}

#[derive(Debug, Args)]
pub struct Models {
    /// Where model files are looked for when a placement is planned [default: the preset's models directory, from the
    /// output directory and from here]
    #[arg(long = "models-dir", env = "MODELS_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    Compose,
    Swarm,
    Kubernetes,
    Quadlet,
}

#[derive(Debug, Args)]
pub struct Deny {
    /// Treat these findings as errors
    #[arg(long, value_name = "WHAT")]
    pub deny: Option<Denied>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Denied {
    Warnings,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Output directories [default: every lock file below the current directory]
    #[arg(value_name = "DIR")]
    pub dirs: Vec<Utf8PathBuf>,
    #[command(flatten)]
    pub deny: Deny,
    #[command(flatten)]
    pub models: Models,
}

#[derive(Debug, Args)]
pub struct Update {
    /// Output directories [default: every lock file below the current directory]
    #[arg(value_name = "DIR")]
    pub dirs: Vec<Utf8PathBuf>,
    /// Overwrite files that were edited by hand
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub models: Models,
}

#[derive(Debug, Args)]
pub struct List {
    /// Directory with presets
    #[arg(default_value = "presets", value_name = "DIR")]
    pub dir: Utf8PathBuf,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Show {
    /// A preset's file, or its name in `presets`
    #[arg(value_name = "PRESET")]
    pub preset: Utf8PathBuf,
    /// Keys that nobody set, too
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Output {
    /// How to print it
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct Ot {
    /// Layers on the first device, on the second, and so on
    #[arg(required = true, value_name = "LAYERS")]
    pub layers: Vec<u32>,
    /// Names of the devices, in order
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub device: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Schema {
    /// Which schema
    #[arg(default_value = "preset")]
    pub of: SchemaOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    Preset,
    Hardware,
    Cluster,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The code in brackets; without it, all of them
    pub code: Option<String>,
}

#[derive(Debug, Args)]
pub struct Completions {
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// Directory to write to
    #[arg(value_name = "DIR")]
    pub dir: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub struct Inspect {
    #[arg(value_name = "MODEL.gguf")]
    pub model: Utf8PathBuf,
    #[command(flatten)]
    pub output: Output,
}
