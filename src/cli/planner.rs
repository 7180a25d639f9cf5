//! What the commands that plan and compute memory take.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{LedgerFile, Models, Output};

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
    #[command(flatten)]
    pub buffers: Buffers,
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
    /// MiB to leave free on each device: one number for all of them, or several in device order [default: the preset's, else 1024]
    #[arg(long, value_delimiter = ',', value_name = "MIB")]
    pub margin: Vec<u64>,
    /// MiB to keep free on each device on top, for other programs: one number for all of them, or several
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
    /// Put the placement into the preset, which has to say what it was planned for
    #[arg(long, requires = "preset")]
    pub write: bool,
    /// Do not plan alternatives
    #[arg(long)]
    pub only: bool,
    #[cfg(feature = "engine")]
    #[command(flatten)]
    pub exact: Exact,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
}

/// A plan that the image's own llama.cpp confirms.
#[cfg(feature = "engine")]
#[derive(Debug, Args)]
pub struct Exact {
    /// Ask the image's own llama.cpp about the plan and its neighbours, on GPUs that need not be there
    #[arg(long = "exact")]
    pub ask: bool,
    /// Image to ask [default: the preset's]
    #[arg(long, value_name = "IMAGE", requires = "ask")]
    pub image: Option<String>,
    /// Do not keep the image's answers in the ledger
    #[arg(long, requires = "ask")]
    pub no_ledger: bool,
}

#[derive(Debug, Default, Args)]
pub struct Machine {
    /// Hardware file
    #[arg(long, value_name = "FILE", conflicts_with = "gpu")]
    pub hardware: Option<Utf8PathBuf>,
    /// Cluster file: several machines, and what lies between them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gpu", "hardware"])]
    pub cluster: Option<Utf8PathBuf>,
    /// A GPU, in device order: a card's name (`"RTX 4090"`, with what is free `"RTX 4090:20000"`), or
    /// `TOTAL:FREE[:CAPABILITY[:GB/S]]`; memory in MiB
    #[arg(long, value_name = "GPU")]
    pub gpu: Vec<String>,
    /// System memory beside the GPUs: `TOTAL[:GB/S]`, in MiB
    #[arg(long, value_name = "RAM", requires = "gpu", conflicts_with_all = ["hardware", "cluster"])]
    pub ram: Option<String>,
}

#[derive(Debug, Args)]
pub struct Buffers {
    /// Compute buffers of another build of llama.cpp, as measured: `seed-2026-02`, or a file by `calibrate --buffers`
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
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
    pub buffers: Buffers,
    #[command(flatten)]
    pub file: LedgerFile,
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
