//! The image to build, as pure data in its final form: what `templates/Dockerfile.plain` prints.
//! Knows llama.cpp's build and CUDA's version rules; knows no preset and no Dockerfile syntax.

mod cmake;
mod cuda;
mod source;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::hardware::Isa;

pub use cmake::Definition;
pub use cuda::{Architecture, Cuda, CudaVersion, FaPair, oldest_driver};
pub use source::{Commit, Reference, Repository, Source};

/// One image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImagePlan {
    pub backend: Backend,
    /// The image that compiles: a distribution with apt, for CUDA with the toolkit.
    pub build_base: ImageReference,
    /// The image that runs: the same distribution without a toolkit, so that glibc is not older than
    /// the one that was compiled against.
    pub runtime_base: ImageReference,
    pub source: Source,
    /// What llama-server reports as its build; absent: the number of commits up to the one that is built.
    pub build_number: Option<u32>,
    pub cpu: CpuKernels,
    /// The RPC backend and `ggml-rpc-server`.
    pub rpc: bool,
    /// HTTPS in llama-server, needed to load models from the network; costs OpenSSL in the image.
    pub tls: bool,
    /// Further CMake definitions; a name that we set as well is overridden.
    pub definitions: Vec<Definition>,
    /// Where llama-server listens inside of the container.
    pub port: u16,
    /// Seconds in which a failed health check does not count: the time to load the model.
    pub start_period: u32,
    /// The user and group that llama-server runs as.
    pub uid: u32,
    /// Keys and values, in the order in which they are printed.
    pub labels: Vec<(String, String)>,
}

/// The device code that is compiled beside the CPU kernels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive] // Vulkan and ROCm are arms to come: a base, a package list and a `-DGGML_*=ON` each.
pub enum Backend {
    Cpu,
    Cuda(Cuda),
}

/// Which CPUs the image runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuKernels {
    /// Every variant that llama.cpp knows; the best one is chosen at start.
    AllVariants,
    /// One level, and an error at start where the CPU lacks it.
    Isa(Isa),
}

impl ImagePlan {
    pub fn cuda(&self) -> Option<&Cuda> {
        match &self.backend {
            Backend::Cuda(cuda) => Some(cuda),
            Backend::Cpu => None,
        }
    }

    /// The CMake targets that are built: what runs and what measures, nothing else.
    pub fn targets(&self) -> Vec<&'static str> {
        let mut targets =
            vec!["llama-server", "llama-bench", "llama-fit-params", "llama-gguf-split"];
        if self.rpc {
            targets.push("ggml-rpc-server");
        }
        targets
    }

    /// All CMake definitions in the order in which they are printed.
    pub fn cmake(&self) -> Vec<Definition> {
        cmake::definitions(self)
    }

    /// Memory in MiB that one compile job is given, by the largest translation unit of the backend.
    pub const fn mib_per_job(&self) -> u32 {
        match self.backend {
            // The flash-attention templates: nvcc runs one cicc per architecture, one after the other.
            Backend::Cuda(_) => 2048,
            Backend::Cpu => 1024,
        }
    }
}

impl Backend {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
        }
    }

    /// The bases taken where the preset names none: build, then run time.
    pub fn default_bases(&self) -> (ImageReference, ImageReference) {
        let plain = || ImageReference("ubuntu:24.04".into());
        match self {
            Self::Cpu => (plain(), plain()),
            Self::Cuda(cuda) => {
                let devel = format!("nvidia/cuda:{}-devel-ubuntu24.04", cuda.version);
                (ImageReference(devel), plain())
            }
        }
    }
}

/// `[host[:port]/]path[:tag][@sha256:digest]`, as Docker's reference grammar has it. Plain by construction:
/// none of its characters means anything to a Dockerfile or a shell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ImageReference(String);

impl ImageReference {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the reference says which registry it is in, instead of meaning this machine's own image or Docker Hub's.
    pub fn has_registry(&self) -> bool {
        let first = self.0.split_once('/').map(|(first, _)| first);
        first.is_some_and(|host| host.contains(['.', ':']) || host == "localhost")
    }

    /// The registry, the name without tag and digest, and the tag.
    pub fn parts(&self) -> (Option<&str>, &str, &str) {
        let named = self.0.split_once('@').map_or(self.0.as_str(), |(named, _)| named);
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (named, "latest"),
        };
        let registry = name.split_once('/').map(|(host, _)| host).filter(|_| self.has_registry());
        (registry, name, tag)
    }

    /// Whether the reference names content instead of a tag that can move.
    pub fn is_pinned(&self) -> bool {
        self.0.contains("@sha256:") || self.is_id()
    }

    /// Whether it is an image's own id, `sha256:...`: each node has such an image already, or has none.
    pub fn is_id(&self) -> bool {
        self.0.strip_prefix("sha256:").is_some_and(is_digest)
    }
}

fn is_digest(hex: &str) -> bool {
    hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for ImageReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is no image reference: {why}"));
        if text.strip_prefix("sha256:").is_some_and(is_digest) {
            return Ok(Self(text.to_owned()));
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            if !is_digest(hex) {
                return wrong("a digest is `sha256:` and 64 hex digits in lower case");
            }
        }
        // A colon after the last slash starts the tag; before it, the port of a host.
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (named, None),
        };
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if let Some(tag) = tag
            && (tag.is_empty()
                || tag.len() > 128
                || tag.starts_with(['.', '-'])
                || !tag.bytes().all(word))
        {
            return wrong("a tag has up to 128 letters, digits, `.`, `_` and `-`");
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
                (Some(host), path)
            }
            _ => (None, name),
        };
        if host.is_some_and(|host| !host.bytes().all(|b| b == b':' || (b != b'_' && word(b)))) {
            return wrong("the part before the first `/` is no host");
        }
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| !b.is_ascii_uppercase() && word(b))
                && !part.starts_with(['.', '_', '-'])
                && !part.ends_with(['.', '_', '-'])
        };
        if !path.split('/').all(part) {
            return wrong(
                "a name has lower-case letters, digits, and `.`, `_`, `-` inside of its parts",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The image of the seed's machine: a 4090 and a 5070 Ti, branch master, nothing resolved.
    pub(crate) fn cuda_plan() -> ImagePlan {
        let cuda = Cuda {
            version: "12.8.1".parse().unwrap(),
            architectures: Architecture::of(["8.9".parse().unwrap(), "12.0".parse().unwrap()]),
            fa_quants: vec!["q8_0-q8_0".parse().unwrap()],
            nccl: false,
        };
        let backend = Backend::Cuda(cuda);
        let (build_base, runtime_base) = backend.default_bases();
        ImagePlan {
            backend,
            build_base,
            runtime_base,
            source: Source::upstream(),
            build_number: None,
            cpu: CpuKernels::Isa(Isa::V3),
            rpc: false,
            tls: false,
            definitions: Vec::new(),
            port: 8080,
            start_period: 900,
            uid: 10001,
            labels: vec![("org.opencontainers.image.title".into(), "llama.cpp server".into())],
        }
    }

    #[test]
    fn default_bases_follow_the_cuda_version() {
        let plan = cuda_plan();
        assert_eq!(plan.build_base.as_str(), "nvidia/cuda:12.8.1-devel-ubuntu24.04");
        assert_eq!(plan.runtime_base.as_str(), "ubuntu:24.04");
    }

    #[test]
    fn rpc_adds_its_server() {
        let plan = ImagePlan { rpc: true, ..cuda_plan() };
        assert_eq!(plan.targets().last(), Some(&"ggml-rpc-server"));
        assert_eq!(cuda_plan().targets().len(), 4);
    }

    #[test]
    fn a_reference_has_parts() {
        for (text, parts) in [
            ("a.example:5000/b/c:d", (Some("a.example:5000"), "a.example:5000/b/c", "d")),
            ("localhost/b", (Some("localhost"), "localhost/b", "latest")),
            ("composegen/cpu:1", (None, "composegen/cpu", "1")),
        ] {
            assert_eq!(text.parse::<ImageReference>().unwrap().parts(), parts);
        }
    }

    #[test]
    fn image_references_are_dockers() {
        let digest = format!("ubuntu:24.04@sha256:{}", "0a".repeat(32));
        for good in [
            "ubuntu",
            "ubuntu:24.04",
            "nvidia/cuda:12.8.1-devel-ubuntu24.04",
            "localhost/base:1",
            "mirror.example:5000/a/b_c:X",
            "127.0.0.1:5000/a",
            &digest,
        ] {
            assert_eq!(good.parse::<ImageReference>().unwrap().as_str(), good);
        }
        assert!(digest.parse::<ImageReference>().unwrap().is_pinned());
        let id = format!("sha256:{}", "0a".repeat(32)).parse::<ImageReference>().unwrap();
        assert!(id.is_id() && id.is_pinned() && !id.has_registry());
        for bad in [
            "",
            "Ubuntu",
            "a b",
            "a$b",
            "a:",
            "a:b:c",
            "a//b",
            "/a",
            "a/",
            "a@sha256:12",
            "a@",
            "-a",
            "a\nRUN x",
            "a:t\"",
            "a:${X}",
            "h_st:1/a",
        ] {
            assert!(bad.parse::<ImageReference>().is_err(), "{bad}");
        }
    }
}
