//! Sizes that a file claims and that no model has: they would divide by nothing or outgrow any number here.

use super::EstimateError;
use crate::gguf::Model;

/// Of heads, their widths, and the sizes of recurrent layers.
const MOST: u64 = 1 << 20;
/// Of tokens in a context and of words in a vocabulary.
const MOST_TOKENS: u64 = 1 << 30;
/// Of the values that a block keeps per sequence.
const MOST_STATE: u64 = 1 << 40;
/// Of a tensor in one direction.
const MOST_ROWS: u64 = 1 << 32;

pub(super) fn check(model: &Model) -> Result<(), EstimateError> {
    let refuse = |what: String, value: u64| Err(EstimateError::Size { what, value });
    let key = |key: &str| format!("{}.{key}", model.architecture);
    let ssm = model.ssm.unwrap_or_default();
    let sizes = [
        ("ssm.conv_kernel", ssm.conv_kernel, MOST),
        ("ssm.inner_size", ssm.inner_size, MOST),
        ("ssm.state_size", ssm.state_size, MOST),
        ("ssm.time_step_rank", ssm.time_step_rank, MOST),
        ("ssm.group_count", ssm.group_count, MOST),
        ("kda.head_dim", ssm.kda_head_dim, MOST),
        ("embedding_length", model.embedding_length, MOST),
        ("context_length", model.context_length, MOST_TOKENS),
        ("vocab_size", model.vocabulary, MOST_TOKENS),
        (
            "attention.sliding_window",
            model.window.as_ref().map_or(0, |window| window.size),
            MOST_TOKENS,
        ),
    ];
    if let Some((name, value, _)) = sizes.into_iter().find(|(_, value, most)| value > most) {
        return refuse(key(name), value);
    }
    for layer in &model.layers {
        let (keys, values) = layer.cache.map_or((0, 0), |cache| (cache.key, cache.value));
        let state = layer.state.unwrap_or_default();
        for (name, value, most) in [
            ("attention.head_count", layer.heads, MOST),
            ("attention.head_count_kv", layer.kv_heads, MOST),
            ("attention.key_length", layer.key_length, MOST),
            ("attention.value_length", layer.value_length, MOST),
            ("attention.head_count_kv times key_length", keys, MOST),
            ("attention.head_count_kv times value_length", values, MOST),
            ("state of a convolution", state.conv, MOST_STATE),
            ("recurrent state", state.ssm, MOST_STATE),
        ] {
            if value > most {
                return refuse(key(name), value);
            }
        }
    }
    if let Some(tensor) = model.tensors.iter().find(|tensor| tensor.dims.contains(&0)) {
        return refuse(format!("one dimension of {}", tensor.name.escape_debug()), 0);
    }
    let large = |tensor: &&crate::gguf::Tensor| tensor.dims.iter().any(|n| *n > MOST_ROWS);
    if let Some(tensor) = model.tensors.iter().find(large) {
        let most = tensor.dims.iter().copied().max().unwrap_or(0);
        return refuse(format!("one dimension of {}", tensor.name.escape_debug()), most);
    }
    recurrent(model)
}

/// What the blocks with a state divide by, and what has to agree with the convolution's weights.
fn recurrent(model: &Model) -> Result<(), EstimateError> {
    let refuse = |what: String, value: u64| Err(EstimateError::Size { what, value });
    let key = |key: &str| format!("{}.{key}", model.architecture);
    let Some(ssm) = model.ssm else { return Ok(()) };
    if ssm.kda_head_dim > 0 || model.layers.iter().all(|layer| layer.state.is_none()) {
        return Ok(());
    }
    if ssm.conv_kernel == 0 {
        return refuse(key("ssm.conv_kernel"), 0);
    }
    let has = |base: &str| model.tensors.iter().any(|tensor| tensor.base() == base);
    // The first Mamba has no groups.
    if ssm.group_count == 0 && !has("ssm_x.weight") {
        return refuse(key("ssm.group_count"), 0);
    }
    let mut kernels = model.tensors.iter().filter(|tensor| tensor.base() == "ssm_conv1d.weight");
    match kernels.find(|kernel| kernel.dim(0) != ssm.conv_kernel) {
        Some(kernel) => refuse(
            format!(
                "{} against the width of {}",
                key("ssm.conv_kernel"),
                kernel.name.escape_debug()
            ),
            ssm.conv_kernel,
        ),
        None => Ok(()),
    }
}
