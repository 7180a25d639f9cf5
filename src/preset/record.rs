//! `[[measured]]` and `[[attempt]]`: what is known of a strategy from running it.

use crate::table::{Number, choice, table};

choice! {
    /// Where a strategy stands.
    pub enum Status {
        /// What to run unless there is a reason not to.
        Baseline = "baseline",
        Option = "option",
        Superseded = "superseded",
        Rejected = "rejected",
        /// Somebody else's command, kept to compare with.
        Reference = "reference",
        Untested = "untested",
    }
}

choice! {
    /// How an attempt ended.
    pub enum Outcome { Ok = "ok", OutOfMemory = "out-of-memory", Failed = "failed", }
}

table! {
    /// One measurement of the strategy.
    pub struct Measured {
        /// Who measured it, where.
        source: String;
        /// Day of the measurement, `2026-02-13`.
        date: String;
        /// Generated tokens per second.
        decode_tps: Number, 0.0 ..= 1_000_000.0;
        /// Prompt tokens per second.
        prompt_tps: Number, 0.0 ..= 10_000_000.0;
        /// Whether the speed is an estimate.
        approximate: bool;
        /// Tokens of the answer.
        tokens: i64, 0 ..= 100_000_000;
        /// Seconds the answer took.
        seconds: Number, 0.0 ..= 10_000_000.0;
        /// VRAM in use per GPU, MiB.
        vram_mib: Vec<u32>, 0 ..= 10_000_000;
        /// Weights per GPU, MiB.
        weights_mib: Vec<u32>, 0 ..= 10_000_000;
        /// System memory in use, GB.
        ram_gb: Number, 0.0 ..= 100_000.0;
        /// Whether the answer corrected itself on the way.
        self_correction: bool;
        /// The answer's quality in a few words.
        quality: String;
        /// Anything else.
        note: String;
    }
}

table! {
    /// A placement that was tried, and how that ended.
    pub struct Attempt {
        /// Layers per GPU.
        layers: Vec<u32>, 0 ..= 512;
        /// How it ended.
        outcome: Outcome;
        /// The device that ran out of memory.
        device: String;
        /// Anything else.
        note: String;
    }
}
