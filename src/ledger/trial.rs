//! What an attempt of `tune` belongs to, and what the next one is decided by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::Digest;

/// The device that an attempt names where it was the machine, or the container's limit, that had no memory.
pub const HOST: &str = "Host";

/// One try of a tuning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Of all that was the same for every try: model, image, cards, the flags that were not moved. What one try of it
    /// excludes, it excludes for the others.
    pub task: Digest,
    /// Values of the keys that a tuning can move besides layers and context, as a preset spells them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Why it was tried.
    pub reason: String,
    /// MiB that were free on each card after the long prompt, where somebody looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free_mib: Vec<u64>,
    /// Of the line that closes a tuning: it repeats the attempt that turned out best.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub best: bool,
}

#[cfg(test)]
mod tests {
    use super::super::{Run, What};
    use super::Trial;
    use crate::artifact::Digest;

    #[test]
    fn a_line_with_a_trial_reads_back() {
        let trial = Trial {
            task: Digest::of(b"x"),
            settings: [("ubatch_size".to_owned(), "512".to_owned())].into(),
            reason: "one layer more".to_owned(),
            free_mib: vec![1456, 783],
            best: true,
        };
        let run = Run { what: What::Attempt, trial: Some(trial), ..Run::default() };
        assert_eq!(Run::parse(&run.to_string()), Ok(run));
        // What was written before there was such a thing.
        assert_eq!(Run::parse(&Run::default().to_string()).unwrap().trial, None);
    }
}
