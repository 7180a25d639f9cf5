//! What a run is keyed by in the ledger, as far as a strategy tells.

#[cfg(any(feature = "engine", feature = "bench"))]
use std::time::{SystemTime, UNIX_EPOCH};

use crate::artifact::Digest;
#[cfg(any(feature = "engine", feature = "bench"))]
use crate::ledger::Moment;
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

#[cfg(any(feature = "engine", feature = "bench"))]
#[expect(clippy::disallowed_methods, reason = "a run is dated; no artifact holds it")]
pub(super) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Moment(since.map(|since| since.as_secs()).unwrap_or_default())
}
