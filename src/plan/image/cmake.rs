//! The image plan as CMake definitions for llama.cpp (options of b11434). Every option whose default
//! looks at the build machine or reaches for the network is set, so that the same plan compiles the same code.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Backend, CpuKernels, ImagePlan};
use crate::hardware::Isa;

/// `NAME=VALUE`, passed to CMake as one word after `-D`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    pub value: String,
}

impl Definition {
    fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl FromStr for Definition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` is no CMake definition; write it like \"NAME=VALUE\"")
        })?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.chars().all(plain)
        {
            return Err(format!("`{name}` is no name of a CMake variable"));
        }
        if value.chars().any(char::is_control) {
            return Err(format!("the value of `{name}` holds a control character"));
        }
        Ok(Self::new(name, value))
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl Serialize for Definition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn definitions(plan: &ImagePlan) -> Vec<Definition> {
    let mut list = Vec::new();
    let mut set = |name: &str, value: &str| list.push(Definition::new(name, value));
    set("CMAKE_BUILD_TYPE", "Release");
    // Libraries are found beside the program, from whichever directory it is started.
    set("CMAKE_BUILD_WITH_INSTALL_RPATH", "ON");
    set("CMAKE_INSTALL_RPATH", "$ORIGIN");
    set("LLAMA_BUILD_TESTS", "OFF");
    set("LLAMA_BUILD_EXAMPLES", "OFF");
    set("LLAMA_BUILD_APP", "OFF");
    // The prebuilt web interface is a download at build time.
    set("LLAMA_BUILD_UI", "OFF");
    set("LLAMA_USE_PREBUILT_UI", "OFF");
    set("LLAMA_OPENSSL", on(plan.tls));
    set("GGML_CCACHE", "ON");
    // Kernels in libraries of their own: a missing driver or CPU feature is a message, not a crash.
    set("GGML_BACKEND_DL", "ON");
    set("GGML_NATIVE", "OFF");
    match plan.cpu {
        CpuKernels::AllVariants => set("GGML_CPU_ALL_VARIANTS", "ON"),
        CpuKernels::Isa(isa) => {
            set("GGML_CPU_ALL_VARIANTS", "OFF");
            for (name, level) in FEATURES {
                set(name, on(level <= rank(isa)));
            }
        }
    }
    set("GGML_RPC", on(plan.rpc));
    match &plan.backend {
        Backend::Cpu => set("GGML_CUDA", "OFF"),
        Backend::Cuda(cuda) => {
            set("GGML_CUDA", "ON");
            set("GGML_CUDA_NCCL", on(cuda.nccl));
            set("GGML_CUDA_FA_QUANTS", &cuda.fa_quants());
            set("CMAKE_CUDA_ARCHITECTURES", &cuda.architectures());
            // The driver library is not there while building.
            set("CMAKE_EXE_LINKER_FLAGS", "-Wl,--allow-shlib-undefined");
        }
    }
    for extra in &plan.definitions {
        list.retain(|own: &Definition| own.name != extra.name);
        list.push(extra.clone());
    }
    list
}

/// llama.cpp's switches and the psABI level (2, 3, 4) that has the feature.
const FEATURES: [(&str, u8); 7] = [
    ("GGML_SSE42", 2),
    ("GGML_AVX", 3),
    ("GGML_AVX2", 3),
    ("GGML_BMI2", 3),
    ("GGML_FMA", 3),
    ("GGML_F16C", 3),
    ("GGML_AVX512", 4),
];

const fn rank(isa: Isa) -> u8 {
    match isa {
        Isa::V2 => 2,
        Isa::V3 => 3,
        Isa::V4 => 4,
    }
}

const fn on(yes: bool) -> &'static str {
    if yes { "ON" } else { "OFF" }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cuda_plan;
    use super::*;

    fn value(plan: &ImagePlan, name: &str) -> Option<String> {
        let mut found = plan.cmake().into_iter().filter(|d| d.name == name);
        let first = found.next().map(|d| d.value);
        assert_eq!(found.next(), None, "{name} is defined twice");
        first
    }

    #[test]
    fn each_level_switches_what_it_has() {
        for (isa, avx2, avx512) in
            [(Isa::V2, "OFF", "OFF"), (Isa::V3, "ON", "OFF"), (Isa::V4, "ON", "ON")]
        {
            let plan = ImagePlan { cpu: CpuKernels::Isa(isa), ..cuda_plan() };
            assert_eq!(value(&plan, "GGML_SSE42").as_deref(), Some("ON"));
            assert_eq!(value(&plan, "GGML_AVX2").as_deref(), Some(avx2));
            assert_eq!(value(&plan, "GGML_AVX512").as_deref(), Some(avx512));
            assert_eq!(value(&plan, "GGML_NATIVE").as_deref(), Some("OFF"));
        }
        let plan = ImagePlan { cpu: CpuKernels::AllVariants, ..cuda_plan() };
        assert_eq!(value(&plan, "GGML_AVX2"), None);
        assert_eq!(value(&plan, "GGML_CPU_ALL_VARIANTS").as_deref(), Some("ON"));
    }

    #[test]
    fn cuda_options_come_with_cuda_alone() {
        let plan = cuda_plan();
        assert_eq!(value(&plan, "CMAKE_CUDA_ARCHITECTURES").as_deref(), Some("89-real;120a-real"));
        assert_eq!(value(&plan, "GGML_CUDA_FA_QUANTS").as_deref(), Some("f16-f16;q8_0-q8_0"));
        let plan = ImagePlan { backend: Backend::Cpu, ..plan };
        assert_eq!(value(&plan, "GGML_CUDA").as_deref(), Some("OFF"));
        assert_eq!(value(&plan, "CMAKE_CUDA_ARCHITECTURES"), None);
    }

    #[test]
    fn own_definitions_win() {
        let definitions = vec!["GGML_RPC=ON".parse().unwrap(), "X=a b".parse().unwrap()];
        let plan = ImagePlan { definitions, ..cuda_plan() };
        assert_eq!(value(&plan, "GGML_RPC").as_deref(), Some("ON"));
        assert_eq!(plan.cmake().last().unwrap().to_string(), "X=a b");
        for bad in ["", "X", "=1", "1X=1", "A-B=1", "A=\n"] {
            assert!(bad.parse::<Definition>().is_err(), "{bad}");
        }
    }
}
