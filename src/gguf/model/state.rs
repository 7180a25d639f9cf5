//! Recurrent layers: which they are, and what they keep per sequence, whatever the sequence's length.

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

/// Which layers of an architecture are recurrent.
enum Recurrent {
    Never,
    Always,
    /// Those that a list in the metadata names, else all but every so many.
    AllBut(u64),
    /// Those without key and value heads.
    Headless,
    /// Those without key and value heads and without feed-forward: the others are one or the other.
    HeadlessAlone,
    /// All, and all attend as well.
    Beside,
}

fn rule(model: &Model) -> Recurrent {
    match model.architecture.as_str() {
        "qwen3next" | "qwen35" | "qwen35moe" => Recurrent::AllBut(4),
        "minimax-01" => Recurrent::AllBut(8),
        "bailingmoe3" | "granitehybrid" | "jamba" | "kimi-k3" | "kimi-linear" | "lfm2"
        | "lfm2moe" | "plamo2" => Recurrent::Headless,
        "nemotron_h" | "nemotron_h_moe" => Recurrent::HeadlessAlone,
        "arwkv7" | "mamba" | "mamba2" | "rwkv6" | "rwkv6qwen2" | "rwkv7" => Recurrent::Always,
        "falcon-h1" => Recurrent::Beside,
        // Of an architecture that is not known here, the metadata may tell.
        name if !super::known::is_known(name) => {
            let listed = model.per_layer("attention.recurrent_layers").is_some();
            let every = model.arch_u64("full_attention_interval").is_some();
            if listed || every { Recurrent::AllBut(4) } else { Recurrent::Never }
        }
        _ => Recurrent::Never,
    }
}

/// How each layer mixes tokens, given key and value heads and feed-forward width per block.
pub(super) fn mixers(model: &Model, kv_heads: &[u64], feed_forward: &[u64]) -> Vec<Mixer> {
    let rule = rule(model);
    let listed = model.per_layer("attention.recurrent_layers");
    let every = model.arch_u64("full_attention_interval").filter(|every| *every > 0);
    let trunk = u64::from(model.trunk());
    let mixer = |index: u64, heads: u64, feed_forward: u64| {
        let listed = || {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            listed.as_ref().map(|listed| listed.get(index).is_some_and(|on| *on != 0))
        };
        let recurrent = index < trunk
            && match rule {
                Recurrent::Never => false,
                Recurrent::Always | Recurrent::Beside => true,
                Recurrent::AllBut(default) => listed()
                    .unwrap_or_else(|| !(index + 1).is_multiple_of(every.unwrap_or(default))),
                Recurrent::Headless => heads == 0,
                Recurrent::HeadlessAlone => heads == 0 && feed_forward == 0,
            };
        let beside = match rule {
            Recurrent::Beside => true,
            Recurrent::HeadlessAlone => feed_forward == 0,
            _ => !recurrent,
        };
        Mixer { attention: heads > 0 && beside, recurrent }
    };
    let columns = (0..).zip(kv_heads.iter().zip(feed_forward));
    columns.map(|(index, (heads, feed_forward))| mixer(index, *heads, *feed_forward)).collect()
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
