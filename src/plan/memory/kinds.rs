//! Which blocks of a model are alike: whose part of the graph is the same but for the places.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::build::Recipe;
use crate::gguf::Model;

/// The tensors of each block; behind them, those outside of the blocks.
pub(super) fn members(model: &Model) -> Vec<Vec<usize>> {
    let blocks = model.block_count as usize;
    let mut members = vec![Vec::new(); blocks + 1];
    for (i, tensor) in model.tensors.iter().enumerate() {
        let block = tensor.layer.map_or(blocks, |layer| layer as usize);
        if let Some(list) = members.get_mut(block) {
            list.push(i);
        }
    }
    members
}

/// Equal numbers for blocks with equal tensors and caches.
pub(super) fn kinds(model: &Model) -> Vec<u64> {
    let mut tensors: Vec<Vec<(&str, u32, &[u64])>> = vec![Vec::new(); model.block_count as usize];
    for tensor in &model.tensors {
        if let Some(list) = tensor.layer.and_then(|layer| tensors.get_mut(layer as usize)) {
            list.push((tensor.base(), tensor.dtype.0, &tensor.dims));
        }
    }
    let recipe = Recipe::of(model);
    let each = tensors.iter_mut().zip(&model.layers).enumerate();
    each.map(|(il, (list, layer))| {
        list.sort_unstable();
        let mut hasher = DefaultHasher::new();
        list.hash(&mut hasher);
        (layer.heads, layer.kv_heads, layer.key_length, layer.value_length).hash(&mut hasher);
        (layer.sliding, layer.nextn, layer.feed_forward_length).hash(&mut hasher);
        (layer.cache.map(|cache| (cache.key, cache.value))).hash(&mut hasher);
        (layer.state.map(|state| (state.conv, state.ssm))).hash(&mut hasher);
        // Its place in a pattern that only the number gives.
        recipe.role_of(il).hash(&mut hasher);
        hasher.finish()
    })
    .collect()
}
