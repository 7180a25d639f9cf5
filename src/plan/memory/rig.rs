//! The devices that a graph is scheduled on: what each can run, and how its buffers are laid out.

use super::cuda;
use super::graph::{Graph, Id, Place};
use crate::hardware::{ComputeCapability, Gpu};

/// How the scheduler was set up.
#[derive(Clone, Debug)]
pub(super) struct Rig {
    /// In device order.
    pub(super) units: Vec<Unit>,
    /// Whether large batches of host-resident weights go to a GPU (`--op-offload`).
    pub(super) op_offload: bool,
    /// How many batches are in flight: four with pipeline parallelism, else one.
    pub(super) copies: usize,
}

/// A device beside the host: a GPU of this machine, or what a worker brings in from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Absent where a worker offers its processor.
    pub(super) capability: Option<ComputeCapability>,
    /// Its backend says yes to every operation and takes none over from the host (ggml-rpc.cpp, b11434).
    pub(super) remote: bool,
}

impl Unit {
    pub(super) const fn of(gpu: &Gpu) -> Self {
        match &gpu.remote {
            None => Self { capability: Some(gpu.compute_capability), remote: false },
            Some(remote) if remote.cpu => Self { capability: None, remote: true },
            Some(_) => Self { capability: Some(gpu.compute_capability), remote: true },
        }
    }
}

const CUDA_ALIGNMENT: u64 = 128;
const HOST_ALIGNMENT: u64 = 32;

impl Rig {
    pub(super) fn host(&self) -> Place {
        Place(u8::try_from(self.units.len()).unwrap_or(u8::MAX))
    }

    pub(super) fn gpus(&self) -> impl Iterator<Item = (Place, Unit)> + '_ {
        (0u8..).map(Place).zip(self.units.iter().copied())
    }

    fn unit(&self, place: Place) -> Option<Unit> {
        self.units.get(usize::from(place.0)).copied()
    }

    fn capability(&self, place: Place) -> Option<ComputeCapability> {
        self.unit(place)?.capability
    }

    pub(super) fn is_remote(&self, place: Place) -> bool {
        self.unit(place).is_some_and(|unit| unit.remote)
    }

    /// Whether memory there is CUDA's, with its padding and alignment, and not a processor's.
    pub(super) fn is_cuda(&self, place: Place) -> bool {
        self.capability(place).is_some()
    }

    pub(super) fn alignment(&self, place: Place) -> u64 {
        if self.is_cuda(place) { CUDA_ALIGNMENT } else { HOST_ALIGNMENT }
    }

    pub(super) fn supports(&self, graph: &Graph, id: Id, place: Place) -> bool {
        match self.unit(place) {
            Some(Unit { capability: Some(capability), remote: false }) => {
                cuda::supports(graph, id, place, capability)
            }
            _ => true,
        }
    }

    pub(super) fn bytes(&self, graph: &Graph, id: Id, place: Place) -> u64 {
        match self.capability(place) {
            Some(capability) => cuda::bytes(graph, id, capability),
            None => graph[id].bytes(),
        }
    }
}
