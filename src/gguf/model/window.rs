//! Which layers attend only to the last few tokens. The rules are those of llama.cpp's `load_arch_hparams`.

use serde::Serialize;

use super::Model;

/// Sliding-window attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Tokens that a sliding layer sees.
    pub size: u64,
    pub kind: WindowKind,
    /// One per block: whether its attention slides.
    #[serde(skip)]
    pub layers: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// The last `size` tokens.
    Standard,
    /// The tokens of the same chunk of `size` (llama4).
    Chunked,
    /// Half of `size` to each side (encoders).
    Symmetric,
}

/// What an architecture does where the metadata are silent.
struct Rule {
    kind: WindowKind,
    /// Used when the key is absent; none: then there is no window.
    size: Option<u64>,
    /// Every `period`-th layer attends to everything; 0: a list in the metadata says which do.
    period: u64,
    /// Whether that is the first of each period instead of the last.
    dense_first: bool,
}

fn rule(architecture: &str, trunk: u32) -> Option<Rule> {
    use WindowKind::{Chunked, Standard, Symmetric};
    let of = |kind, size, period, dense_first| Some(Rule { kind, size, period, dense_first });
    match architecture {
        "gpt-oss" => of(Standard, None, 2, false),
        "gemma2" => of(Standard, Some(4096), 2, false),
        "gemma3" => of(Standard, None, 6, false),
        "gemma3n" => of(Standard, None, 5, false),
        "gemma-embedding" => of(Symmetric, None, 6, false),
        "modern-bert" => of(Symmetric, None, 3, true),
        "llama4" => of(Chunked, Some(8192), 4, false),
        "cohere2" | "olmo2" | "afmoe" => of(Standard, None, 4, false),
        "cohere2moe" | "smallthinker" | "laguna" => of(Standard, None, 4, true),
        "exaone4" if trunk == 64 => of(Standard, Some(4096), 4, false),
        "exaone-moe" => of(Standard, Some(128), 4, false),
        "plamo3" => of(Standard, None, 8, false),
        "gemma4" | "mimo2" | "step35" => of(Standard, None, 0, false),
        _ => None,
    }
}

pub(super) fn of(model: &Model) -> Option<Window> {
    let rule = rule(&model.architecture, model.trunk())?;
    let size = model.arch_u64("attention.sliding_window").or(rule.size).filter(|size| *size > 0)?;
    let pattern =
        model.metadata.get(&format!("{}.attention.sliding_window_pattern", model.architecture));
    let list = pattern.and_then(super::super::Value::as_array);
    let period = pattern.and_then(super::super::Value::as_u64).unwrap_or(rule.period);
    let slides = |index: u32| match &list {
        Some(list) => {
            usize::try_from(index).ok().and_then(|index| list.get(index)).is_some_and(|on| *on != 0)
        }
        // As `llama_hparams::set_swa_pattern`.
        None if period == 0 => true,
        None if rule.dense_first => !u64::from(index).is_multiple_of(period),
        None => u64::from(index) % period < period - 1,
    };
    let trunk = model.trunk();
    let layers = (0..model.block_count).map(|index| index < trunk && slides(index)).collect();
    Some(Window { size, kind: rule.kind, layers })
}
