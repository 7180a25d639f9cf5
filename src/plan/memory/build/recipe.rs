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
    /// All but the first of every n blocks.
    NotFirst(u64),
}

/// How a block's two halves are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// Attention, residual, network, residual.
    Sequential,
    /// The network works on attention's normed input: network + input + attention.
    NormedInput,
    /// The same, added in the order network + attention + input.
    NetworkFirst,
    /// The same, added in the order attention + network + input.
    AttentionFirst,
    /// One of state space, attention and network per block.
    Single,
    /// Attention and state space side by side, then the network.
    Both,
    /// A dense network as usual, and experts on the block's input, added last (Arctic).
    Residual,
}

/// A gate on attention's result, before the output projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputGate {
    None,
    /// One value per element.
    Elements,
    /// One value per head.
    Heads,
}

/// Where a block's attention comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mixer {
    Attention,
    /// Queries and keys through a low-rank latent (`DeepSeek`).
    Latent,
    /// Gated attention and gated delta nets (Qwen3-Next and Qwen3.5).
    Delta,
    /// Mamba where the block has a state, else attention.
    Mamba,
    /// Short convolutions where the block has a state, else attention.
    ShortConv,
    /// Kimi's delta attention where the block has a state, else latent attention without rotation.
    Kda,
    Gemma3n,
    Gemma4,
}

/// Which queries are multiplied by an input that grows with the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tempering {
    None,
    All,
    /// Those without rotation.
    Unrotated,
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
    /// In the last block, after the norm behind attention.
    LastBlockNormed,
    /// Before the output norm; what they are taken from is an output itself.
    Hidden,
    /// Before the output norm.
    Merged,
    /// After the output norm.
    Normed,
}

/// The shape of an architecture's graph.
#[expect(clippy::struct_excessive_bools, reason = "independent traits of an architecture")]
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
    /// Whether the last of these belongs to its block, as far as llama.cpp knows.
    pub(super) ffn_post_norm_pinned: bool,
    pub(super) mixer: Mixer,
    pub(super) qk_norm: QkNorm,
    pub(super) rope: Rope,
    /// Whether the queries are scaled before attention.
    pub(super) scaled_queries: bool,
    pub(super) tempering: Tempering,
    pub(super) soft_cap: bool,
    pub(super) output_gate: OutputGate,
    /// Whether attention's result is scaled.
    pub(super) scaled_attention: bool,
    pub(super) activation: Activation,
    /// llama.cpp's number of the gating function, unless the file has one that the architecture reads.
    pub(super) gating: u64,
    pub(super) reads_gating: bool,
    /// Whether the experts' weights are made to add up to one; absent: the file says.
    pub(super) normalized: Option<bool>,
    pub(super) weights_first: bool,
    pub(super) shared: Shared,
    pub(super) shared_first: bool,
    /// Whether the experts are chosen by the block's input.
    pub(super) routed_early: bool,
    pub(super) rows: Rows,
    pub(super) residual_scaled: bool,
    /// Whether the residual is the first operand of the first and of the last sum.
    pub(super) residual_first: [bool; 2],
    pub(super) joint: Joint,
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
    ffn_post_norm_pinned: false,
    mixer: Mixer::Attention,
    qk_norm: QkNorm::None,
    rope: Rope::All,
    scaled_queries: false,
    tempering: Tempering::None,
    soft_cap: false,
    output_gate: OutputGate::None,
    scaled_attention: false,
    activation: Activation::Gated,
    gating: SOFTMAX,
    reads_gating: false,
    normalized: Some(true),
    weights_first: false,
    shared: Shared::Plain,
    shared_first: false,
    routed_early: false,
    rows: Rows::LastBlock,
    residual_scaled: false,
    residual_first: [false, false],
    joint: Joint::Sequential,
    logits_scaled: false,
    logits_capped: false,
};

/// What the files of sigmoid-routed models say themselves.
const ROUTED: Recipe = Recipe { gating: SIGMOID, reads_gating: true, normalized: None, ..PLAIN };

impl Recipe {
    pub(in super::super) fn of(model: &Model) -> Self {
        let set = |key: &str| keys::is_set(model, key);
        let ropes = model.arch_u64("rope.scaling.finetuned").is_none_or(|on| on != 0);
        let slides = model.window.is_some();
        match model.architecture.as_str() {
            "llama" | "deci" | "internlm2" | "baichuan" | "xverse" | "qwen" | "qwen2"
            | "qwen2vl" | "ernie4_5" | "exaone" | "orion" | "mistral3" | "paddleocr"
            | "pangu-embedded" => Self {
                norm: if model.architecture == "orion" { Op::Norm } else { Op::RmsNorm },
                tempering: if set("attention.temperature_scale") {
                    Tempering::All
                } else {
                    Tempering::None
                },
                ..PLAIN
            },
            "llama4" => Self {
                qk_norm: if model.experts.is_some_and(|experts| experts.count == 128) {
                    QkNorm::None
                } else {
                    QkNorm::Plain
                },
                rope: if slides { Rope::NotEvery(4) } else { Rope::All },
                tempering: Tempering::Unrotated,
                gating: SIGMOID,
                normalized: Some(false),
                weights_first: true,
                ..PLAIN
            },
            "qwen2moe" => Self { shared: Shared::SiluRatio, normalized: Some(false), ..PLAIN },
            "qwen3" | "qwen3moe" | "qwen3vl" | "qwen3vlmoe" => {
                Self { qk_norm: QkNorm::Heads, ..PLAIN }
            }
            "qwen3next" | "qwen35" | "qwen35moe" => Self {
                mixer: Mixer::Delta,
                ffn_norm: Some("post_attention_norm"),
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
            "gemma" => Self { embedding: EmbeddingScale::Constant, scaled_queries: true, ..PLAIN },
            "gemma2" => Self {
                embedding: EmbeddingScale::Constant,
                scaled_queries: true,
                soft_cap: true,
                attn_post_norm: Some("post_attention_norm"),
                ffn_post_norm: Some("post_ffw_norm"),
                logits_capped: true,
                ..PLAIN
            },
            "gemma3" => Self {
                embedding: EmbeddingScale::Rows,
                qk_norm: QkNorm::Heads,
                scaled_queries: true,
                attn_post_norm: Some("post_attention_norm"),
                ffn_post_norm: Some("post_ffw_norm"),
                logits_capped: set("final_logit_softcapping"),
                ..PLAIN
            },
            "glm4" => Self {
                attn_post_norm: Some("post_attention_norm"),
                ffn_post_norm: Some("post_ffw_norm"),
                ffn_post_norm_pinned: true,
                activation: Activation::Halves,
                ..PLAIN
            },
            "glm4moe" => {
                Self { qk_norm: QkNorm::Heads, ffn_norm: Some("post_attention_norm"), ..ROUTED }
            }
            "dots1" | "bailingmoe2" | "exaone-moe" => Self {
                qk_norm: QkNorm::Heads,
                rope: if slides { Rope::Sliding } else { Rope::All },
                ..ROUTED
            },
            "deepseek2" => Self { mixer: Mixer::Latent, gating: deepseek_gating(model), ..ROUTED },
            "deepseek" => Self { normalized: Some(false), ..PLAIN },
            "bailingmoe" => Self { normalized: None, ..PLAIN },
            "minimax-m2" => {
                Self { qk_norm: QkNorm::Rows, reads_gating: true, gating: SIGMOID, ..PLAIN }
            }
            "olmoe" => Self { qk_norm: QkNorm::Rows, normalized: Some(false), ..PLAIN },
            "olmo2" => Self {
                qk_norm: QkNorm::Rows,
                attn_norm: None,
                ffn_norm: None,
                attn_post_norm: Some("post_attention_norm"),
                ffn_post_norm: Some("post_ffw_norm"),
                ..PLAIN
            },
            "exaone4" => Self {
                qk_norm: QkNorm::Heads,
                rope: if slides { Rope::Sliding } else { Rope::All },
                attn_norm: None,
                ffn_norm: None,
                attn_post_norm: Some("post_attention_norm"),
                ffn_post_norm: Some("post_ffw_norm"),
                ..PLAIN
            },
            "hunyuan-moe" | "hunyuan-dense" | "hunyuan_vl" => {
                Self { qk_norm: QkNorm::HeadsLate, shared_first: true, ..PLAIN }
            }
            "maincoder" => Self { qk_norm: QkNorm::HeadsLate, ..PLAIN },
            "apertus" => Self { qk_norm: QkNorm::Heads, ..PLAIN },
            "granite" | "granitemoe" | "minicpm" => Self {
                embedding: if set("embedding_scale") || model.architecture == "minicpm" {
                    EmbeddingScale::Constant
                } else {
                    EmbeddingScale::None
                },
                rope: if ropes { Rope::All } else { Rope::None },
                residual_scaled: set("residual_scale") || model.architecture == "minicpm",
                logits_scaled: true,
                ..PLAIN
            },
            "phi3" | "phimoe" => Self {
                scaled_queries: true,
                activation: if model.experts.is_some() {
                    Activation::Gated
                } else {
                    Activation::Halves
                },
                residual_first: [false, true],
                ..PLAIN
            },
            "phi2" => Self {
                norm: Op::Norm,
                scaled_queries: true,
                ffn_norm: None,
                joint: Joint::AttentionFirst,
                ..PLAIN
            },
            "falcon" => {
                Self { norm: Op::Norm, ffn_norm: None, joint: Joint::NetworkFirst, ..PLAIN }
            }
            "command-r" | "cohere2" => Self {
                norm: Op::Norm,
                ffn_norm: None,
                qk_norm: QkNorm::Heads,
                rope: if slides { Rope::Sliding } else { Rope::All },
                joint: Joint::NormedInput,
                logits_scaled: set("logit_scale"),
                ..PLAIN
            },
            "seed_oss" => Self { ffn_norm: Some("post_attention_norm"), ..PLAIN },
            "smollm3" => Self { rope: Rope::NotEvery(4), ..PLAIN },
            "olmo" | "starcoder2" => Self { norm: Op::Norm, ..PLAIN },
            "stablelm" => Self { norm: Op::Norm, qk_norm: QkNorm::Heads, ..PLAIN },
            "nemotron" => Self { norm: Op::Norm, activation: Activation::ReluSquared, ..PLAIN },
            "arcee" => Self { activation: Activation::ReluSquared, ..PLAIN },
            "dbrx" => Self { norm: Op::Norm, ffn_norm: Some("attn_output_norm"), ..PLAIN },
            "grok" => Self {
                embedding: EmbeddingScale::Constant,
                attn_post_norm: Some("attn_output_norm"),
                ffn_post_norm: Some("layer_output_norm"),
                ffn_post_norm_pinned: true,
                soft_cap: true,
                logits_scaled: true,
                logits_capped: set("final_logit_softcapping"),
                ..PLAIN
            },
            "afmoe" => Self {
                embedding: EmbeddingScale::Constant,
                qk_norm: QkNorm::Heads,
                rope: Rope::NotEvery(4),
                output_gate: OutputGate::Elements,
                rows: Rows::LastBlockNormed,
                attn_post_norm: Some("post_attention_norm"),
                ffn_post_norm: Some("post_ffw_norm"),
                ffn_post_norm_pinned: true,
                ..ROUTED
            },
            "mimo2" => {
                Self { scaled_attention: set("attention.value_scale"), gating: SIGMOID, ..PLAIN }
            }
            "step35" => Self {
                qk_norm: QkNorm::Heads,
                output_gate: OutputGate::Heads,
                rows: Rows::Hidden,
                ..ROUTED
            },
            "gemma3n" => Self {
                embedding: EmbeddingScale::Rows,
                mixer: Mixer::Gemma3n,
                rows: Rows::Merged,
                logits_capped: true,
                ..PLAIN
            },
            "gemma4" => Self {
                embedding: EmbeddingScale::Rows,
                mixer: Mixer::Gemma4,
                rows: Rows::Normed,
                logits_capped: set("final_logit_softcapping"),
                ..PLAIN
            },
            "kimi-linear" => {
                Self { mixer: Mixer::Kda, reads_gating: true, gating: SIGMOID, ..PLAIN }
            }
            "mamba" | "mamba2" => Self { mixer: Mixer::Mamba, joint: Joint::Single, ..PLAIN },
            "jamba" => Self {
                mixer: Mixer::Mamba,
                rope: Rope::None,
                normalized: Some(false),
                residual_first: [true, true],
                ..PLAIN
            },
            "granitehybrid" => Self {
                mixer: Mixer::Mamba,
                embedding: if set("embedding_scale") {
                    EmbeddingScale::Constant
                } else {
                    EmbeddingScale::None
                },
                rope: if ropes { Rope::All } else { Rope::None },
                residual_scaled: set("residual_scale"),
                logits_scaled: set("logit_scale"),
                ..PLAIN
            },
            "nemotron_h" | "nemotron_h_moe" => Self {
                mixer: Mixer::Mamba,
                joint: Joint::Single,
                rope: Rope::None,
                activation: Activation::ReluSquared,
                gating: SIGMOID,
                normalized: None,
                rows: Rows::Normed,
                ..PLAIN
            },
            "falcon-h1" => Self { mixer: Mixer::Mamba, joint: Joint::Both, ..PLAIN },
            "lfm2" | "lfm2moe" => Self {
                mixer: Mixer::ShortConv,
                qk_norm: QkNorm::Heads,
                reads_gating: true,
                residual_first: [true, true],
                ..PLAIN
            },
            "arctic" => Self { joint: Joint::Residual, ..PLAIN },
            "smallthinker" => Self {
                rope: if slides { Rope::NotFirst(4) } else { Rope::All },
                reads_gating: true,
                routed_early: true,
                ..PLAIN
            },
            "ernie4_5-moe" => PLAIN,
            _ => PLAIN,
        }
    }
}

impl Recipe {
    /// Blocks with the same tensors can still differ in whether they rotate.
    pub(in super::super) fn role_of(&self, il: usize) -> u64 {
        match self.rope {
            Rope::NotEvery(period) if period > 0 => {
                u64::from((il as u64 + 1).is_multiple_of(period))
            }
            Rope::NotFirst(period) if period > 0 => u64::from((il as u64).is_multiple_of(period)),
            _ => 0,
        }
    }
}

/// Files made before the key existed; GLM-4.7-Flash among them is told by its size.
fn deepseek_gating(model: &Model) -> u64 {
    let flash = matches!(model.trunk(), 47 | 48) && model.vocabulary == 154_880;
    if flash { SIGMOID } else { SOFTMAX }
}
