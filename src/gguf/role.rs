//! What a tensor is for, by its name alone. The names are llama.cpp's and hold for every architecture it loads.

use std::fmt;

use serde::Serialize;

/// The part a tensor plays in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Attention, full, sliding, latent or linear, with its biases, sinks and indexer.
    Attention,
    /// What keeps a state instead of a cache: SSM, delta net, RWKV, short convolutions.
    Recurrent,
    /// The stacked matrices of experts that a router picks from: what may well lie in system memory.
    RoutedExpert,
    /// The expert that every token passes, with its gate.
    SharedExpert,
    Router,
    DenseFfn,
    Norm,
    /// Looked up on the CPU: token and position embeddings.
    Embedding,
    /// The output matrix and the heads of classifiers.
    Output,
    /// What only the prediction of further tokens (MTP) uses.
    Nextn,
    Other,
}

impl Role {
    pub const ALL: [Self; 11] = [
        Self::Attention,
        Self::Recurrent,
        Self::RoutedExpert,
        Self::SharedExpert,
        Self::Router,
        Self::DenseFfn,
        Self::Norm,
        Self::Embedding,
        Self::Output,
        Self::Nextn,
        Self::Other,
    ];

    /// By the name of a tensor, `blk.7.ffn_up_exps.weight`.
    pub fn of(name: &str) -> Self {
        match split(name) {
            Some((_, rest)) => in_block(rest),
            None => outside(name),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Recurrent => "recurrent",
            Self::RoutedExpert => "routed experts",
            Self::SharedExpert => "shared expert",
            Self::Router => "router",
            Self::DenseFfn => "dense ffn",
            Self::Norm => "norms",
            Self::Embedding => "embedding",
            Self::Output => "output",
            Self::Nextn => "nextn",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The block's number and the rest of the name: `blk.7.ssm_a` is `(7, "ssm_a")`.
pub(super) fn split(name: &str) -> Option<(u32, &str)> {
    let name = name.strip_prefix("enc.").or_else(|| name.strip_prefix("dec.")).unwrap_or(name);
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    // `parse` would take a sign.
    let plain = layer.bytes().all(|digit| digit.is_ascii_digit());
    Some((layer.parse().ok().filter(|_| plain)?, rest))
}

fn in_block(rest: &str) -> Role {
    let (base, suffix) = rest.split_once('.').unwrap_or((rest, ""));
    let expert = |name: &str| name.ends_with("_exps") || name.ends_with("_chexps");
    match base {
        "nextn" => Role::Nextn,
        "ffn_gate_inp" | "ffn_gate_tid2eid" => Role::Router,
        _ if base.starts_with("exp_probs_b") => Role::Router,
        _ if base.ends_with("_shexp") => Role::SharedExpert,
        _ if base.ends_with("norm") || base.contains("_norm_") => Role::Norm,
        _ if base.starts_with("ffn_") && expert(base) => Role::RoutedExpert,
        // One tensor per expert, `ffn_up.3.weight`, as before 2024.
        "ffn_gate" | "ffn_up" | "ffn_down" if suffix.starts_with(|c: char| c.is_ascii_digit()) => {
            Role::RoutedExpert
        }
        _ if base.starts_with("ffn_") => Role::DenseFfn,
        _ if ["attn_", "cross_attn_", "indexer"].iter().any(|p| base.starts_with(p)) => {
            Role::Attention
        }
        _ if ["ssm_", "time_mix", "channel_mix", "shortconv"]
            .iter()
            .any(|p| base.starts_with(p)) =>
        {
            Role::Recurrent
        }
        _ => Role::Other,
    }
}

fn outside(name: &str) -> Role {
    let base = name.split_once('.').map_or(name, |(base, _)| base);
    match base {
        _ if base.ends_with("norm") => Role::Norm,
        "token_embd" | "token_types" | "position_embd" | "per_layer_token_embd" => Role::Embedding,
        "output" | "cls" => Role::Output,
        _ if name.starts_with("cls.") => Role::Output,
        _ => Role::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, split};

    #[test]
    fn names_of_many_architectures_have_their_role() {
        let check = |role, names: &[&str]| {
            for name in names {
                assert_eq!(Role::of(name), role, "{name}");
            }
        };
        check(
            Role::RoutedExpert,
            &[
                "blk.0.ffn_gate_exps.weight",
                "blk.10.ffn_up_exps.bias",
                "blk.10.ffn_down_exps.scale",
                "blk.3.ffn_gate_up_exps.weight",
                "blk.3.ffn_down_chexps.weight",
                "blk.3.ffn_gate.11.weight",
            ],
        );
        check(
            Role::SharedExpert,
            &["blk.0.ffn_gate_shexp.weight", "blk.0.ffn_gate_inp_shexp.weight"],
        );
        check(
            Role::Router,
            &["blk.0.ffn_gate_inp.weight", "blk.0.ffn_gate_inp.bias", "blk.7.exp_probs_b.bias"],
        );
        check(
            Role::DenseFfn,
            &["blk.0.ffn_gate.weight", "blk.0.ffn_up.weight", "blk.0.ffn_down.bias"],
        );
        check(
            Role::Attention,
            &[
                "blk.0.attn_q.weight",
                "blk.0.attn_qkv.weight",
                "blk.0.attn_gate.weight",
                "blk.0.attn_sinks.weight",
                "blk.0.attn_kv_a_mqa.weight",
                "blk.0.attn_k_b.weight",
                "blk.0.indexer.attn_k.weight",
                "enc.blk.3.attn_q.weight",
            ],
        );
        check(
            Role::Recurrent,
            &[
                "blk.0.ssm_a",
                "blk.0.ssm_dt.bias",
                "blk.0.ssm_conv1d.weight",
                "blk.0.time_mix_w1.weight",
                "blk.0.shortconv.in_proj.weight",
            ],
        );
        check(
            Role::Norm,
            &[
                "blk.0.attn_norm.weight",
                "blk.0.attn_q_a_norm.weight",
                "blk.0.post_attention_norm.weight",
                "blk.0.ffn_norm_exps.weight",
                "blk.0.ssm_norm.weight",
                "output_norm.weight",
                "token_embd_norm.weight",
            ],
        );
        check(Role::Embedding, &["token_embd.weight", "position_embd.weight"]);
        check(Role::Output, &["output.weight", "cls.output.weight"]);
        check(Role::Nextn, &["blk.46.nextn.eh_proj.weight", "blk.46.nextn.enorm.weight"]);
        check(Role::Other, &["rope_freqs.weight", "v.blk.0.attn_q.weight", "blk.x.attn_q.weight"]);
    }

    #[test]
    fn the_block_is_a_plain_number() {
        assert_eq!(split("blk.12.ssm_a"), Some((12, "ssm_a")));
        for odd in ["blk.+1.ssm_a", "blk..ssm_a", "blk.99999999999.x", "blk.1", "xblk.1.a"] {
            assert_eq!(split(odd), None, "{odd}");
        }
    }
}
