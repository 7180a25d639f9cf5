//! A variable of the environment that the entrypoint turns into arguments for llama-server.

use crate::flags;

/// One knob. Empty means unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Name of the variable: `CTX_SIZE`.
    pub env: String,
    pub kind: KnobKind,
}

/// What becomes of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnobKind {
    /// Follows the flag as one word.
    Value { flag: String },
    /// A word for yes or no chooses one of two flags, each of which may be absent.
    Switch { on: Option<String>, off: Option<String> },
    /// Many words in one string, `quote::shell::words`.
    Words,
    /// The GGUF, below `/models` unless it is absolute.
    Model,
}

impl Knob {
    /// The spellings that, among the arguments too, would add to what this knob says rather than take its place.
    /// Empty for most: of a flag given twice the last one wins.
    pub fn adding(&self) -> Vec<String> {
        let flag = match &self.kind {
            KnobKind::Value { flag } => Some(flag),
            KnobKind::Switch { on, off } => on.as_ref().or(off.as_ref()),
            KnobKind::Words | KnobKind::Model => None,
        };
        let Some(flag) = flag.and_then(|flag| flags::find(flag)).filter(|flag| flag.accumulates)
        else {
            return Vec::new();
        };
        let spellings = flag.spellings.iter().chain(&flag.negated).copied();
        spellings.flat_map(variants).collect()
    }
}

/// The parser of llama.cpp takes `_` for `-` in long options.
fn variants(spelling: &str) -> Vec<String> {
    let mut variants = vec![spelling.to_owned()];
    if let Some(name) = spelling.strip_prefix("--").filter(|name| name.contains('-')) {
        variants.push(format!("--{}", name.replace('-', "_")));
    }
    variants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flags_that_add_up_yield() {
        let value = |env: &str, flag: &str| Knob {
            env: env.to_owned(),
            kind: KnobKind::Value { flag: flag.to_owned() },
        };
        assert_eq!(
            value("OVERRIDE_TENSOR", "--override-tensor").adding(),
            ["--override-tensor", "--override_tensor", "-ot",]
        );
        assert!(value("CTX_SIZE", "--ctx-size").adding().is_empty());
        let on = Some("--cpu-moe".to_owned());
        let moe = Knob { env: "CPU_MOE".to_owned(), kind: KnobKind::Switch { on, off: None } };
        assert_eq!(moe.adding(), ["--cpu-moe", "--cpu_moe", "-cmoe"]);
    }
}
