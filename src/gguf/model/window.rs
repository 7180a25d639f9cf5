//! Which layers attend only to the last few tokens. The rules are those of llama.cpp's `load_arch_hparams`.

use serde::Serialize;

use super::Model;
use crate::gguf::{Finding, Value};

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

/// Where the window's size comes from.
enum Size {
    /// The metadata; without the key there is no window.
    Key,
    /// The metadata, else this.
    KeyOr(u64),
    /// This, whatever the metadata say, unless they say 0.
    Fixed(u64),
    /// This, if the metadata have a window at all.
    FixedIfKey(u64),
}

/// Which layers attend to everything.
enum Dense {
    /// The last of every so many, or what the metadata say.
    Last(u64),
    /// The first of every so many, or what the metadata say.
    First(u64),
    /// A list in the metadata says which slide.
    Listed,
    /// None: every layer slides.
    Never,
}

fn rule(architecture: &str, trunk: u32) -> Option<(WindowKind, Size, Dense)> {
    use Dense::{First, Last, Listed, Never};
    use Size::{Fixed, FixedIfKey, Key, KeyOr};
    use WindowKind::{Chunked, Standard, Symmetric};
    Some(match architecture {
        "gpt-oss" => (Standard, Key, Last(2)),
        "gemma2" => (Standard, KeyOr(4096), Last(2)),
        "gemma3" => (Standard, Key, Last(6)),
        "gemma3n" => (Standard, Key, Last(5)),
        "gemma-embedding" => (Symmetric, Key, Last(6)),
        "modern-bert" => (Symmetric, Key, Last(3)),
        "llama4" => (Chunked, Fixed(8192), Last(4)),
        "cohere2" | "olmo2" | "afmoe" | "mellum" | "muse-glimmer" => (Standard, Key, Last(4)),
        "cohere2moe" | "laguna" => (Standard, Key, First(4)),
        "smallthinker" => (Standard, FixedIfKey(4096), First(4)),
        "exaone4" if trunk == 64 => (Standard, KeyOr(4096), Last(4)),
        "exaone-moe" => (Standard, KeyOr(128), Last(4)),
        "plamo3" => (Standard, Key, Last(8)),
        "gemma4" | "mimo2" | "step35" | "spark2_5" | "maple" | "granite_swa" => {
            (Standard, Key, Listed)
        }
        "deepseek4" => (Standard, Key, Never),
        _ => return None,
    })
}

pub(super) fn of(model: &mut Model) -> Option<Window> {
    let (kind, size, dense) = rule(&model.architecture, model.trunk())?;
    let key = model.arch_u64("attention.sliding_window");
    let size = match size {
        Size::Key => key,
        Size::KeyOr(size) => key.or(Some(size)),
        Size::Fixed(size) => key.or(Some(size)).filter(|key| *key > 0).map(|_| size),
        Size::FixedIfKey(size) => key.filter(|key| *key > 0).map(|_| size),
    };
    let size = size.filter(|size| *size > 0)?;

    let name = format!("{}.attention.sliding_window_pattern", model.architecture);
    let pattern = model.metadata.get(&name);
    let list = pattern.and_then(Value::as_array);
    let said = pattern.and_then(Value::as_u64);
    if matches!(dense, Dense::Listed) && list.is_none() && said.is_none() {
        model.findings.push(Finding::MissingKey { key: name });
    }
    // As `llama_hparams::set_swa_pattern`.
    let slides = |index: u32| match (&list, &dense) {
        (Some(list), _) => {
            usize::try_from(index).ok().and_then(|index| list.get(index)).is_some_and(|on| *on != 0)
        }
        (None, Dense::Last(period)) => match said.unwrap_or(*period) {
            0 => true,
            period => u64::from(index) % period < period - 1,
        },
        (None, Dense::First(period)) => match said.unwrap_or(*period) {
            0 => true,
            period => !u64::from(index).is_multiple_of(period),
        },
        (None, Dense::Listed) => said.is_some_and(|all| all != 0),
        (None, Dense::Never) => true,
    };
    let trunk = model.trunk();
    let layers = (0..model.block_count).map(|index| index < trunk && slides(index)).collect();
    Some(Window { size, kind, layers })
}
