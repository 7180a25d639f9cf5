//! What a run is keyed by in the ledger, as far as a strategy tells.

use crate::artifact::Digest;
use crate::ledger::PresetKey;
use crate::strategy::Strategy;

/// The strategy's name, and the digest of what it makes llama-server do.
pub(super) fn preset(strategy: &Strategy) -> PresetKey {
    // No word of a command line holds a zero byte, so that no two lists of words look alike.
    let mut words = vec![strategy.model.clone()];
    words.extend(strategy.args_without(&[]));
    let digest = Digest::of(words.join("\0").as_bytes());
    PresetKey { name: strategy.name.clone(), digest: Some(digest) }
}
