//! A plan that can be tried, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One way of running the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Layers with their experts on each card, in device order.
    pub layers: Vec<u32>,
    pub ctx_size: u64,
    /// A value for each dimension that is tuned, by its key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Observation {
    /// A prompt as long as the context went through.
    Good(Figures),
    /// A card had no room for a buffer, at load or later. The name as llama.cpp's log has it, where it has one.
    OutOfMemory { device: Option<String> },
    /// The machine or the container's limit had no memory.
    HostMemory,
    /// Anything else.
    Failed { why: String },
}

/// What was measured of a good one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// MiB that were free on each card after the long prompt. Empty where nobody looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free_mib: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_tps: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tps: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub candidate: Candidate,
    pub observation: Observation,
}

impl Candidate {
    pub fn total(&self) -> u32 {
        self.layers.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// With one layer more on a card.
    #[must_use]
    pub(super) fn plus(mut self, card: usize) -> Self {
        if let Some(count) = self.layers.get_mut(card) {
            *count = count.saturating_add(1);
        }
        self
    }

    /// With one layer fewer on a card, if it has one.
    pub(super) fn minus(&self, card: usize) -> Option<Self> {
        let mut less = self.clone();
        let count = less.layers.get_mut(card)?;
        *count = count.checked_sub(1)?;
        Some(less)
    }

    /// With another value in one dimension.
    #[must_use]
    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// `13+6 at 256K`, without a card `256K`, and the settings behind.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<String> = self.layers.iter().map(ToString::to_string).collect();
        if !layers.is_empty() {
            write!(f, "{} at ", layers.join("+"))?;
        }
        f.write_str(&context(self.ctx_size))?;
        for (key, value) in &self.settings {
            write!(f, ", {key} {value}")?;
        }
        Ok(())
    }
}

/// `256K` where it is a whole number of 1024 tokens.
pub(super) fn context(tokens: u64) -> String {
    if tokens > 0 && tokens.is_multiple_of(1024) {
        format!("{}K", tokens / 1024)
    } else {
        tokens.to_string()
    }
}
