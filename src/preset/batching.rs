//! `[batching]`: how much is computed at once, and by how many threads.

use crate::table::{Number, table};

table! {
    /// Batches, slots and CPU threads.
    pub struct Batching {
        /// Tokens per logical batch.
        batch_size: i64, 1 ..= 1_048_576 => "--batch-size";
        /// Tokens per physical batch; the compute buffers grow with it.
        ubatch_size: i64, 1 ..= 1_048_576 => "--ubatch-size";
        /// Slots: requests served at the same time.
        parallel: i64, -1 ..= 256 => "--parallel";
        /// Add requests to a running batch.
        cont_batching: bool => "--cont-batching" / "--no-cont-batching";
        /// CPU threads for generation; -1 takes the physical cores.
        threads: i64, -1 ..= 1024 => "--threads";
        /// CPU threads for prompts.
        threads_batch: i64, -1 ..= 1024 => "--threads-batch";
        /// Process priority from -1 (low) to 3 (real time); above 0 needs `CAP_SYS_NICE` in the container.
        prio: i64, -1 ..= 3 => "--prio";
        /// Busy waiting of the threads, percent.
        poll: i64, 0 ..= 100 => "--poll";
        /// CPUs to run on, as a hexadecimal mask.
        cpu_mask: String => "--cpu-mask";
        /// CPUs to run on, `lo-hi`.
        cpu_range: String => "--cpu-range";
        /// Bind each thread to one CPU: 0 or 1.
        cpu_strict: i64, 0 ..= 1 => "--cpu-strict";
        /// How similar a prompt must be to a slot's to be sent there.
        slot_prompt_similarity: Number, 0.0 ..= 1.0 => "--slot-prompt-similarity";
    }
}
