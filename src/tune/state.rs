//! Everything that tuning knows, as a value that can be written down and taken up again.

use serde::{Deserialize, Serialize};

use super::candidate::{Attempt, Candidate, Observation};
use super::dimension::Dimension;

/// What is tuned, and where to begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Stands for all that has to be the same for a measurement to hold: model, image, machine, fixed flags.
    pub key: String,
    /// The cards' names as llama.cpp has them, in device order.
    pub devices: Vec<String>,
    /// Blocks of the model.
    pub blocks: u32,
    /// The least by which a card fills up with one layer more, in MiB.
    pub layer_mib: u64,
    /// The most layers that each card can be given, where that is fewer than there are blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub most: Vec<u32>,
    /// Where to begin at each context, the largest first: what the estimate allows, or one step beyond.
    pub starts: Vec<Start>,
    /// Whether a person said where to begin, and no estimate.
    #[serde(default)]
    pub asked: bool,
    /// What else to try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Dimension>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub ctx_size: u64,
    pub layers: Vec<u32>,
}

/// A task and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub(super) task: Task,
    pub(super) attempts: Vec<Attempt>,
    /// What is being tried, if nothing has come of it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Candidate>,
}

/// Why what was written down cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    #[error("it is no state of tuning: {0}")]
    Form(String),
    #[error("it was made for another model, image, machine or preset")]
    Other,
}

impl Task {
    /// The card of this name.
    pub(super) fn card(&self, device: Option<&str>) -> Option<usize> {
        self.devices.iter().position(|name| Some(name.as_str()) == device)
    }

    /// The most layers that a card can be given.
    pub(super) fn most(&self, card: usize) -> u32 {
        self.most.get(card).copied().unwrap_or(self.blocks)
    }

    /// The plan to begin with at a context.
    pub(super) fn start(&self, start: &Start) -> Candidate {
        let mut layers = start.layers.clone();
        layers.resize(self.devices.len(), 0);
        // No more blocks than there are, the last cards first.
        let mut room = self.blocks;
        for (card, count) in layers.iter_mut().enumerate() {
            *count = (*count).min(room).min(self.most(card));
            room -= *count;
        }
        let settings = self.also.iter().map(|d| (d.key.clone(), d.base.clone())).collect();
        Candidate { layers, ctx_size: start.ctx_size, settings }
    }
}

impl State {
    /// Begins; `known` is what was tried before, such as the ledger's attempts with the same key.
    pub fn new(mut task: Task, known: Vec<Attempt>) -> Self {
        task.starts.sort_by_key(|start| std::cmp::Reverse(start.ctx_size));
        let cards = task.devices.len();
        let usable = |attempt: &Attempt| {
            // What failed otherwise may have been mended since.
            attempt.candidate.layers.len() == cards
                && !matches!(attempt.observation, Observation::Failed { .. })
        };
        let mut attempts: Vec<Attempt> = known.into_iter().filter(usable).collect();
        for attempt in &mut attempts {
            for dimension in &task.also {
                let settings = &mut attempt.candidate.settings;
                settings.entry(dimension.key.clone()).or_insert_with(|| dimension.base.clone());
            }
        }
        Self { task, attempts, pending: None }
    }

    /// Takes up what was written down for this task: measurements stay, even where it now starts elsewhere.
    pub fn resume(task: Task, text: &str) -> Result<Self, ResumeError> {
        let saved: Self =
            serde_json::from_str(text).map_err(|error| ResumeError::Form(error.to_string()))?;
        if saved.task.key != task.key || saved.task.devices != task.devices {
            return Err(ResumeError::Other);
        }
        let same = saved.task.also == task.also;
        let mut state = Self::new(task, saved.attempts);
        state.pending = saved.pending.filter(|_| same);
        Ok(state)
    }

    /// Takes over what is known from elsewhere, such as the ledger. What was interrupted and is among it, has ended.
    pub fn learn(&mut self, known: Vec<Attempt>) {
        let known = Self::new(self.task.clone(), known).attempts;
        for attempt in known {
            if self.pending.as_ref() == Some(&attempt.candidate) {
                self.pending = None;
            }
            if !self.attempts.iter().any(|old| old.candidate == attempt.candidate) {
                self.attempts.push(attempt);
            }
        }
    }

    /// To be written down after every step.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub const fn task(&self) -> &Task {
        &self.task
    }

    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
}
