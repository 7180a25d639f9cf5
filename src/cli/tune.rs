//! Arguments of `composegen tune`.

use clap::Args;

use super::{Chosen, LedgerFile, Output};

#[derive(Debug, Args)]
pub struct Tune {
    #[command(flatten)]
    pub chosen: Chosen,
    /// Tokens of the prompt that has to go through [default: as many as the context takes]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub depth: Option<u64>,
    /// Contexts to go down to when nothing fits at the preset's own, in tokens or as `128K` [default: 192K, 128K, 64K
    /// and so on to 4K]
    #[arg(long, value_delimiter = ',', value_name = "TOKENS", value_parser = tokens)]
    pub contexts: Vec<u64>,
    /// Layers on each card to begin with [default: one more on each than the estimate allows]
    #[arg(long, value_delimiter = ',', value_name = "LAYERS")]
    pub layers: Vec<u32>,
    /// MiB that the estimate leaves free, one for all cards or one for each [default: the preset's, else 1024]
    #[arg(long, value_delimiter = ',', value_name = "MIB")]
    pub margin: Vec<u64>,
    /// What else to try when the layers are settled: ubatch, threads, load-mode, cache-type; with values of your own as
    /// `ubatch=512,1024`
    #[arg(long, value_name = "WHAT")]
    pub also: Vec<String>,
    /// Try again what was tried before
    #[arg(long)]
    pub fresh: bool,
    /// Show where it would begin, and start nothing
    #[arg(long, conflicts_with = "write")]
    pub dry_run: bool,
    /// Put the best plan into the preset
    #[arg(long)]
    pub write: bool,
    /// Seconds to wait for each first answer [default: what the model's size asks for]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    #[command(flatten)]
    pub file: LedgerFile,
    #[command(flatten)]
    pub output: Output,
}

/// `131072` or `128K`.
fn tokens(word: &str) -> Result<u64, String> {
    let (number, unit) = match word.strip_suffix(['K', 'k']) {
        Some(number) => (number, 1024),
        None => (word, 1),
    };
    let tokens = number.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    tokens
        .filter(|tokens| (256..=16 << 20).contains(tokens))
        .ok_or_else(|| "write a number of tokens, such as 131072 or 128K".to_owned())
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn contexts() {
        assert_eq!((tokens("128K"), tokens("4096")), (Ok(131_072), Ok(4096)));
        for wrong in ["", "K", "0", "1e3", "99999999K", "-4K"] {
            assert!(tokens(wrong).is_err(), "{wrong}");
        }
    }
}
