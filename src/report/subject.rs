//! A strategy as the page needs it, and what its devices hold.

use serde::Serialize;

use super::{known, standing};
use crate::artifact::Digest;
use crate::ledger::Ledger;
use crate::preset::record::Status;

/// One strategy. What is not known is absent.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    pub name: String,
    pub label: Option<String>,
    pub title: Option<String>,
    pub quant: Option<String>,
    pub ctx_size: Option<u64>,
    /// Types of the cache, `q8_0` or `q8_0/q4_0`.
    pub cache: Option<String>,
    /// Layers with their experts per GPU.
    pub layers: Vec<u32>,
    /// All else that the preset sets, by the paths of its keys.
    pub settings: Vec<(String, String)>,
    pub all_layers: Option<u64>,
    pub status: Option<Status>,
    pub reason: Option<String>,
    /// Of the model's name and the flags, as the ledger has it.
    pub digest: Option<Digest>,
    /// The GPUs, in device order.
    pub cards: Vec<Card>,
    /// Weights, cache and compute buffer per GPU, MiB, where the header was at hand, and how they were computed.
    pub computed: Option<(Vec<[f64; 3]>, String)>,
    /// Why there is nothing computed.
    pub missing: Option<String>,
    pub predicted: Option<Predicted>,
}

/// A GPU: its name, its memory, and what is free of it before llama-server starts, MiB.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Card {
    pub name: String,
    pub memory_mib: f64,
    pub free_mib: f64,
}

/// Tokens per second with their relative error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Predicted {
    pub decode_tps: f64,
    pub error: f64,
    pub prompt_tps: f64,
    pub prompt_error: f64,
    /// Some bandwidth was not known.
    pub assumed: bool,
}

/// What the devices of one strategy hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Memory {
    pub strategy: String,
    /// How the bars are known.
    pub known: String,
    pub bars: Vec<Bar>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    pub device: String,
    pub card: String,
    /// Of the whole card.
    pub memory_mib: f64,
    pub parts: Vec<Part>,
    /// What stays free; negative where it does not fit, absent where nobody looked.
    pub left_mib: Option<f64>,
    /// What the whole card showed in use, and how that is known.
    pub in_use: Option<(f64, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Part {
    pub kind: Kind,
    pub mib: f64,
}

/// What a part of a device's memory is taken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What was taken before llama-server started: the driver, a screen.
    Before,
    Weights,
    Cache,
    Compute,
    /// Measured as a whole: cache, compute buffer and what was there before.
    Rest,
    /// Measured as a whole, weights included.
    All,
}

impl Kind {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Before => "taken before",
            Self::Weights => "weights",
            Self::Cache => "cache",
            Self::Compute => "compute",
            Self::Rest => "cache, compute, others",
            Self::All => "in use",
        }
    }

    pub const fn class(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Weights => "weights",
            Self::Cache => "cache",
            Self::Compute => "compute",
            Self::Rest => "rest",
            Self::All => "all",
        }
    }
}

impl Subject {
    /// `5 UD-Q6_K_XL 256K`: short enough for a chart, and different for strategies of one table.
    pub fn short(&self) -> String {
        let label = self.label.as_deref().filter(|label| label.chars().any(char::is_alphanumeric));
        let what = self.quant.as_deref().unwrap_or(&self.name);
        [label, Some(what)].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl Memory {
    /// Computed where the header was at hand, with what was measured beside; else what was measured alone.
    pub(super) fn of(subject: &Subject, ledger: &Ledger) -> Option<Self> {
        let run = standing(ledger, subject).map(|(entry, _)| &entry.run);
        let said = run.filter(|run| !run.memory.vram_mib.is_empty());
        let in_use = |i: usize| {
            let run = said?;
            Some((*run.memory.vram_mib.get(i)? as f64, known(run)))
        };
        let mut bars = Vec::new();
        let known = if let Some((devices, how)) = &subject.computed {
            for (i, [weights, cache, compute]) in devices.iter().enumerate() {
                let card = subject.cards.get(i).cloned().unwrap_or_default();
                let before = (card.memory_mib - card.free_mib).max(0.0);
                let kinds = [Kind::Before, Kind::Weights, Kind::Cache, Kind::Compute];
                let parts = kinds.into_iter().zip([before, *weights, *cache, *compute]);
                bars.push(Bar {
                    device: format!("CUDA{i}"),
                    left_mib: Some(card.free_mib - weights - cache - compute),
                    memory_mib: card.memory_mib,
                    card: card.name,
                    parts: parts.map(|(kind, mib)| Part { kind, mib }).collect(),
                    in_use: in_use(i),
                });
            }
            how.clone()
        } else {
            let run = run?;
            let memory = &run.memory;
            for i in 0..memory.vram_mib.len().max(memory.weights_mib.len()) {
                let card = subject.cards.get(i).cloned().unwrap_or_default();
                let mib = |list: &[u64]| list.get(i).map(|mib| *mib as f64);
                let used = mib(&memory.vram_mib);
                let parts = match (used, mib(&memory.weights_mib)) {
                    (Some(used), Some(weights)) => {
                        vec![(Kind::Weights, weights), (Kind::Rest, used - weights)]
                    }
                    (Some(used), None) => vec![(Kind::All, used)],
                    (None, weights) => {
                        weights.map(|mib| (Kind::Weights, mib)).into_iter().collect()
                    }
                };
                bars.push(Bar {
                    device: format!("CUDA{i}"),
                    left_mib: used.map(|used| card.memory_mib - used),
                    memory_mib: card.memory_mib,
                    card: card.name,
                    parts: parts.into_iter().map(|(kind, mib)| Part { kind, mib }).collect(),
                    in_use: None,
                });
            }
            let why = subject.missing.as_deref().unwrap_or("there is no header to compute from");
            format!("{}; {why}", known(run))
        };
        bars.retain(|bar| bar.memory_mib > 0.0);
        (!bars.is_empty()).then(|| Self { strategy: subject.with_context(), known, bars })
    }
}

impl Subject {
    pub(super) fn with_context(&self) -> String {
        let context = self.ctx_size.map(super::words::context);
        [Some(self.short()), context].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}
