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
    pub(in crate::command) margin: Vec<Bytes>,
    pub(super) granularity: Granularity,
}

impl Default for Own {
    /// Where there is no preset.
    fn default() -> Self {
        Self {
            request: Request { flash_attn: FlashAttention::On, ..Request::default() },
            margin: vec![Bytes::from_mib(MARGIN_MIB)],
            granularity: Granularity::default(),
        }
    }
}

impl Own {
    /// The strategy's flags without its own placement, and the preset's margin and granularity.
    pub(in crate::command) fn of(
        strategy: &Strategy,
        preset: &Preset,
    ) -> Result<Self, RequestError> {
        let margin = value(&preset.placement.margin).filter(|margin| !margin.is_empty());
        let mut request = Request::from_args(&strategy.args_without(&PLACES))?;
        request.profile.clone_from(&strategy.profile);
        Ok(Self {
            request,
            margin: margin.map_or_else(
                || vec![Bytes::from_mib(MARGIN_MIB)],
                |margin| margin.iter().map(|mib| Bytes::from_mib(u64::from(*mib))).collect(),
            ),
            granularity: match value(&preset.placement.granularity) {
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

    /// What a lock file keeps of it, with the machine.
    pub(in crate::command) fn words(&self, host: &Host) -> BTreeMap<String, String> {
        let Self { request, margin, granularity } = self;
        let (gpus, system) = (&host.gpus, System::of(host));
        Asked { gpus, system, request, margin, granularity: *granularity }.words()
    }
}
