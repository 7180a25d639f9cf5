//! Arguments of `composegen eval`.

use camino::Utf8PathBuf;
use clap::Args;

use super::{LedgerFile, Models, Output};

#[derive(Debug, Args)]
pub struct Eval {
    /// Presets whose servers are asked, one after the other
    #[arg(value_name = "PRESET", num_args = 0.., required_unless_present = "url")]
    pub presets: Vec<Utf8PathBuf>,
    /// The problems: LiveCodeBench's, HumanEval's or MBPP's JSONL, or one's own as TOML or JSONL (docs/eval.md)
    #[arg(long, value_name = "FILE")]
    pub suite: Utf8PathBuf,
    /// Address of an OpenAI-compatible server, `http://HOST:PORT`; one for each preset, in their order, or without
    /// presets [default: each preset's port on this machine]
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Start each preset before its questions, and stop it afterwards
    #[arg(long, conflicts_with = "url")]
    pub up: bool,
    /// The model's name in requests [default: the first that the server lists]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Values of one sampling key, as `temp=0.6,0.8,1.0`; of several keys, every combination [default: what the server was
    /// started with]
    #[arg(long, value_name = "KEY=VALUES")]
    pub sweep: Vec<String>,
    /// Answers to each problem
    #[arg(long, short = 'n', default_value = "1", value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub samples: u64,
    /// Seed of the first answer to each problem; each further one takes the next
    #[arg(long, default_value = "1", value_name = "N")]
    pub seed: u32,
    /// Tokens after which an answer is cut off, what is thought aloud included
    #[arg(long, default_value = "8192", value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens: u64,
    /// Problems of this day and later, as 2025-01-31
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// Problems of this day and earlier
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// Problems of these difficulties
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    pub difficulty: Vec<String>,
    /// Problems with these ids
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    pub only: Vec<String>,
    /// The first so many problems of those
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// File with the question in one's own words; `{problem}` in it stands for the problem
    #[arg(long, value_name = "FILE")]
    pub instructions: Option<Utf8PathBuf>,
    /// Image in which answers run, with python3 in it
    #[arg(long, default_value = "python:3.12-slim", value_name = "IMAGE")]
    pub image: String,
    /// Seconds that one test may take
    #[arg(long, default_value = "10", value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub test_seconds: u32,
    /// Memory that an answer may take, in MiB
    #[arg(long, default_value = "2048", value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(32..))]
    pub test_memory: u32,
    /// Answers that are judged at the same time [default: one for every two processors, up to four]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub judges: Option<u32>,
    /// Questions that are asked at the same time [default: the server's slots]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub parallel: Option<u32>,
    /// Seconds that a server may be silent, as it is while it works on a long prompt
    #[arg(long, default_value = "1800", value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// File with the server's API key
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<Utf8PathBuf>,
    /// Where answers and verdicts are kept, so that nothing is asked twice
    #[arg(long, default_value = "eval.jsonl", value_name = "FILE")]
    pub journal: Utf8PathBuf,
    /// Ask and judge everything anew
    #[arg(long)]
    pub fresh: bool,
    /// A remark for the ledger
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Write nothing into the ledger
    #[arg(long)]
    pub no_ledger: bool,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub models: Models,
    #[command(flatten)]
    pub output: Output,
}
