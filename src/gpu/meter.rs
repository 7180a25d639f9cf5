//! How much of the GPUs' memory is in use at the moment, asked again and again.

use std::time::Duration;

use super::sighting::Sighting;
use super::smi;
use crate::units::Bytes;

/// Asks for the memory in use.
pub struct Meter {
    #[cfg(feature = "gpu")]
    nvml: Option<nvml_wrapper::Nvml>,
}

impl Meter {
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "gpu")]
            nvml: nvml_wrapper::Nvml::init().ok(),
        }
    }

    /// What is in use on each GPU, by UUID, whoever uses it. `None` where nobody can say.
    pub fn used(&self) -> Option<Vec<(String, Bytes)>> {
        #[cfg(feature = "gpu")]
        if let Some(nvml) = &self.nvml {
            return super::nvml::used(nvml);
        }
        // A process for each look.
        smi::ask().ok().map(|seen| seen.gpus.iter().filter_map(in_use).collect())
    }

    /// How long to wait between two looks: a look must cost nothing beside what is measured.
    pub const fn pace(&self) -> Duration {
        #[cfg(feature = "gpu")]
        if self.nvml.is_some() {
            return Duration::from_millis(100);
        }
        Duration::from_secs(2)
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

fn in_use(gpu: &Sighting) -> Option<(String, Bytes)> {
    Some((gpu.uuid.clone()?, gpu.memory?.saturating_sub(gpu.free?)))
}

#[cfg(test)]
mod tests {
    use super::in_use;
    use crate::gpu::smi;
    use crate::units::Bytes;

    #[test]
    fn in_use_is_what_is_not_free() {
        let text = "index, name, uuid, pci.bus_id, memory.total [MiB], memory.free [MiB], driver_version\n\
                    0, NVIDIA GeForce RTX 4090, GPU-1, 00000000:01:00.0, 24564 MiB, 4564 MiB, 580.95\n";
        let seen = smi::parse(text).unwrap();
        let used: Vec<_> = seen.gpus.iter().filter_map(in_use).collect();
        assert_eq!(used, [("GPU-1".to_owned(), Bytes::from_mib(20_000))]);
    }
}
