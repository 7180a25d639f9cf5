//! The machine around the GPUs, as far as speed goes.

use super::CONSTANTS;
use crate::hardware::{Host, Speed};
use crate::profile::Profile;

/// What is known of memory, processor, and what runs of this machine have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct System {
    /// Bandwidth of system memory, GB/s.
    pub ram_gbs: Option<f64>,
    /// Physical cores.
    pub cores: Option<u32>,
    /// What was fitted to runs.
    pub speed: Option<Speed>,
}

impl System {
    pub fn of(host: &Host) -> Self {
        Self { ram_gbs: host.ram.bandwidth_gbs, cores: host.cpu.cores, speed: host.speed }
    }

    /// The same where fewer threads than cores compute.
    #[must_use]
    pub fn on(self, threads: Option<u32>) -> Self {
        let fewer = |cores: u32| threads.map_or(cores, |threads| threads.min(cores));
        Self { cores: self.cores.map(fewer).or(threads), ..self }
    }

    /// The costs that count: those fitted to the machine, else of the build whose profile is asked for, else the shipped
    /// ones.
    pub fn costs(&self, profile: Option<&Profile>) -> Speed {
        self.speed.or(profile.and_then(|profile| profile.speed)).unwrap_or(CONSTANTS.speed)
    }

    /// The cores, where fewer than memory could feed, so that their number decides what is fast.
    pub fn scarce_cores(&self, profile: Option<&Profile>) -> Option<u32> {
        let costs = self.costs(profile);
        let unlimited = Self { cores: None, ..*self };
        self.cores.filter(|_| self.rate(costs) < unlimited.rate(costs))
    }

    /// Bytes of weights per second that the processor works on: what memory delivers, or what its cores can take.
    pub(super) fn rate(&self, costs: Speed) -> f64 {
        let memory = self.memory() * costs.cpu_efficiency;
        // What was fitted has the cores in it.
        let cores = self.cores.filter(|_| self.speed.is_none());
        let cores =
            cores.map_or(f64::INFINITY, |cores| f64::from(cores) * CONSTANTS.core_gbs * 1e9);
        memory.min(cores)
    }

    /// What system memory is rated for, or a common figure.
    pub(super) fn memory(&self) -> f64 {
        self.ram_gbs.unwrap_or(CONSTANTS.ram_default_gbs) * 1e9
    }
}
