//! Layers by what they hold: equal ones are one group, wherever in the model they stand.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::gguf::{Layer, Model, Role};
use crate::units::Bytes;

/// How a layer mixes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixer {
    Attention,
    /// Attention to a window.
    Window,
    /// Attention to keys and values of another layer.
    SharedAttention,
    Recurrent,
    AttentionAndRecurrent,
    /// Feed-forward alone.
    None,
    /// A block that predicts further tokens.
    Nextn,
}

/// Layers that are alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerGroup {
    pub layers: Vec<u32>,
    pub mixer: Mixer,
    pub heads: u64,
    pub kv_heads: u64,
    pub key_length: u64,
    pub value_length: u64,
    /// Of one of them, by role.
    pub each: Vec<RoleBytes>,
    /// Of one of them.
    pub bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RoleBytes {
    pub role: Role,
    pub bytes: Bytes,
}

pub(super) fn of(model: &Model) -> Vec<LayerGroup> {
    let mut sums: Vec<BTreeMap<Role, Bytes>> = vec![BTreeMap::new(); model.layers.len()];
    for tensor in &model.tensors {
        let layer = tensor.layer.and_then(|layer| usize::try_from(layer).ok());
        if let Some(sums) = layer.and_then(|layer| sums.get_mut(layer)) {
            let sum = sums.entry(tensor.role).or_default();
            *sum = sum.saturating_add(tensor.bytes);
        }
    }
    let mut groups: Vec<LayerGroup> = Vec::new();
    for (layer, sums) in model.layers.iter().zip(sums) {
        let alone = group(model, layer, sums);
        let same = |group: &&mut LayerGroup| {
            LayerGroup { layers: group.layers.clone(), ..alone.clone() } == **group
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.layers.push(layer.index),
            None => groups.push(alone),
        }
    }
    groups
}

fn group(model: &Model, layer: &Layer, sums: BTreeMap<Role, Bytes>) -> LayerGroup {
    let mixer = match (layer.cache, layer.state) {
        _ if layer.nextn => Mixer::Nextn,
        (Some(_), Some(_)) => Mixer::AttentionAndRecurrent,
        (None, Some(_)) => Mixer::Recurrent,
        (Some(_), None) if layer.sliding => Mixer::Window,
        (Some(_), None) => Mixer::Attention,
        (None, None) if layer.kv_heads > 0 && model.architecture.starts_with("gemma") => {
            Mixer::SharedAttention
        }
        (None, None) => Mixer::None,
    };
    let bytes = sums.values().fold(Bytes::ZERO, |sum, bytes| sum.saturating_add(*bytes));
    LayerGroup {
        layers: vec![layer.index],
        mixer,
        heads: layer.heads,
        kv_heads: layer.kv_heads,
        key_length: layer.key_length,
        value_length: layer.value_length,
        each: sums.into_iter().map(|(role, bytes)| RoleBytes { role, bytes }).collect(),
        bytes,
    }
}

/// Tensors of no layer, or of one that the model does not have.
pub(super) fn outside(model: &Model) -> Vec<RoleBytes> {
    let mut sums: BTreeMap<Role, Bytes> = BTreeMap::new();
    let in_layer = |layer: Option<u32>| layer.is_some_and(|layer| layer < model.block_count);
    for tensor in model.tensors.iter().filter(|tensor| !in_layer(tensor.layer)) {
        let sum = sums.entry(tensor.role).or_default();
        *sum = sum.saturating_add(tensor.bytes);
    }
    sums.into_iter().map(|(role, bytes)| RoleBytes { role, bytes }).collect()
}
