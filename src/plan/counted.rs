//! Placements by the number of layers on each card, all else held still: what tuning moves.
//!
//! A step of one layer has to mean the same each time, or nothing could be concluded from one try for the next. So the
//! share of each card in everything but the layers that are counted (`-ts`) is settled once.

mod spelling;

use crate::gguf::{Model, Role};
use crate::hardware::Gpu;
use crate::units::Bytes;

use super::memory::{Estimate, EstimateError, GpuLayers, Request, estimate, split};
use super::placement::{Flag, Granularity, Placement, Task, place};
use super::speed::System;

/// What a layer on a card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A whole block with its experts, counted from block 0 from card to card: `placement.layers` of a preset.
    Front,
    /// The routed experts of a block that the card computes, counted from its first: as `plan` places them.
    Own,
    /// A whole block of a model without routed experts; what is on no card, the CPU computes.
    Blocks,
}

/// All placements of one model on the same cards.
#[derive(Clone, Debug)]
pub struct Counted<'a> {
    model: &'a Model,
    gpus: &'a [Gpu],
    request: &'a Request,
    pub way: Way,
    /// The cards in use, by llama.cpp's names, in its order.
    pub devices: Vec<String>,
    /// Blocks that each card computes, the output counted as one; of no matter to [`Way::Blocks`].
    pub split: Vec<u32>,
}

impl<'a> Counted<'a> {
    /// `request` is everything but the placement. Its `-ts`, where it has one, stays; so does the one by free memory of
    /// [`Way::Front`], which is what a preset with `layers` means. `plan` chooses it for [`Way::Own`].
    pub fn new(
        model: &'a Model,
        gpus: &'a [Gpu],
        request: &'a Request,
        front: bool,
        margin: &[Bytes],
    ) -> Result<Self, EstimateError> {
        let routed = model.tensors.iter().any(|tensor| tensor.role == Role::RoutedExpert);
        let way = match (routed, front) {
            (true, true) => Way::Front,
            (true, false) => Way::Own,
            (false, _) => Way::Blocks,
        };
        let all = Request { gpu_layers: GpuLayers::All, ..request.clone() };
        let (used, mut counts): (Vec<usize>, Vec<u32>) =
            split(model, gpus, &all).into_iter().unzip();
        let given = request.tensor_split.iter().any(|share| *share != 0.0);
        if way == Way::Own && !given {
            let planned = planned(model, gpus, request, margin)?;
            // Where even an empty card has no room, any split does as well.
            if planned.tensor_split.iter().sum::<u32>() == model.block_count + 1 {
                counts = planned.tensor_split;
            }
        }
        let devices = used.iter().map(|gpu| format!("CUDA{gpu}")).collect();
        Ok(Self { model, gpus, request, way, devices, split: counts })
    }

    /// Blocks of the model, which is the most layers that all cards together can have.
    pub const fn blocks(&self) -> u32 {
        self.model.block_count
    }

    /// The most layers that each card can have.
    pub fn most(&self) -> Vec<u32> {
        match self.way {
            Way::Own => self.windows().into_iter().map(|own| count(own.len())).collect(),
            Way::Front | Way::Blocks => vec![self.blocks(); self.devices.len()],
        }
    }

    /// The blocks with routed experts that each card computes.
    fn windows(&self) -> Vec<Vec<u32>> {
        let mut next = 0;
        let window = |blocks: &u32| {
            let from = next;
            next += blocks;
            (from..next).filter(|block| self.experts(*block) > 0).collect()
        };
        self.split.iter().map(window).collect()
    }

    /// Bytes of a block's routed experts.
    fn experts(&self, block: u32) -> u64 {
        let routed = |role: Role| role == Role::RoutedExpert;
        self.sum(block, &routed)
    }

    fn sum(&self, block: u32, wanted: &dyn Fn(Role) -> bool) -> u64 {
        let tensors = self.model.tensors.iter().filter(|tensor| tensor.layer == Some(block));
        tensors.filter(|tensor| wanted(tensor.role)).map(|tensor| tensor.bytes.0).sum()
    }

    /// The least by which a card fills up with one layer more, in MiB.
    pub fn layer_mib(&self) -> u64 {
        let all = |block| match self.way {
            Way::Front | Way::Own => self.experts(block),
            Way::Blocks => self.sum(block, &|_| true),
        };
        let least = (0..self.blocks()).map(all).filter(|bytes| *bytes > 0).min();
        (least.unwrap_or(0) >> 20).max(1)
    }

    /// The flags that carry the placement, with their words.
    pub fn flags(&self, layers: &[u32]) -> Vec<(Flag, String)> {
        spelling::flags(self, layers)
    }

    /// What llama-server is asked for with so many layers at a context.
    pub fn request(&self, layers: &[u32], ctx_size: u64) -> Request {
        let mut request = Request { ctx_size, ..self.request.clone() };
        let words: Vec<String> = self
            .flags(layers)
            .into_iter()
            .flat_map(|(flag, word)| [flag.long().to_owned(), word])
            .collect();
        // They are our own, and llama-server's.
        if let Ok(placed) = Request::from_args(&words) {
            request.gpu_layers = placed.gpu_layers;
            request.tensor_split = placed.tensor_split;
            request.overrides.extend(placed.overrides);
        }
        request
    }

    /// What the devices will hold.
    pub fn estimate(&self, layers: &[u32], ctx_size: u64) -> Result<Estimate, EstimateError> {
        estimate(self.model, self.gpus, &self.request(layers, ctx_size))
    }

    /// Whether the margins stay free, by the estimate.
    pub fn fits(
        &self,
        layers: &[u32],
        ctx_size: u64,
        margin: &[Bytes],
    ) -> Result<bool, EstimateError> {
        let estimate = self.estimate(layers, ctx_size)?;
        let kept = |card: usize| margin.get(card).or(margin.last()).copied().unwrap_or_default();
        let mut devices = estimate.devices.iter().enumerate();
        Ok(devices.all(|(card, device)| device.total() + kept(card) <= device.free))
    }

    /// The most layers that leave the margins free: as many as go on the first card, then on the next. `None` where
    /// there is no room even without any.
    pub fn fullest(
        &self,
        ctx_size: u64,
        margin: &[Bytes],
    ) -> Result<Option<Vec<u32>>, EstimateError> {
        let mut layers = vec![0; self.devices.len()];
        if !self.fits(&layers, ctx_size, margin)? {
            return Ok(None);
        }
        for (card, most) in self.most().into_iter().enumerate() {
            let others: u32 = layers.iter().sum();
            // What is known to fit, and what is known not to.
            let (mut low, mut high) = (0, most.min(self.blocks().saturating_sub(others)) + 1);
            while low + 1 < high {
                let middle = low.midpoint(high);
                let mut trial = layers.clone();
                if let Some(slot) = trial.get_mut(card) {
                    *slot = middle;
                }
                if self.fits(&trial, ctx_size, margin)? {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            if let Some(slot) = layers.get_mut(card) {
                *slot = low;
            }
        }
        Ok(Some(layers))
    }
}

fn planned(
    model: &Model,
    gpus: &[Gpu],
    request: &Request,
    margin: &[Bytes],
) -> Result<Placement, EstimateError> {
    place(&Task {
        model,
        gpus,
        system: System::default(),
        ram: None,
        request,
        margin,
        granularity: Granularity::Layer,
        layers: &[],
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
