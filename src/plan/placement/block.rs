//! What each block weighs and what a token reads of it: the additive part of the memory arithmetic.

use crate::gguf::{Model, Role, Tensor};
use crate::plan::memory::{EstimateError, Prepared, Request, Spot};
use crate::plan::pattern::Matcher;

/// A block, or the output behind the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Block {
    /// On the device that computes the block: everything but movable experts, and the cache.
    pub(super) fixed: u64,
    /// Of it, what a token reads.
    pub(super) read: f64,
    /// The block's experts that may be moved.
    pub(super) pieces: Vec<Piece>,
    /// What a token reads of weights that a rule of the user's keeps on the CPU.
    pub(super) pinned_read: f64,
    /// Their bytes.
    pub(super) pinned: u64,
    /// It keeps a state instead of a cache.
    pub(super) recurrent: bool,
}

/// The routed experts' tensors of one kind: weights, and biases where there are some.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    /// `up`, `gate`, `down` or `gate_up`.
    pub(super) kind: &'static str,
    pub(super) bytes: u64,
    pub(super) read: f64,
    /// Indices in the model's list.
    pub(super) tensors: Vec<usize>,
}

const KINDS: [&str; 4] = ["gate_up", "gate", "up", "down"];

impl Block {
    pub(super) fn experts(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    pub(super) fn experts_read(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.read).sum()
    }
}

/// The kind of a routed expert's tensor that llama.cpp's own expert pattern would move.
fn kind(tensor: &Tensor) -> Option<&'static str> {
    let name = tensor.base().strip_prefix("ffn_")?;
    let stem = name.split('.').next()?;
    let kind = stem.strip_suffix("_exps").or_else(|| stem.strip_suffix("_chexps"))?;
    KINDS.into_iter().find(|known| *known == kind)
}

/// All blocks, and behind them the output.
pub(super) fn blocks(
    model: &Model,
    request: &Request,
    prepared: &Prepared<'_>,
) -> Result<Vec<Block>, EstimateError> {
    let mut blocks = vec![Block::default(); model.block_count as usize + 1];
    for (il, block) in blocks.iter_mut().enumerate().take(model.block_count as usize) {
        block.fixed += if request.kv_offload { prepared.context_bytes(il).0 } else { 0 };
    }
    let users: Vec<(Matcher, bool)> = request
        .overrides
        .iter()
        .map(|rule| {
            let matcher = Matcher::new(&rule.pattern)
                .map_err(|_| EstimateError::Pattern { pattern: rule.pattern.clone() })?;
            Ok((matcher, rule.target == "CPU"))
        })
        .collect::<Result<_, _>>()?;
    let used = model.experts.map_or(1.0, |experts| {
        if experts.count == 0 { 1.0 } else { experts.used as f64 / experts.count as f64 }
    });
    let tied = model.tied_embeddings();
    for (index, tensor) in model.tensors.iter().enumerate() {
        if model.is_nextn(tensor) {
            continue;
        }
        let output = tensor.role == Role::Output || tensor.name.starts_with("output");
        let at = match tensor.layer {
            Some(layer) => layer as usize,
            None if output || (tied && tensor.name == "token_embd.weight") => blocks.len() - 1,
            None => continue,
        };
        let Some(block) = blocks.get_mut(at) else { continue };
        block.recurrent |= tensor.role == Role::Recurrent;
        let routed = tensor.role == Role::RoutedExpert;
        let read = tensor.bytes.0 as f64 * if routed { used } else { 1.0 };
        let ruled = users.iter().find(|(rule, _)| rule.is_match(&tensor.name).unwrap_or(false));
        if let Some((_, to_cpu)) = ruled {
            // Where it lies is the estimate's business; it is the same in every placement.
            if *to_cpu {
                block.pinned_read += read;
                block.pinned += tensor.bytes.0;
            } else {
                block.read += read;
            }
            continue;
        }
        let bytes = prepared.tensor_bytes(index, Spot::Gpu(0)).0;
        match kind(tensor).filter(|_| routed) {
            None => {
                block.fixed += bytes;
                block.read += read;
            }
            Some(kind) => match block.pieces.iter_mut().find(|piece| piece.kind == kind) {
                Some(piece) => {
                    piece.bytes += bytes;
                    piece.read += read;
                    piece.tensors.push(index);
                }
                None => block.pieces.push(Piece { kind, bytes, read, tensors: vec![index] }),
            },
        }
    }
    Ok(blocks)
}
