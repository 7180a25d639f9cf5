//! Arguments of `composegen report`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{Buffers, LedgerFile, Models};

#[derive(Debug, Args)]
pub struct Report {
    /// Directory with presets
    #[arg(default_value = "presets", value_name = "DIR")]
    pub presets: Utf8PathBuf,
    #[command(flatten)]
    pub file: LedgerFile,
    /// How to write it; a page with charts, or tables for a pull request
    #[arg(long, default_value = "html", value_name = "FORMAT")]
    pub format: ReportFormat,
    /// File to write, `-` for standard output [default: report.html; Markdown and JSON go to standard output]
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Directory for the charts as SVG files; without --out nothing else is written
    #[arg(long, value_name = "DIR")]
    pub svg: Option<Utf8PathBuf>,
    /// Heading of the page
    #[arg(long, default_value = "Strategies", value_name = "TEXT")]
    pub title: String,
    /// File with published figures of other models, each with its source (`[[result]]`)
    #[arg(long, value_name = "FILE")]
    pub published: Option<Utf8PathBuf>,
    /// Say what changed since: a commit, branch or tag of this repository, or another ledger's file
    #[arg(long, value_name = "REF|LEDGER")]
    pub base: Option<String>,
    /// Say what differs between two runs: digits of their ids, or presets
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "base")]
    pub between: Vec<String>,
    /// Overwrite files that were not written by composegen, or were edited since
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub models: Models,
    #[command(flatten)]
    pub buffers: Buffers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Html,
    Markdown,
    Json,
}
