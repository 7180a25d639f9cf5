//! How the blocks of each architecture are put together, as far as it changes the graph.

use super::super::graph::Op;
use super::super::keys;
use super::feed_forward::Activation;
use crate::gguf::Model;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmbeddingScale {
    None,
    /// All rows by a constant.
    Constant,
    /// Each row by an input, so that given vectors stay as they are.
    Rows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QkNorm {
    None,
    /// Each head, before the rotation.
    Heads,
    /// Each head, after the rotation.
    HeadsLate,
    /// Whole rows, before they are cut into heads.
    Rows,
    /// Each head after the rotation, without weights (llama4).
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rope {
    All,
    None,
    /// Only blocks whose attention slides.
    Sliding,
    /// All but every n-th block.
    NotEvery(u64),
}

/// Where a block's attention comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mixer {
    Attention,
    /// Queries and keys through a low-rank latent (DeepSeek).
    Latent,
    /// Gated attention and gated delta nets (Qwen3-Next and Qwen3.5).
    Delta,
}

/// The expert that every token goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    Plain,
    /// Times the sigmoid of a gate.
    Sigmoid,
    /// Times silu(gate) / gate, which is the sigmoid again.
    SiluRatio,
}

/// Where the rows without wanted logits are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// In the last block, after attention.
    LastBlock,
    /// Before the output norm.
    Hidden,
    /// After the output norm.
    Normed,
}

/// The shape of an architecture's graph.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Recipe {
    pub(super) embedding: EmbeddingScale,
    pub(super) norm: Op,
    /// Norms before attention and before the feed-forward network.
    pub(super) attn_norm: Option<&'static str>,
    pub(super) ffn_norm: Option<&'static str>,
    /// Norms after them, before the residual is added.
    pub(super) attn_post_norm: Option<&'static str>,
    pub(super) ffn_post_norm: Option<&'static str>,
    pub(super) mixer: Mixer,
    pub(super) qk_norm: QkNorm,
    pub(super) rope: Rope,
    /// Whether the queries are scaled before attention.
    pub(super) scaled_queries: bool,
    /// Whether queries without rotation are multiplied by an input (llama4).
    pub(super) tempered: bool,
    pub(super) soft_cap: bool,
    pub(super) activation: Activation,
    pub(super) gating: u64,
    pub(super) normalized: Option<bool>,
    pub(super) weights_first: bool,
    pub(super) shared: Shared,
    pub(super) shared_first: bool,
    pub(super) rows: Rows,
    pub(super) residual_scaled: bool,
    /// Whether attention and feed-forward both start from the same input.
    pub(super) parallel: bool,
    pub(super) logits_scaled: bool,
    pub(super) logits_capped: bool,
}

const SOFTMAX: u64 = 1;
const SIGMOID: u64 = 2;
const SOFTMAX_OF_CHOSEN: u64 = 3;

const PLAIN: Recipe = Recipe {
    embedding: EmbeddingScale::None,
    norm: Op::RmsNorm,
    attn_norm: Some("attn_norm"),
    ffn_norm: Some("ffn_norm"),
    attn_post_norm: None,
    ffn_post_norm: None,
    mixer: Mixer::Attention,
    qk_norm: QkNorm::None,
    rope: Rope::All,
    scaled_queries: false,
    tempered: false,
    soft_cap: false,
    activation: Activation::Gated,
    gating: SOFTMAX,
    normalized: None,
    weights_first: false,
    shared: Shared::Plain,
    shared_first: false,
    rows: Rows::LastBlock,
    residual_scaled: false,
    parallel: false,
    logits_scaled: false,
    logits_capped: false,
};

impl Recipe {
    pub(in super::super) fn of(model: &Model) -> Self {
        let set = |key: &str| keys::is_set(model, key);
        match model.architecture.as_str() {
            "llama" => Self { normalized: Some(true), ..PLAIN },
            "qwen2moe" => {
                Self { shared: Shared::SiluRatio, normalized: Some(false), ..PLAIN }
            }
            "qwen3" => Self { qk_norm: QkNorm::Heads, ..PLAIN },
            "qwen3moe" => Self { qk_norm: QkNorm::Heads, normalized: Some(true), ..PLAIN },
            "qwen3next" | "qwen35" | "qwen35moe" => Self {
                mixer: Mixer::Delta,
                ffn_norm: Some("post_attention_norm"),
                normalized: Some(true),
                shared: Shared::Sigmoid,
                rows: Rows::Normed,
                ..PLAIN
            },
            "gpt-oss" => Self {
                ffn_norm: Some("post_attention_norm"),
                gating: SOFTMAX_OF_CHOSEN,
                normalized: Some(false),
                rows: Rows::Hidden,
                ..PLAIN
            },
            "gemma2" | "gemma3" => Self {
                embedding: if model.architecture == "gemma2" {
                    EmbeddingScale::Constant
                } else {
                    EmbeddingScale::Rows
                },
                qk_norm: if model.architecture == "gemma3" { QkNorm::Heads } else { QkNorm::None },
                scaled_queries: true,
                soft_cap: model.architecture == "gemma2",
                attn_post_norm: Some("post_attention_norm"),
                ffn_post_norm: Some("post_ffw_norm"),
                logits_capped: model.architecture == "gemma2"
                    || set("final_logit_softcapping"),
                ..PLAIN
            },
            "glm4moe" => Self {
                qk_norm: QkNorm::Heads,
                ffn_norm: Some("post_attention_norm"),
                gating: SIGMOID,
                ..PLAIN
            },
            "deepseek2" => Self { mixer: Mixer::Latent, ..PLAIN },
            _ => PLAIN,
        }
    }
}
