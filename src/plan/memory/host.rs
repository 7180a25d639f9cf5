//! System memory: what llama-server allocates at once, and what fills up while it runs.

use serde::Serialize;

use super::prepared::Usage;
use super::request::{LoadMode, Request};
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
        self.model + self.buffers()
    }

    /// What cannot be given back: pinned or in use all the time.
    fn buffers(&self) -> Bytes {
        self.context + self.compute + self.output
    }

    /// What a machine with this much memory cannot hold, and the way out of each; the flags are llama-server's.
    pub fn warnings(&self, ram: Bytes, load_mode: LoadMode) -> Vec<String> {
        let [model, buffers, all] = [self.model, self.buffers(), ram].map(Bytes::mib);
        let mut warnings = Vec::new();
        if load_mode == LoadMode::Copied && self.at_start() > ram {
            warnings.push(format!(
                "{model:.0} MiB of weights are read into pinned memory beside {buffers:.0} MiB of buffers, and the machine \
                 has {all:.0} MiB: move more to the GPUs, or take `--load-mode mmap`"
            ));
        } else if self.buffers() > ram {
            warnings.push(format!(
                "caches and buffers of {buffers:.0} MiB are more than the {all:.0} MiB of system memory: move more to the \
                 GPUs, or take a smaller context or `-ub`"
            ));
        } else if self.at_start() > ram {
            warnings.push(format!(
                "{model:.0} MiB of weights for the CPU and {buffers:.0} MiB of buffers are more than the {all:.0} MiB of \
                 system memory: weights will be read from the disk again for every token; move more to the GPUs, or take \
                 a smaller quantization"
            ));
        }
        let most = self.at_start() + self.checkpoints + self.prompt_cache.unwrap_or_default();
        // The system itself needs the rest.
        if warnings.is_empty() && most.mib() > all * 0.95 {
            let cache = self.prompt_cache.unwrap_or_default().mib();
            warnings.push(format!(
                "with a full prompt cache ({cache:.0} MiB) and all checkpoints ({:.0} MiB) {:.0} of {all:.0} MiB of system \
                 memory are taken: lower `--cache-ram` or `--ctx-checkpoints`, or move more to the GPUs",
                self.checkpoints.mib(),
                most.mib()
            ));
        }
        if self.prompt_cache.is_none() {
            warnings.push(format!(
                "the prompt cache has no limit and may fill the {all:.0} MiB of system memory: give one in `--cache-ram`"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::{HostMemory, LoadMode};
    use crate::units::Bytes;

    fn said(model: u64, prompt_cache: Option<u64>, ram: u64, load_mode: LoadMode) -> String {
        let mib = Bytes::from_mib;
        let host = HostMemory {
            model: mib(model),
            context: mib(100),
            compute: mib(800),
            output: mib(100),
            prompt_cache: prompt_cache.map(mib),
            checkpoints: mib(1000),
        };
        host.warnings(mib(ram), load_mode).join("; ")
    }

    #[test]
    fn what_does_not_fit_is_said_once_and_by_its_reason() {
        let mmap = LoadMode::Mmap;
        assert_eq!(said(40_000, Some(8192), 64_000, mmap), "");
        let tight = said(40_000, Some(8192), 52_000, mmap);
        assert!(tight.contains("50192 of 52000 MiB") && tight.contains("--cache-ram"), "{tight}");
        assert_eq!(said(40_000, Some(0), 52_000, mmap), "");
        let disk = said(60_000, Some(8192), 52_000, mmap);
        assert!(disk.contains("read from the disk") && !disk.contains("; with a full"), "{disk}");
        let pinned = said(60_000, Some(0), 52_000, LoadMode::Copied);
        assert!(pinned.contains("pinned") && pinned.contains("--load-mode mmap"), "{pinned}");
        let buffers = said(0, Some(0), 900, mmap);
        assert!(buffers.contains("buffers of 1000 MiB"), "{buffers}");
        assert!(said(100, None, 52_000, mmap).contains("has no limit"));
    }
}
