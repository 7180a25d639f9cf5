//! What a preset says about its own planning.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hardware::Host;
use crate::plan::memory::{FlashAttention, Request, RequestError};
use crate::plan::placement::{Asked, Granularity};
use crate::plan::speed::System;
use crate::preset::{Preset, placement, value};
use crate::profile::Profile;
use crate::strategy::Strategy;
use crate::units::Bytes;

/// MiB that survive CUDA's own allocations.
const MARGIN_MIB: u64 = 1024;

/// Flags that say where weights go, which is what planning finds out.
pub(in crate::command) const PLACES: [&str; 8] = [
    "--override-tensor",
    "--n-gpu-layers",
    "--tensor-split",
    "--main-gpu",
    "--cpu-moe",
    "--n-cpu-moe",
    "--n-cpu-ffn",
    "--fit",
];

#[derive(Clone, Debug)]
pub(in crate::command) struct Own {
    pub(super) request: Request,
    pub(super) margin: Vec<Bytes>,
    /// For other programs, on top of the margin.
    pub(super) reserve: Vec<Bytes>,
    pub(super) granularity: Granularity,
    /// Layers with experts that a GPU is to have, whatever would be found.
    pub(super) layers: Vec<Option<u32>>,
}

impl Default for Own {
    /// Where there is no preset.
    fn default() -> Self {
        Self {
            request: Request { flash_attn: FlashAttention::On, ..Request::default() },
            margin: vec![Bytes::from_mib(MARGIN_MIB)],
            reserve: Vec::new(),
            granularity: Granularity::default(),
            layers: Vec::new(),
        }
    }
}

/// A size for each device: of those given the last counts for all behind.
pub(super) fn spread(sizes: &[Bytes], gpus: usize) -> Vec<Bytes> {
    let of = |device: usize| sizes.get(device).or(sizes.last()).copied().unwrap_or(Bytes::ZERO);
    (0..gpus).map(of).collect()
}

fn sizes(mib: &[u32]) -> Vec<Bytes> {
    mib.iter().map(|mib| Bytes::from_mib(u64::from(*mib))).collect()
}

impl Own {
    /// The strategy's flags without its own placement, and what the preset says to planning: margin, granularity, pins.
    pub(in crate::command) fn of(
        strategy: &Strategy,
        preset: &Preset,
    ) -> Result<Self, RequestError> {
        let said = &preset.placement;
        let margin = value(&said.margin).filter(|margin| !margin.is_empty());
        let mut words = strategy.args_without(&PLACES);
        for rule in value(&said.pinned_tensor).into_iter().flatten() {
            words.extend(["--override-tensor".to_owned(), rule.clone()]);
        }
        let mut request = Request::from_args(&words)?;
        request.profile.clone_from(&strategy.profile);
        let pins = value(&said.pinned_layers).into_iter().flatten();
        Ok(Self {
            request,
            margin: margin.map_or_else(|| vec![Bytes::from_mib(MARGIN_MIB)], |mib| sizes(mib)),
            reserve: value(&said.reserve).map(|mib| sizes(mib)).unwrap_or_default(),
            layers: pins.map(|pin| pin.count()).collect(),
            granularity: match value(&said.granularity) {
                Some(placement::Granularity::Layer) => Granularity::Layer,
                Some(placement::Granularity::Tensor) => Granularity::Tensor,
                None => Granularity::default(),
            },
        })
    }

    /// Counts with another build's buffers.
    pub(in crate::command) fn set_profile(&mut self, profile: Option<Arc<Profile>>) {
        self.request.profile = profile;
    }

    /// For each device, what is to be left free: the margin, and what is kept for other programs.
    pub(in crate::command) fn kept(&self, gpus: usize) -> Vec<Bytes> {
        let reserve = spread(&self.reserve, gpus);
        spread(&self.margin, gpus).into_iter().zip(reserve).map(|(a, b)| a + b).collect()
    }

    /// What a lock file keeps of it, with the machine.
    pub(in crate::command) fn words(&self, host: &Host) -> BTreeMap<String, String> {
        let Self { request, granularity, layers, .. } = self;
        let (gpus, system, margin) = (&host.gpus, System::of(host), &self.kept(host.gpus.len()));
        Asked { gpus, system, request, margin, granularity: *granularity, layers }.words()
    }
}
