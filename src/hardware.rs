//! A machine as the planner sees it: GPUs in device order, CPU, memory, driver.

pub mod known;
pub mod parse;
pub mod schema;
pub mod speed;
pub mod text;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::table::choice;
use crate::units::Bytes;
pub use known::known;
pub use speed::Speed;

/// One machine, every value settled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    pub name: String,
    /// In device order: the first is `CUDA0`.
    pub gpus: Vec<Gpu>,
    pub cpu: Cpu,
    pub ram: Ram,
    /// The NVIDIA driver's version, where known.
    pub driver: Option<String>,
    /// What was fitted to runs of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

impl Host {
    /// The machine as one sees it who has these of its GPUs alone, in this order; `None` where it lacks one of them.
    pub fn with(&self, gpus: &[u32]) -> Option<Self> {
        let at = |i: &u32| self.gpus.get(usize::try_from(*i).ok()?).cloned();
        let gpus = gpus.iter().map(at).collect::<Option<Vec<_>>>()?;
        Some(Self { gpus, ..self.clone() })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gpu {
    pub name: String,
    /// What the driver reports as total.
    pub memory: Bytes,
    /// What llama.cpp finds free before it loads anything.
    pub free: Bytes,
    pub compute_capability: ComputeCapability,
    /// Memory bandwidth in GB/s (10^9 bytes).
    pub bandwidth_gbs: Option<f64>,
    /// PCI bus id, `0000:01:00.0`.
    pub pci: Option<String>,
    /// `GPU-` and the UUID that `nvidia-smi -L` prints.
    pub uuid: Option<String>,
    /// How llama-server reaches it, where it is another machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
}

/// A device that llama.cpp's RPC backend brings in from another machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Remote {
    /// What the cluster calls the machine.
    pub host: String,
    /// `host:port`, as `--rpc` has it.
    pub endpoint: String,
    /// The device's number among those of its worker.
    pub index: u32,
    /// The worker's processor, which is what it offers where it has no GPU.
    pub cpu: bool,
    pub link: Link,
}

/// What lies between two machines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Link {
    /// 10^9 bits per second, in each direction.
    pub gbit: f64,
    /// Round-trip time in milliseconds.
    pub rtt_ms: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    pub name: Option<String>,
    /// Physical cores.
    pub cores: Option<u32>,
    pub threads: Option<u32>,
    /// The instruction set to compile for; absent where it is not known.
    pub isa: Option<Isa>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ram {
    pub total: Option<Bytes>,
    /// In GB/s (10^9 bytes).
    pub bandwidth_gbs: Option<f64>,
}

choice! {
    /// The x86-64 level that the CPU kernels are compiled for (the psABI's names).
    pub enum Isa {
        /// SSE4.2.
        V2 = "x86-64-v2",
        /// AVX2, FMA, F16C, BMI2: Haswell to Zen 3.
        V3 = "x86-64-v3",
        /// AVX-512 F, BW, CD, DQ, VL: Skylake-X, Zen 4 and later.
        V4 = "x86-64-v4",
    }
}

/// CUDA compute capability, written `8.9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComputeCapability {
    pub major: u8,
    pub minor: u8,
}

/// A card's name without its maker's, as people say it and as another program may print it.
pub fn short_name(name: &str) -> String {
    name.replace("NVIDIA ", "").replace("GeForce ", "")
}

impl FromStr for ComputeCapability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no compute capability; write it like \"8.9\"");
        let (major, minor) = text.split_once('.').ok_or_else(wrong)?;
        let digits = |s: &str| s.parse::<u8>().map_err(|_| wrong());
        let (major, minor) = (digits(major)?, digits(minor)?);
        if minor > 9 { Err(wrong()) } else { Ok(Self { major, minor }) }
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for ComputeCapability {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::ComputeCapability;

    #[test]
    fn compute_capability_reads_what_it_prints() {
        for text in ["8.9", "12.0", "7.5"] {
            assert_eq!(text.parse::<ComputeCapability>().unwrap().to_string(), text);
        }
        for wrong in ["89", "8.10", "a.b", "", "8."] {
            assert!(wrong.parse::<ComputeCapability>().is_err(), "{wrong}");
        }
    }
}
