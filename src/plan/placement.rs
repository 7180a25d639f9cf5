//! Which block, and which block's experts, go to which device: as much as fits, on the fastest memories.
//!
//! Blocks go to the devices in llama.cpp's order, each a contiguous run, and only routed experts leave for the CPU
//! (or, where that saves the first device a buffer, a part of one block's for the next device).
//! Weights and caches are exact sums per block; what else a device takes is asked from the memory estimate, which
//! also has the last word on every placement. No IO; time per token comes from `speed`.

mod block;
mod cluster;
mod goal;
mod judge;
mod notes;
mod rounds;
mod rules;
mod search;
mod words;

use serde::Serialize;

use super::memory::{Estimate, EstimateError, Request, SplitMode, devices};
use super::speed::{Crossing, Prediction, System};
use crate::gguf::Model;
use crate::hardware::{Gpu, Speed};
use crate::units::Bytes;

pub use rules::Rule;
pub use words::{Asked, Flag};

/// What may be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// The experts of whole blocks only.
    Layer,
    /// Whole blocks, then single expert tensors (up, gate, down) of one more block per device where they pay.
    #[default]
    Tensor,
}

/// What is to be placed, where, and what is already decided.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub model: &'a Model,
    /// In device order.
    pub gpus: &'a [Gpu],
    /// The machine around them.
    pub system: System,
    /// System memory, where known. It decides only where devices of other machines could take what it cannot.
    pub ram: Option<Bytes>,
    /// Context, batches, cache types and so on. Its overrides stay in front; `-ngl` and `-ts` are chosen anew.
    pub request: &'a Request,
    /// To be left free on each device; the last counts for all that follow. Empty means none.
    pub margin: &'a [Bytes],
    pub granularity: Granularity,
    /// Blocks whose experts are on each device, where that is fixed.
    pub layers: &'a [Option<u32>],
}

/// The blocks of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slice {
    pub device: String,
    pub first: u32,
    /// With the output, on the device that has it.
    pub count: u32,
    /// First block whose experts are here, too, and how many there are.
    pub resident_first: u32,
    pub resident: u32,
    /// One more block with some of its experts' tensors here: its number, and what stayed (`up`, `down`).
    pub partial: Option<(u32, Vec<String>)>,
}

/// A placement and what it amounts to.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The task's request, completed: what llama-server is to be started with.
    pub request: Request,
    /// Blocks per device, the output counted as one.
    pub tensor_split: Vec<u32>,
    /// Ours, behind the user's own.
    pub rules: Vec<Rule>,
    pub slices: Vec<Slice>,
    pub estimate: Estimate,
    pub fits: bool,
    pub prediction: Prediction,
    /// What a token sends to other machines.
    pub crossings: Vec<Crossing>,
    /// Bytes of routed experts, on the devices and in all.
    pub experts_placed: Bytes,
    pub experts: Bytes,
    /// What could not move, and why.
    pub notes: Vec<String>,
    /// How often the memory was estimated in full.
    pub estimates: u32,
}

/// Finds the placement with the least predicted time per token that leaves the margins free. Where devices of other
/// machines are among the GPUs, the notes say what this machine would do alone.
pub fn place(task: &Task<'_>) -> Result<Placement, EstimateError> {
    if task.used().iter().any(|at| task.gpus.get(*at).is_some_and(|gpu| gpu.remote.is_some())) {
        cluster::settle(task)
    } else {
        judge::settle(task, judge::Way::default())
    }
}

impl Task<'_> {
    /// What counts beside bytes: of the machine, else of the build.
    fn costs(&self) -> Speed {
        self.system.costs(self.request.profile.as_deref())
    }

    /// Indices of the GPUs in use, in the order in which llama.cpp fills them.
    fn used(&self) -> Vec<usize> {
        devices::used(self.gpus, &Request { split_mode: SplitMode::Layer, ..self.request.clone() })
    }

    /// What the buffers of those are called.
    fn buffers(&self) -> Vec<String> {
        let names = devices::buffers(self.gpus);
        self.used().into_iter().filter_map(|at| names.get(at).cloned()).collect()
    }

    /// To be left free on a device.
    pub fn margin(&self, device: usize) -> Bytes {
        self.margin.get(device).or(self.margin.last()).copied().unwrap_or(Bytes::ZERO)
    }
}
