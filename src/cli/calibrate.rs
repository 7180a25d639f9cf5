//! Arguments of `composegen calibrate`.

use camino::Utf8PathBuf;
use clap::Args;

use super::{LedgerFile, Output};

#[derive(Debug, Args)]
pub struct Calibrate {
    /// The machine whose runs are taken; with --write its file gets the constants
    #[arg(long, value_name = "FILE")]
    pub hardware: Utf8PathBuf,
    /// Directory with the models that ran, or their headers
    #[arg(long, default_value = "models", value_name = "DIR")]
    pub models: Utf8PathBuf,
    /// Build of llama.cpp whose runs are taken [default: the newest]
    #[arg(long, value_name = "N")]
    pub build: Option<u32>,
    /// Put what was fitted into the hardware file, if it predicts better what it was not fitted to
    #[arg(long)]
    pub write: bool,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
}
