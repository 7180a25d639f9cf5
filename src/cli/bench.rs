//! Arguments of `composegen bench`.

use camino::Utf8PathBuf;
use clap::Args;

use super::{LedgerFile, Output};

#[derive(Debug, Args)]
pub struct Bench {
    /// One preset, or two to compare: what runs at the addresses, in their order
    #[arg(value_name = "PRESET", num_args = 0..=2, required_unless_present = "url")]
    pub presets: Vec<Utf8PathBuf>,
    /// Address of a running llama-server, `http://HOST:PORT`; twice to compare two [default: the preset's port on
    /// this machine]
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Lengths of the prompts, in tokens
    #[arg(long, default_value = "512", value_delimiter = ',', value_name = "TOKENS",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub depth: Vec<u64>,
    /// Measurements at each depth; a verdict on two servers takes six
    #[arg(long, short = 'n', default_value = "6", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=20))]
    pub repeat: u32,
    /// Completions at each depth before those that count
    #[arg(long, default_value = "1", value_name = "N")]
    pub warmup: u32,
    /// Tokens to generate after each prompt
    #[arg(long, default_value = "64", value_name = "N",
        value_parser = clap::value_parser!(u64).range(2..))]
    pub tokens: u64,
    /// Answers to the fixed task, whose length and doubts are counted
    #[arg(long, default_value = "1", value_name = "N")]
    pub answers: u32,
    /// Values of one sampling key for those answers, as `temp=0.6,0.8,1.0`; of several keys, every combination [default:
    /// what the server was started with]
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
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
}
