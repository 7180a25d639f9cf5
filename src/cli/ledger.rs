//! Arguments of `composegen ledger`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

use super::Output;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Ledger {
    #[command(subcommand)]
    pub command: Option<LedgerCommand>,
    #[command(flatten)]
    pub list: LedgerList,
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Show the runs in a table, oldest first
    List(LedgerList),
    /// Show two runs side by side, and whether one is faster by more than chance
    Compare(LedgerCompare),
    /// Take over what presets say was measured, marked as reported, or what llama-bench printed
    Import(LedgerImport),
    /// Show coding benchmarks, one's own and published ones, side by side
    Evals(LedgerEvals),
}

#[derive(Debug, Args)]
pub struct LedgerFile {
    /// The ledger, one line of JSON per run
    #[arg(long, default_value = "ledger.jsonl", value_name = "FILE")]
    pub ledger: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub struct LedgerList {
    #[command(flatten)]
    pub file: LedgerFile,
    /// Runs of this preset only
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    #[command(flatten)]
    pub which: LedgerWhich,
    /// Speeds at this depth [default: the first that was measured]
    #[arg(long, value_name = "TOKENS")]
    pub depth: Option<u64>,
    /// Exit with 9 where the newest run of a preset generates fewer tokens per second
    #[arg(long, value_name = "TOKENS_PER_S", value_parser = bound)]
    pub fail_below: Option<f64>,
    #[command(flatten)]
    pub output: Output,
}

/// What a ledger's runs are keyed by besides their preset.
#[derive(Debug, Args)]
pub struct LedgerWhich {
    /// Runs that are known in this way only
    #[arg(long, value_name = "HOW")]
    pub source: Option<LedgerSource>,
    /// Runs of this build of llama.cpp only
    #[arg(long, value_name = "N")]
    pub build: Option<u32>,
    /// Runs in this image only: the first digits of its id
    #[arg(long, value_name = "DIGEST")]
    pub image: Option<String>,
    /// Runs of models with this in their file's name only
    #[arg(long, value_name = "TEXT")]
    pub model: Option<String>,
    /// Runs on a device with this in its name only
    #[arg(long, value_name = "TEXT")]
    pub device: Option<String>,
    /// Runs with this in the driver's version only
    #[arg(long, value_name = "TEXT")]
    pub driver: Option<String>,
}

/// A speed that a run can be held to. Nothing is below what is no number.
fn bound(word: &str) -> Result<f64, String> {
    let number = word.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "write a number of tokens per second, such as 20 or 20.5".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LedgerSource {
    Measured,
    Reported,
    Probed,
}

#[derive(Debug, Args)]
pub struct LedgerCompare {
    /// The first digits of a run's id, or a preset: its newest run
    #[arg(value_name = "A")]
    pub first: String,
    #[arg(value_name = "B")]
    pub second: String,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub which: LedgerWhich,
    /// The depth that `--fail-below` looks at [default: the first that was measured]
    #[arg(long, value_name = "TOKENS")]
    pub depth: Option<u64>,
    /// Exit with 9 where B generates fewer tokens per second
    #[arg(long, value_name = "TOKENS_PER_S", value_parser = bound)]
    pub fail_below: Option<f64>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct LedgerImport {
    /// Directory with presets
    #[arg(default_value = "presets", value_name = "DIR")]
    pub dir: Utf8PathBuf,
    /// Take over what `llama-bench -o jsonl` printed instead, `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub llama_bench: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub file: LedgerFile,
}

#[derive(Debug, Args)]
pub struct LedgerEvals {
    /// Scores on this suite only
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,
    /// TOML with `[[result]]` tables: figures of other models, each with its source (docs/eval.md)
    #[arg(long, value_name = "FILE")]
    pub published: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
}

#[cfg(test)]
mod tests {
    use super::bound;

    #[test]
    fn bounds() {
        assert_eq!((bound("20.5"), bound("0")), (Ok(20.5), Ok(0.0)));
        for wrong in ["", "nan", "inf", "-1", "fast"] {
            assert!(bound(wrong).unwrap_err().contains("tokens per second"), "{wrong}");
        }
    }
}
