//! What `client` takes.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::Output;

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct Client {
    #[command(subcommand)]
    pub action: Option<ClientAction>,
    /// Which program; `composegen client list` names them
    #[arg(required = true, value_name = "NAME")]
    pub name: Option<String>,
    /// A preset's file, or its name in `presets`
    #[arg(required = true, value_name = "PRESET")]
    pub preset: Option<Utf8PathBuf>,
    /// Directory to write to [default: clients/PRESET/NAME]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<Utf8PathBuf>,
    /// Print the files and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write nothing; ask the running server for all that the files promise: models, a chat, a tool call, tokens
    #[cfg(feature = "bench")]
    #[arg(long, conflicts_with = "dry_run")]
    pub check: bool,
    /// Where the server is [default: where the preset publishes it on this machine]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Variable that holds the key [default: `LLAMA_API_KEY` where the preset has a key file]
    #[arg(long, value_name = "NAME")]
    pub key_env: Option<String>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Subcommand)]
pub enum ClientAction {
    /// Name the programs that can be configured
    List(ClientList),
}

#[derive(Debug, Args)]
pub struct ClientList {
    #[command(flatten)]
    pub output: Output,
}
