//! What CUDA asks of an image: the toolkit's version, the architectures that are compiled, and the pairs
//! of K and V types that get a flash-attention kernel. Rules: NVIDIA's compatibility guide and
//! llama.cpp's `ggml/src/ggml-cuda/CMakeLists.txt` and `ggml/cmake/common.cmake` (b11434).

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::hardware::ComputeCapability;

/// The CUDA part of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cuda {
    pub version: CudaVersion,
    /// Sorted and unique; see [`Architecture::of`].
    pub architectures: Vec<Architecture>,
    /// Pairs beside f16-f16, which is always compiled.
    pub fa_quants: Vec<FaPair>,
    /// Whether libnccl is linked and shipped; only `split_mode = "tensor"` uses it.
    pub nccl: bool,
}

impl Cuda {
    /// The value of `GGML_CUDA_FA_QUANTS`.
    pub fn fa_quants(&self) -> String {
        let mut pairs = vec![FaPair { k: "f16".into(), v: "f16".into() }];
        pairs.extend(self.fa_quants.iter().cloned());
        pairs.sort();
        pairs.dedup();
        join(&pairs)
    }

    /// The value of `CMAKE_CUDA_ARCHITECTURES`.
    pub fn architectures(&self) -> String {
        join(&self.architectures)
    }

    /// The lowest CUDA version that the host's driver must support, major and minor. Within a major version
    /// any driver of that version runs our code, which holds no PTX; but a driver must know the GPU, and
    /// compute capability 12 came with CUDA 12.8.
    pub fn driver_cuda(&self) -> (u16, u16) {
        let CudaVersion { major, .. } = self.version;
        let blackwell = self.architectures.iter().any(|arch| arch.0.major >= 12);
        if major == 12 && blackwell { (12, 8) } else { (major, 0) }
    }
}

fn join<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(";")
}

/// The toolkit's version as the image tags write it: `12.8.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

impl FromStr for CudaVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no CUDA version; write it like \"12.8.1\"");
        let number = |s: &str| match s {
            "0" => Ok(0),
            s if s.starts_with(['0', '+']) => Err(wrong()),
            s => s.parse().map_err(|_| wrong()),
        };
        match *text.split('.').collect::<Vec<_>>() {
            [major, minor, patch] => {
                Ok(Self { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Serialize for CudaVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One entry of `CMAKE_CUDA_ARCHITECTURES`: machine code for exactly one chip generation, no PTX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Architecture(pub ComputeCapability);

impl Architecture {
    /// The architectures of a machine's GPUs, sorted, each once.
    pub fn of(gpus: impl IntoIterator<Item = ComputeCapability>) -> Vec<Self> {
        let mut list: Vec<_> = gpus.into_iter().map(Self).collect();
        list.sort_unstable();
        list.dedup();
        list
    }
}

/// From Blackwell's 12.x on the FP4 instructions need the architecture-specific `a`.
impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ComputeCapability { major, minor } = self.0;
        let specific = if major == 12 { "a" } else { "" };
        write!(f, "{major}{minor}{specific}-real")
    }
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A pair of K and V cache types, written `q8_0-q8_0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaPair {
    k: String,
    v: String,
}

impl FaPair {
    /// The types that llama.cpp has kernels for.
    pub const TYPES: [&str; 7] = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "bf16", "f16"];

    /// # Errors
    /// Where one of the types has no flash-attention kernel.
    pub fn new(k: &str, v: &str) -> Result<Self, String> {
        for name in [k, v] {
            if !Self::TYPES.contains(&name) {
                let known = Self::TYPES.join(", ");
                return Err(format!("`{name}` has no flash-attention kernel; known are {known}"));
            }
        }
        Ok(Self { k: k.into(), v: v.into() })
    }
}

impl FromStr for FaPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (k, v) = text
            .split_once('-')
            .ok_or_else(|| format!("`{text}` is no pair; write it like \"q8_0-q8_0\""))?;
        Self::new(k, v)
    }
}

impl fmt::Display for FaPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.k, self.v)
    }
}

impl Serialize for FaPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The oldest branch of NVIDIA's driver that runs a CUDA of this major version; Blackwell came with a newer one.
pub const fn oldest_driver(cuda_major: u32, blackwell: bool) -> u32 {
    match cuda_major {
        0..=11 => 450,
        12 if blackwell => 570,
        12 => 525,
        _ => 580,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuda(version: &str, gpus: &[&str]) -> Cuda {
        Cuda {
            version: version.parse().unwrap(),
            architectures: Architecture::of(gpus.iter().map(|gpu| gpu.parse().unwrap())),
            fa_quants: Vec::new(),
            nccl: false,
        }
    }

    #[test]
    fn architectures_are_sorted_unique_and_specific() {
        let list = |gpus: &[&str]| cuda("12.8.1", gpus).architectures();
        assert_eq!(list(&["12.0", "8.9", "8.9"]), "89-real;120a-real");
        assert_eq!(list(&["12.1", "9.0", "8.6", "10.0"]), "86-real;90-real;100-real;121a-real");
    }

    #[test]
    fn pairs_always_hold_f16() {
        let mut image = cuda("12.8.1", &["8.9"]);
        assert_eq!(image.fa_quants(), "f16-f16");
        image.fa_quants =
            ["q8_0-q8_0", "q4_0-q4_0", "f16-f16", "q8_0-q8_0"].map(|p| p.parse().unwrap()).into();
        assert_eq!(image.fa_quants(), "f16-f16;q4_0-q4_0;q8_0-q8_0");
        for bad in ["q8_0", "q8_0-", "iq4_nl-iq4_nl", "q8_0-q8_0-x"] {
            assert!(bad.parse::<FaPair>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_driver_must_know_the_gpu() {
        assert_eq!(cuda("12.8.1", &["8.9"]).driver_cuda(), (12, 0));
        assert_eq!(cuda("12.9.1", &["8.9", "12.0"]).driver_cuda(), (12, 8));
        assert_eq!(cuda("13.0.2", &["8.9", "12.0"]).driver_cuda(), (13, 0));
    }

    #[test]
    fn versions_have_three_numbers() {
        assert_eq!("12.8.1".parse::<CudaVersion>().unwrap().to_string(), "12.8.1");
        for bad in ["12.8", "12", "12.08.1", "12.8.x", "12.8.1-devel", "", "12.+8.1"] {
            assert!(bad.parse::<CudaVersion>().is_err(), "{bad}");
        }
        assert!("13.0.0".parse::<CudaVersion>().unwrap() > "12.9.1".parse().unwrap());
    }
}
