//! What the commands that run strategies take.

use camino::Utf8PathBuf;
use clap::Args;

use super::{Deny, LedgerFile, Machine, Models, Output};

#[derive(Debug, Args)]
pub struct Chosen {
    /// A preset's file, its name in `presets`, or an output directory
    #[arg(value_name = "PRESET")]
    pub preset: Utf8PathBuf,
    /// Output directory [default: deploy/NAME]
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
pub struct Up {
    #[command(flatten)]
    pub chosen: Chosen,
    /// Seconds to wait for the first answer [default: what the model's size asks for]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    /// Do not wait until it answers
    #[arg(long)]
    pub no_wait: bool,
    #[command(flatten)]
    pub file: LedgerFile,
}

#[derive(Debug, Args)]
pub struct Push {
    /// A preset's file, its name in `presets`, or an output directory
    #[arg(value_name = "PRESET")]
    pub preset: Utf8PathBuf,
    /// Output directory [default: deploy/NAME]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<Utf8PathBuf>,
    /// An image that the engine has under another name
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Overwrite files that were edited by hand
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub models: Models,
}

#[derive(Debug, Args)]
pub struct Running {
    /// A preset's file, its name in `presets`, or an output directory [default: the current directory]
    #[arg(value_name = "PRESET")]
    pub preset: Option<Utf8PathBuf>,
    /// Output directory [default: deploy/NAME]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub running: Running,
    /// Go on until the server ends
    #[arg(long, short)]
    pub follow: bool,
    /// The last lines only
    #[arg(long, short = 'n', value_name = "LINES")]
    pub tail: Option<u32>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub running: Running,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub chosen: Chosen,
    /// A program of the image and its arguments; of flags alone, llama-server's
    #[arg(last = true, required = true, value_name = "ARGS")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// A preset to look at the machine for: its image, models and GPUs
    #[arg(value_name = "PRESET")]
    pub preset: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Probe {
    /// A preset's file, or its name in `presets`
    #[arg(value_name = "PRESET")]
    pub preset: Utf8PathBuf,
    /// GGUF file; its header is enough [default: the preset's header, or its model in the models directory]
    #[arg(long, value_name = "FILE")]
    pub model: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub models: Models,
    #[command(flatten)]
    pub machine: Machine,
    /// Image to ask [default: the preset's]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Do not keep the answer in the ledger
    #[arg(long)]
    pub no_ledger: bool,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
    /// More llama-server flags, behind the preset's
    #[arg(last = true, value_name = "FLAGS")]
    pub flags: Vec<String>,
}
