//! What this machine takes for a token beside reading weights: the planner's constants, and how far they can be trusted.

use serde::{Deserialize, Serialize};

/// Costs of the speed model on one machine and one build of llama.cpp. `composegen calibrate` fits them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// The share of a GPU's bandwidth that a token's reads reach.
    pub gpu_efficiency: f64,
    /// The same for system memory.
    pub cpu_efficiency: f64,
    /// One block's kernels on a GPU, whatever they read, in microseconds.
    pub block_us: f64,
    /// The same of a block that keeps a state instead of a cache (SSM, delta net).
    pub recurrent_us: f64,
    /// One block's experts on the CPU: the way there and back, and waiting for threads, in microseconds.
    pub visit_us: f64,
    /// The relative error of tokens per second that is to be expected.
    pub error: f64,
}

impl Speed {
    /// Each with its key in a hardware file, in the file's order.
    pub fn keys(&self) -> [(&'static str, f64); 6] {
        let Self { gpu_efficiency, cpu_efficiency, block_us, recurrent_us, visit_us, error } =
            *self;
        [
            ("gpu_efficiency", gpu_efficiency),
            ("cpu_efficiency", cpu_efficiency),
            ("block_us", block_us),
            ("recurrent_us", recurrent_us),
            ("visit_us", visit_us),
            ("error", error),
        ]
    }
}
