//! What `hardware` takes.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::Output;

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
    /// Do not measure how fast system memory is read (where the firmware's table cannot be read; half a second)
    #[arg(long)]
    pub no_measure: bool,
}

#[derive(Debug, Args)]
pub struct Cards {
    #[command(flatten)]
    pub output: Output,
}
