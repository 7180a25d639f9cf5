//! Arguments of `composegen calibrate`.

use camino::Utf8PathBuf;
use clap::Args;

use super::{LedgerFile, Output};

#[derive(Debug, Args)]
pub struct Calibrate {
    /// The machine whose runs are taken; with --write its file gets the constants
    #[arg(long, value_name = "FILE", required_unless_present = "buffers")]
    pub hardware: Option<Utf8PathBuf>,
    /// Directory with the models that ran, or their headers; those that a run's preset names in `model.header` need not be there
    #[arg(long, default_value = "models", value_name = "DIR")]
    pub models: Utf8PathBuf,
    /// Build of llama.cpp whose runs are taken [default: the newest]
    #[arg(long, value_name = "N")]
    pub build: Option<u32>,
    /// Put what was fitted into the hardware file, if it predicts better what it was not fitted to
    #[arg(long, requires = "hardware")]
    pub write: bool,
    /// Instead, write what probes of a build found beyond the estimate into a file that `--profile` reads
    #[arg(long, value_name = "FILE", conflicts_with = "hardware")]
    pub buffers: Option<Utf8PathBuf>,
    /// Overwrite that file
    #[arg(long, requires = "buffers")]
    pub force: bool,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
}
