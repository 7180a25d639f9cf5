//! Builds the graph of a prompt batch as llama.cpp does for a model's architecture.
//!
//! `None` anywhere means that a tensor which the architecture needs is not in the file.

mod attention;
mod decoder;
mod delta;
mod experts;
mod feed_forward;
mod gemma3n;
mod gemma4;
mod input;
mod kda;
mod latent;
mod mamba;
mod mixture;
mod recipe;
mod short_conv;
mod states;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::graph::{Graph, Home, Id, Op, Place, Ty};
use super::rig::Rig;
use super::setup::Setup;
use crate::gguf::Model;
use experts::Experts;
use input::Inputs;

pub(super) use recipe::Recipe;

/// A graph under construction.
pub(super) struct Builder<'a> {
    g: Graph,
    model: &'a Model,
    setup: &'a Setup,
    rig: &'a Rig,
    /// One per tensor of the model; absent where it is not loaded.
    homes: &'a [Option<Place>],
    names: &'a Names,
    inputs: Inputs,
    /// By the tensor's place in the model's list, where it is at home.
    weights: Vec<Option<Id>>,
    /// Where it is not.
    copies: HashMap<(usize, Place), Id>,
    /// How experts are chosen, once a block with experts was built.
    how: Option<Experts>,
    /// Every flash attention with its block.
    flash_nodes: Vec<(Id, usize)>,
}

/// Where each tensor stands in the model's list.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    blocks: Vec<Block>,
    others: HashMap<String, usize>,
}

/// The tensors of one block, by their whole names and by what comes before `.weight` and its like.
#[derive(Clone, Debug, Default)]
struct Block {
    whole: HashMap<String, usize, BuildHasherDefault<Fnv>>,
    stems: HashMap<String, Stem, BuildHasherDefault<Fnv>>,
}

/// What a layer of the network consists of.
#[derive(Clone, Copy, Debug, Default)]
struct Stem {
    weight: Option<usize>,
    scale: Option<usize>,
    bias: Option<usize>,
}

/// A hash for short names of our own files: a graph asks for thousands of them.
#[derive(Clone, Copy, Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Names {
    pub(super) fn of(model: &Model) -> Self {
        let mut names = Self {
            blocks: vec![Block::default(); model.block_count as usize],
            others: HashMap::new(),
        };
        for (i, tensor) in model.tensors.iter().enumerate() {
            match tensor.layer.and_then(|layer| names.blocks.get_mut(layer as usize)) {
                Some(block) => block.insert(tensor.base(), i),
                None => {
                    names.others.insert(tensor.name.clone(), i);
                }
            }
        }
        names
    }

    pub(super) fn block(&self, il: usize, base: &str) -> Option<usize> {
        self.blocks.get(il)?.whole.get(base).copied()
    }

    fn stem(&self, il: usize, name: &str) -> Stem {
        self.blocks.get(il).and_then(|block| block.stems.get(name)).copied().unwrap_or_default()
    }

    pub(super) fn other(&self, name: &str) -> Option<usize> {
        self.others.get(name).copied()
    }
}

impl Block {
    fn insert(&mut self, base: &str, index: usize) {
        self.whole.insert(base.to_owned(), index);
        let Some((name, suffix)) = base.rsplit_once('.') else { return };
        let known = matches!(suffix, "weight" | "scale" | "bias");
        if !known {
            return;
        }
        let stem = self.stems.entry(name.to_owned()).or_default();
        match suffix {
            "weight" => stem.weight = Some(index),
            "scale" => stem.scale = Some(index),
            _ => stem.bias = Some(index),
        }
    }
}

/// Tensors of a block's graph, about: more only cost another allocation.
const PER_BLOCK: usize = 160;

/// What a graph is built for.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) model: &'a Model,
    pub(super) names: &'a Names,
    pub(super) setup: &'a Setup,
    pub(super) rig: &'a Rig,
    pub(super) homes: &'a [Option<Place>],
}

pub(super) struct Built {
    pub(super) graph: Graph,
    /// Every flash attention with its block.
    pub(super) flash_nodes: Vec<(Id, usize)>,
}

/// The graph of the given blocks (all of the trunk, or a part that repeats the same).
pub(super) fn graph(plan: Plan<'_>, layers: &[usize]) -> Option<Built> {
    let Plan { model, names, setup, rig, homes } = plan;
    let mut builder = Builder {
        g: Graph::new(rig.host(), (layers.len() + 2) * PER_BLOCK),
        model,
        setup,
        rig,
        homes,
        names,
        inputs: Inputs::default(),
        weights: vec![None; homes.len()],
        copies: HashMap::new(),
        how: None,
        flash_nodes: Vec::new(),
    };
    builder.decoder(&Recipe::of(model), layers)?;
    Some(Built { graph: builder.g, flash_nodes: builder.flash_nodes })
}

impl Builder<'_> {
    fn weight(&mut self, index: usize) -> Option<Id> {
        let place = (*self.homes.get(index)?)?;
        if let Some(id) = self.weights.get(index).copied().flatten() {
            return Some(id);
        }
        let id = self.resident(index, place)?;
        if let Some(slot) = self.weights.get_mut(index) {
            *slot = Some(id);
        }
        Some(id)
    }

    /// The tensor as it lies on one device; some lie on several.
    fn copy_at(&mut self, index: usize, place: Place) -> Option<Id> {
        if self.homes.get(index).copied().flatten() == Some(place) {
            return self.weight(index);
        }
        if let Some(id) = self.copies.get(&(index, place)) {
            return Some(*id);
        }
        let id = self.resident(index, place)?;
        self.copies.insert((index, place), id);
        Some(id)
    }

    fn resident(&mut self, index: usize, place: Place) -> Option<Id> {
        let tensor = self.model.tensors.get(index)?;
        let layout = tensor.dtype.layout()?;
        let size = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let ty = Ty::new(tensor.dtype.0, size(layout.block_len), size(layout.block_bytes));
        let ne = [0, 1, 2, 3].map(|i| tensor.dim(i));
        Some(self.g.resident(ty, ne, Home::Weight(place)))
    }

    /// The tensor `blk.il.base`.
    fn w(&mut self, il: usize, base: &str) -> Option<Id> {
        self.names.block(il, base).and_then(|index| self.weight(index))
    }

    /// `blk.il.name.weight`.
    fn weight_of(&mut self, il: usize, name: &str) -> Option<Id> {
        self.names.stem(il, name).weight.and_then(|index| self.weight(index))
    }

    /// `blk.il.name.scale`.
    fn scale_of(&mut self, il: usize, name: &str) -> Option<Id> {
        self.names.stem(il, name).scale.and_then(|index| self.weight(index))
    }

    /// `blk.il.name.bias`.
    fn bias_of(&mut self, il: usize, name: &str) -> Option<Id> {
        self.names.stem(il, name).bias.and_then(|index| self.weight(index))
    }

    /// Whether there is `blk.il.name.weight`.
    fn weighs(&self, il: usize, name: &str) -> bool {
        self.names.stem(il, name).weight.is_some()
    }

    fn has(&self, il: usize, base: &str) -> bool {
        self.names.block(il, base).is_some()
    }

    /// A tensor outside of the blocks.
    fn outer(&mut self, name: &str) -> Option<Id> {
        self.names.other(name).and_then(|index| self.weight(index))
    }

    fn place_of(&self, il: usize) -> Place {
        self.setup.layers.get(il).copied().unwrap_or(self.rig.host())
    }

    /// `blk.il.name.weight` times x, with its scale and, if wanted, its bias.
    fn linear(&mut self, il: usize, name: &str, x: Id) -> Option<Id> {
        let weight = self.weight_of(il, name)?;
        let product = self.g.mul_mat(weight, x);
        Some(match self.scale_of(il, name) {
            Some(scale) => self.g.mul(product, scale),
            None => product,
        })
    }

    fn biased(&mut self, il: usize, name: &str, x: Id) -> Option<Id> {
        let product = self.linear(il, name, x)?;
        Some(match self.bias_of(il, name) {
            Some(bias) => self.g.add2(product, bias),
            None => product,
        })
    }

    /// A normalization of block `il` with its weight and bias, as far as the file has them.
    fn norm(&mut self, op: Op, x: Id, il: usize, name: &str) -> Id {
        let weight = match self.weight_of(il, name) {
            Some(weight) => Some(weight),
            // Falcon-H1's files leave the suffix out.
            None => self.w(il, name),
        };
        let bias = self.bias_of(il, name);
        self.norm_with(op, x, weight, bias, Some(il))
    }

    fn norm_with(
        &mut self,
        op: Op,
        x: Id,
        weight: Option<Id>,
        bias: Option<Id>,
        il: Option<usize>,
    ) -> Id {
        let mut cur = self.g.unary(op, x);
        if (weight.is_some() || bias.is_some())
            && let Some(il) = il
        {
            self.pin(cur, il);
        }
        if let Some(weight) = weight {
            cur = self.g.mul(cur, weight);
        }
        if let Some(bias) = bias {
            cur = self.g.add2(cur, bias);
        }
        cur
    }

    /// llama.cpp holds a block's norms on the block's device where all is offloaded.
    fn pin(&mut self, id: Id, il: usize) {
        if self.setup.tokens < 32 || self.setup.full_offload {
            let place = self.place_of(il);
            if self.rig.supports(&self.g, id, place) {
                self.g[id].pinned = Some(place);
            }
        }
    }
}
