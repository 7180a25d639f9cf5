//! One rule of `-ot`, and the rules that shorter flags stand for.

/// One rule of `-ot`: the first whose pattern is found in a tensor's name decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// A regular expression, searched anywhere in the name.
    pub pattern: String,
    /// `CPU`, `CUDA0`, ...
    pub target: String,
}

impl Override {
    /// The rule that `--cpu-moe` stands for.
    pub fn cpu_moe() -> Self {
        Self { pattern: EXPERTS.to_owned(), target: "CPU".to_owned() }
    }

    /// The rules that `--n-cpu-moe` stands for: the first `count` blocks.
    pub fn n_cpu_moe(count: u32) -> impl Iterator<Item = Self> {
        (0..count.min(MOST_BLOCKS))
            .map(|i| Self { pattern: format!("blk\\.{i}{EXPERTS}"), target: "CPU".to_owned() })
    }

    /// The rules that `--n-cpu-ffn` stands for: the dense feed-forward of the first `count` blocks.
    pub fn n_cpu_ffn(count: u32) -> impl Iterator<Item = Self> {
        (0..count.min(MOST_BLOCKS)).map(|i| Self {
            pattern: format!(r"blk\.{i}\.ffn_(up|down|gate)\."),
            target: "CPU".to_owned(),
        })
    }
}

/// llama.cpp reads no model with more.
const MOST_BLOCKS: u32 = 512;

const EXPERTS: &str = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps";
