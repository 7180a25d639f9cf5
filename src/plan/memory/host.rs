//! System memory: what llama-server allocates at once, and what fills up while it runs.

use serde::Serialize;

use super::prepared::Usage;
use super::request::Request;
use super::setup::Setup;
use crate::gguf::Model;
use crate::units::Bytes;

/// What system memory will hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostMemory {
    /// Weights; mapped from the file they are page cache, else memory of the process.
    pub model: Bytes,
    pub context: Bytes,
    pub compute: Bytes,
    /// Logits of every slot.
    pub output: Bytes,
    /// What the prompt cache may grow to; absent without limit.
    pub prompt_cache: Option<Bytes>,
    /// What the checkpoints of all slots may grow to: states and sliding windows, which cannot be rewound.
    pub checkpoints: Bytes,
}

impl HostMemory {
    pub(super) fn new(model: &Model, request: &Request, setup: &Setup, usage: Usage) -> Self {
        let output = model.vocabulary * setup.outputs.max(setup.sequences) * 4;
        let each: u64 = model
            .layers
            .iter()
            .filter(|layer| !layer.nextn)
            .map(|layer| {
                let state = layer.state.map_or(0, |state| (state.conv + state.ssm) * 4);
                let window = layer.cache.filter(|_| layer.sliding && !request.swa_full);
                let seen = model.window.as_ref().map_or(0, |window| window.size);
                let window = window.map_or(0, |cache| {
                    seen.min(setup.cells_swa)
                        * (setup.type_k.row(cache.key) + setup.type_v.row(cache.value))
                });
                state + window
            })
            .sum();
        Self {
            model: usage.model,
            context: usage.context,
            compute: usage.compute,
            output: Bytes(output),
            prompt_cache: request.cache_ram.map(Bytes::from_mib),
            checkpoints: Bytes(each * request.ctx_checkpoints * setup.sequences),
        }
    }

    /// What is taken before the first request.
    pub fn at_start(&self) -> Bytes {
        self.model + self.context + self.compute + self.output
    }
}
