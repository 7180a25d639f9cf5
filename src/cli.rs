//! The command line: names, types and help. What a command does is in `command`.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Typed presets for llama.cpp on unequal GPUs, compiled into Docker artifacts.
#[derive(Debug, Parser)]
#[command(name = "composegen", version, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "Exit codes: 0 done, 1 preset rejected, 2 usage, 3 out of date, 4 engine, \
5 out of memory, 6 edited by hand, 7 file, 8 unresolved.";

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value of it exists in a run")]
pub enum Command {
    /// Write Dockerfile, docker-compose.yml, entrypoint and .env files for presets
    Build(Build),
    /// Generate again and compare with what is on disk
    Check(Check),
    /// Resolve branch and base images to a commit and digests, and build again
    Update(Update),
    /// Show all strategies in a table
    List(List),
    /// Show one strategy: every value, and where it comes from
    Show(Show),
    /// Find which layers and experts go to which device
    Plan(Plan),
    /// Compute what llama-server will take of each device
    Estimate(Estimate),
    /// Show which tensors each override of a preset claims
    Verify(Verify),
    /// Show what a GGUF file holds
    Inspect(Inspect),
    /// Describe machines for planning
    Hardware(Hardware),
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
    /// Overwrite files that were edited by hand
    #[arg(long)]
    pub force: bool,
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
pub struct Hardware {
    #[command(subcommand)]
    pub command: HardwareCommand,
}

#[derive(Debug, Subcommand)]
pub enum HardwareCommand {
    /// Write a hardware file for this machine: GPUs, processor, memory
    Detect(Detect),
    /// Show the cards that are known by name
    List(Cards),
}

#[derive(Debug, Args)]
pub struct Detect {
    /// What to call the machine and its file [default: after its GPUs]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// File to write, `-` for standard output [default: presets/hardware/NAME.toml]
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Overwrite the file if it is there
    #[arg(long)]
    pub force: bool,
    /// Ask no driver: processor and memory of this machine, without a GPU
    #[arg(long, conflicts_with = "gpu")]
    pub cpu: bool,
    /// A GPU, in device order: a card's name, or as for `plan`; no driver is asked
    #[arg(long, value_name = "GPU")]
    pub gpu: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Cards {
    #[command(flatten)]
    pub output: Output,
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
pub struct Plan {
    /// A preset's file, or its name in `presets`
    #[arg(value_name = "PRESET", required_unless_present = "model")]
    pub preset: Option<Utf8PathBuf>,
    /// GGUF file; its header is enough [default: the preset's header, or its model in the models directory]
    #[arg(long, value_name = "FILE")]
    pub model: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub models: Models,
    #[command(flatten)]
    pub machine: Machine,
    /// Tokens over all slots [default: what the model was trained for]
    #[arg(long, short = 'c', value_name = "N")]
    pub ctx_size: Option<u64>,
    #[arg(long, value_name = "N")]
    pub ubatch_size: Option<u64>,
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u64>,
    #[arg(long, value_name = "TYPE")]
    pub cache_type_k: Option<String>,
    #[arg(long, value_name = "TYPE")]
    pub cache_type_v: Option<String>,
    /// Slots [default: llama-server's choice, four that share a cache]
    #[arg(long, value_name = "N")]
    pub parallel: Option<u64>,
    /// MiB to leave free, one for all devices or one for each [default: the preset's, else 1024]
    #[arg(long, value_delimiter = ',', value_name = "MIB")]
    pub margin: Vec<u64>,
    /// MiB to keep free on each device on top, for other programs
    #[arg(long, value_delimiter = ',', value_name = "MIB")]
    pub reserve: Vec<u64>,
    /// Layers whose experts are on each device, `auto` where it is to be found
    #[arg(long, value_delimiter = ',', value_name = "N")]
    pub layers: Vec<String>,
    /// Rules to keep in front, each `pattern=buffer`
    #[arg(long, value_name = "RULES")]
    pub override_tensor: Vec<String>,
    /// What may be moved [default: the preset's, else tensor]
    #[arg(long, value_name = "WHAT")]
    pub granularity: Option<Granularity>,
    /// Put the placement into the preset
    #[arg(long, requires = "preset")]
    pub write: bool,
    /// Do not plan alternatives
    #[arg(long)]
    pub only: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Machine {
    /// Hardware file
    #[arg(long, value_name = "FILE", conflicts_with = "gpu")]
    pub hardware: Option<Utf8PathBuf>,
    /// A GPU, in device order: a card's name (`"RTX 4090"`, with what is free `"RTX 4090:20000"`), or
    /// `TOTAL:FREE[:CAPABILITY[:GB/S]]`; memory in MiB
    #[arg(long, value_name = "GPU")]
    pub gpu: Vec<String>,
    /// System memory beside the GPUs: `TOTAL[:GB/S]`, in MiB
    #[arg(long, value_name = "RAM", requires = "gpu")]
    pub ram: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Granularity {
    /// The experts of whole layers only
    Layer,
    /// Whole layers, then single tensors of one more layer per device
    Tensor,
}

#[derive(Debug, Args)]
pub struct Estimate {
    #[arg(value_name = "MODEL.gguf")]
    pub model: Utf8PathBuf,
    #[command(flatten)]
    pub machine: Machine,
    #[command(flatten)]
    pub output: Output,
    /// llama-server's flags
    #[arg(last = true, value_name = "FLAGS")]
    pub flags: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A preset's file, or its name in `presets`
    #[arg(value_name = "PRESET")]
    pub preset: Utf8PathBuf,
    /// GGUF file; its header is enough
    #[arg(long, value_name = "FILE")]
    pub model: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub struct Inspect {
    #[arg(value_name = "MODEL.gguf")]
    pub model: Utf8PathBuf,
    #[command(flatten)]
    pub output: Output,
}
