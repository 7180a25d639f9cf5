//! What every client needs to know of a server, from the preset that starts it: address, name of the model, room for
//! input and output, patience, and the name of the variable that holds the key.

use super::{ClientError, address};
use crate::preset::{Preset, value};
use crate::quote::variable;
use crate::strategy::Strategy;

/// Settled for one strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The strategy.
    pub name: String,
    /// Without `/v1`, and without a slash at the end.
    pub base: String,
    /// As `/v1/models` lists it.
    pub model: String,
    /// The variable that holds the key; absent where the server asks for none.
    pub key: Option<String>,
    /// Tokens of one conversation, input and output together.
    pub slot: u64,
    /// How many conversations are held at once.
    pub slots: u64,
    pub input: u64,
    pub output: u64,
    /// How long to wait for an answer.
    pub timeout_s: u64,
    pub tools: bool,
    pub vision: bool,
}

/// What a client is told in place of a key where the server asks for none, since most insist on one.
pub const NO_KEY: &str = "none";

/// The variable that holds the key unless another is named; llama-server reads its own key from the same.
pub const KEY: &str = "LLAMA_API_KEY";

/// Of llama-server, where the preset names none.
const TIMEOUT_S: u64 = 3600;

/// A quarter of the slot, up to what Claude Code takes at most unless told otherwise.
const MOST_OUTPUT: u64 = 32_000;

/// Slots where the preset leaves their number to llama-server; they then share one cache.
const AUTO_SLOTS: u64 = 4;

/// llama.cpp rounds a slot's part of the context up to a multiple of this.
const CELLS: u64 = 256;

impl Connection {
    /// `url` and `key` take the place of what the preset says.
    pub fn new(
        strategy: &Strategy,
        preset: &Preset,
        url: Option<&str>,
        key: Option<&str>,
    ) -> Result<Self, ClientError> {
        let base = url.map_or_else(|| Ok(address::published(strategy)), address::given)?;
        let key = match key {
            Some(name) if !variable::is_name(name) => return Err(ClientError::KeyName),
            Some(name) => Some(name.to_owned()),
            None => strategy.container.api_key_file.as_ref().map(|_| KEY.to_owned()),
        };
        let (slot, slots) = slot(strategy, preset)?;
        let most = number(strategy, "--n-predict").unwrap_or(u64::MAX);
        let output = (slot / 4).min(MOST_OUTPUT).min(most).max(1);
        Ok(Self {
            name: strategy.name.clone(),
            base,
            model: model(strategy)?,
            key,
            slot,
            slots,
            input: slot.saturating_sub(output),
            output,
            timeout_s: number(strategy, "--timeout").unwrap_or(TIMEOUT_S),
            tools: strategy.word("--jinja") != Some("false"),
            vision: strategy.word("--mmproj").is_some(),
        })
    }

    /// What OpenAI's clients call the base.
    pub fn v1(&self) -> String {
        format!("{}/v1", self.base)
    }

    pub const fn timeout_ms(&self) -> u64 {
        self.timeout_s.saturating_mul(1000)
    }

    /// For a list to choose from.
    pub fn label(&self) -> String {
        format!("{} (llama-server)", self.name)
    }
}

/// A number above zero; llama-server means "no limit", "off" or "choose" by the others.
fn number(strategy: &Strategy, flag: &str) -> Option<u64> {
    strategy.word(flag)?.parse().ok().filter(|number| *number > 0)
}

/// llama-server keeps its aliases sorted and answers to the first; without any, to the file's path.
fn model(strategy: &Strategy) -> Result<String, ClientError> {
    let aliases = strategy.word("--alias").unwrap_or_default();
    let first = aliases.split(',').filter(|alias| !alias.is_empty()).min();
    let name = match first {
        Some(alias) => alias.to_owned(),
        None if strategy.model.starts_with('/') => strategy.model.clone(),
        None => format!("/models/{}", strategy.model),
    };
    match name.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        None => Ok(name),
        Some(char) => Err(ClientError::Model { char }),
    }
}

/// Tokens of one slot, and how many there are (llama-context.cpp and server.cpp of b11434).
fn slot(strategy: &Strategy, preset: &Preset) -> Result<(u64, u64), ClientError> {
    let fixed = number(strategy, "--parallel");
    let slots = fixed.unwrap_or(AUTO_SLOTS);
    let shared = fixed.is_none() || strategy.word("--kv-unified") == Some("true");
    let cap = number(strategy, "--kv-unified-per-slot");
    let trained = value(&preset.model.context_length).and_then(|n| u64::try_from(*n).ok());
    let total = number(strategy, "--ctx-size").or(cap.map(|cap| cap * slots)).or(trained);
    let total = total.ok_or(ClientError::NoContext)?;
    let part = if shared { total } else { total.div_ceil(slots).next_multiple_of(CELLS) };
    let part = cap.map_or(part, |cap| part.min(cap));
    // Stretched, the model takes more than it was trained for.
    let stretched = strategy.word("--rope-scaling").is_some_and(|word| word != "none");
    let part = trained.filter(|_| !stretched).map_or(part, |trained| part.min(trained));
    Ok((part, slots))
}
