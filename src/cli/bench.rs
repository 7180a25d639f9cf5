//! Arguments of `composegen bench`.

use camino::Utf8PathBuf;
use clap::Args;

#[cfg(feature = "engine")]
use super::Models;
use super::{LedgerFile, Output};

#[derive(Debug, Args)]
pub struct Bench {
    /// One preset, or two to compare: started where they do not run, and gone again afterwards; with `--url`, what runs
    /// at the addresses, in their order
    #[arg(value_name = "PRESET", num_args = 0..=2, required_unless_present = "url")]
    pub presets: Vec<Utf8PathBuf>,
    /// Address of a running llama-server, `http://HOST:PORT`; twice to compare two
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Start nothing: measure what answers at the presets' ports on this machine
    #[cfg(feature = "engine")]
    #[arg(long, conflicts_with = "url")]
    pub no_start: bool,
    /// How often each is started where they cannot run at the same time; a verdict takes four
    #[cfg(feature = "engine")]
    #[arg(long, default_value = "4", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=20))]
    pub starts: u32,
    /// Lengths of the prompts, in tokens
    #[arg(long, default_value = "512", value_delimiter = ',', value_name = "TOKENS",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub depth: Vec<u64>,
    /// Measurements at each depth; a verdict on two servers that run side by side takes six
    #[arg(long, short = 'n', default_value = "6", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=20))]
    pub repeat: u32,
    /// Completions at each depth before those that count
    #[arg(long, default_value = "1", value_name = "N",
        value_parser = clap::value_parser!(u32).range(..=100))]
    pub warmup: u32,
    /// Tokens to generate after each prompt
    #[arg(long, default_value = "64", value_name = "N",
        value_parser = clap::value_parser!(u64).range(2..))]
    pub tokens: u64,
    /// Answers to the fixed task, whose length and doubts are counted
    #[arg(long, default_value = "1", value_name = "N",
        value_parser = clap::value_parser!(u32).range(..=100))]
    pub answers: u32,
    /// Values of one number of a preset, as `temp=0.6,0.8,1.0` or `ubatch-size=256,512`; of several, every combination.
    /// Keys of `[sampling]` go into the requests for those answers; for others the preset is started anew
    #[arg(long, value_name = "KEY=VALUES")]
    pub sweep: Vec<String>,
    /// Tokens after which an answer is cut off
    #[arg(long, default_value = "4096", value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub answer_tokens: u64,
    /// Seconds that a server may be silent, as it is while it works on a long prompt
    #[arg(long, default_value = "1800", value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// File with the server's API key
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<Utf8PathBuf>,
    /// The model's file, whose header's digest goes into the ledger; one server only
    #[arg(long, value_name = "FILE")]
    pub model: Option<Utf8PathBuf>,
    /// A remark for the ledger
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Write nothing into the ledger
    #[arg(long)]
    pub no_ledger: bool,
    #[cfg(feature = "engine")]
    #[command(flatten)]
    pub models: Models,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
}

impl Bench {
    /// Whether presets are started that do not run.
    pub const fn starts_presets(&self) -> bool {
        #[cfg(feature = "engine")]
        return self.url.is_empty() && !self.no_start;
        #[cfg(not(feature = "engine"))]
        false
    }

    /// How often a server is started that cannot run beside another.
    pub const fn starts(&self) -> u32 {
        #[cfg(feature = "engine")]
        return self.starts;
        #[cfg(not(feature = "engine"))]
        1
    }
}
