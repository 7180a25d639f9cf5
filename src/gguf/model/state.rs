//! Recurrent state of a layer: what it keeps per sequence, whatever the sequence's length.

use serde::Serialize;

use super::Model;

/// Values (f32) that a recurrent layer keeps per sequence. llama.cpp calls them `n_embd_r` and `n_embd_s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// The last inputs of the convolution, or shifted tokens.
    pub conv: u64,
    pub ssm: u64,
}

/// Whether a layer attends, keeps a state, does both or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mixer {
    pub attention: bool,
    pub recurrent: bool,
}

/// How the architecture's layers mix tokens, given heads and feed-forward width per block.
pub(super) fn mixers(model: &Model, kv_heads: &[u64], feed_forward: &[u64]) -> Vec<Mixer> {
    let interval = |default: u64| {
        let flags = model.per_layer("attention.recurrent_layers");
        let every = model.arch_u64("full_attention_interval").filter(|n| *n > 0).unwrap_or(default);
        move |index: u64| match &flags {
            Some(flags) => {
                usize::try_from(index).ok().and_then(|i| flags.get(i)).is_some_and(|on| *on != 0)
            }
            None => !(index + 1).is_multiple_of(every),
        }
    };
    let (fourth, eighth) = (interval(4), interval(8));
    let trunk = u64::from(model.trunk());
    let heads = kv_heads.iter().zip(feed_forward);
    (0..)
        .zip(heads)
        .map(|(index, (kv_heads, feed_forward))| {
            let recurrent = match model.architecture.as_str() {
                _ if index >= trunk => false,
                "qwen3next" | "qwen35" | "qwen35moe" => fourth(index),
                "minimax-01" => eighth(index),
                "jamba" | "granitehybrid" | "plamo2" | "lfm2" | "lfm2moe" | "kimi-linear" => {
                    *kv_heads == 0
                }
                "nemotron_h" | "nemotron_h_moe" => *kv_heads == 0 && *feed_forward == 0,
                "mamba" | "mamba2" | "rwkv6" | "rwkv6qwen2" | "rwkv7" | "arwkv7" | "falcon-h1" => {
                    true
                }
                _ => false,
            };
            let attention = *kv_heads > 0 && (!recurrent || model.architecture == "falcon-h1");
            Mixer { attention, recurrent }
        })
        .collect()
}

/// As `llama_hparams::n_embd_r` and `n_embd_s`; `heads` are those of the first block.
pub(super) fn state(model: &Model, heads: u64, key_length: u64) -> State {
    let width = model.embedding_length;
    let product =
        |factors: &[u64]| factors.iter().fold(1u64, |all, factor| all.saturating_mul(*factor));
    if let Some(head) = model.arch_u64("wkv.head_size").filter(|head| *head > 0) {
        let shifts = model.arch_u64("token_shift_count").unwrap_or(2);
        return State { conv: product(&[shifts, width]), ssm: product(&[width, head]) };
    }
    if let Some(length) = model.arch_u64("shortconv.l_cache").filter(|length| *length > 0) {
        return State { conv: product(&[width, length - 1]), ssm: 0 };
    }
    let ssm = model.ssm.unwrap_or_default();
    if ssm.kda_head_dim > 0 {
        let taps = if ssm.conv_kernel > 0 { ssm.conv_kernel - 1 } else { 3 };
        let head = ssm.kda_head_dim;
        return State {
            conv: product(&[3, taps, heads, head]),
            ssm: product(&[head, head, heads]),
        };
    }
    if model.architecture == "minimax-01" {
        return State { conv: 0, ssm: product(&[key_length, key_length, heads]) };
    }
    let groups = product(&[2, ssm.group_count, ssm.state_size]);
    State {
        conv: product(&[ssm.conv_kernel.saturating_sub(1), ssm.inner_size.saturating_add(groups)]),
        ssm: product(&[ssm.state_size, ssm.inner_size]),
    }
}
