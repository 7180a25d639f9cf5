//! Where each tensor of the model lies, and the bytes that takes on every device.

use std::collections::HashMap;

use regex::Regex;

use super::EstimateError;
use super::cuda;
use super::devices;
use super::graph::{Graph, Home, Id, Op, Place, Ty};
use super::request::Request;
use super::rig::Rig;
use crate::gguf::{DType, Model, Role, Tensor};
use crate::hardware::Gpu;

const CUDA_ALIGNMENT: u64 = 128;
const HOST_ALIGNMENT: u64 = 32;

/// The rules of `-ot`, compiled; a target that is not in use stays a name.
#[derive(Clone, Debug)]
pub(super) struct Rules(Vec<(Regex, Result<Place, String>)>);

impl Rules {
    /// `used` are the GPUs in use, as indices into the host's list.
    pub(super) fn new(
        request: &Request,
        gpus: &[Gpu],
        used: &[usize],
    ) -> Result<Self, EstimateError> {
        let names = devices::buffers(gpus);
        let host = Place(u8::try_from(used.len()).unwrap_or(u8::MAX));
        let rules = request.overrides.iter().map(|rule| {
            let pattern = Regex::new(&rule.pattern)
                .map_err(|_| EstimateError::Pattern { pattern: rule.pattern.clone() })?;
            let place = if rule.target == "CPU" {
                Ok(host)
            } else {
                let gpu = names
                    .iter()
                    .position(|name| *name == rule.target)
                    .ok_or_else(|| EstimateError::Target { target: rule.target.clone() })?;
                let place = used.iter().position(|used| *used == gpu);
                let place = place.and_then(|place| u8::try_from(place).ok()).map(Place);
                place.ok_or_else(|| rule.target.clone())
            };
            Ok((pattern, place))
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, name: &str) -> Option<&Result<Place, String>> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(name)).map(|(_, place)| place)
    }
}

/// What there is to know of a tensor before it is placed.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    /// Bytes in a buffer of CUDA's and in a processor's, padding and alignment included.
    on_cuda: u64,
    on_cpu: u64,
    pub(super) loaded: bool,
    /// Whether every device with blocks holds a copy.
    pub(super) everywhere: bool,
    pub(super) belongs: Belongs,
    /// Whether a GPU of this machine can run the operation it is used with; a worker always says that it can.
    gpu_runs: bool,
}

/// Which device a tensor goes to without a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    Host,
    Block(usize),
    Output,
}

/// The tensors of a model.
pub(super) fn survey(model: &Model, rig: &Rig) -> Vec<Weight> {
    let probe = (0..rig.host().0).map(Place).find(|place| !rig.is_remote(*place));
    // Most blocks have tensors like those of the block before.
    let mut known: HashMap<(Op, DType, &[u64]), bool> = HashMap::new();
    let on_gpus = model.tensors.iter().map(|tensor| {
        let op = operation(tensor);
        let kind = (op, tensor.dtype, tensor.dims.as_slice());
        probe.is_none_or(|probe| *known.entry(kind).or_insert_with(|| runs(tensor, op, probe, rig)))
    });
    let of = |(tensor, gpu_runs): (&Tensor, bool)| Weight {
        on_cuda: size(tensor, true),
        on_cpu: size(tensor, false),
        loaded: !model.is_nextn(tensor),
        everywhere: is_everywhere(tensor),
        belongs: match tensor.layer {
            Some(layer) => Belongs::Block(layer as usize),
            None if is_input(&tensor.name) => Belongs::Host,
            None if is_everywhere(tensor) || tensor.name.starts_with("per_layer_") => {
                Belongs::Block(0)
            }
            // LFM2 calls its output norm so.
            None if tensor.name.starts_with("token_embd_norm")
                && !model.architecture.starts_with("lfm2") =>
            {
                Belongs::Block(0)
            }
            None => Belongs::Output,
        },
        gpu_runs,
    };
    model.tensors.iter().zip(on_gpus).map(of).collect()
}

impl Weight {
    /// Where the tensor goes without a rule: `layers` has a place for every block and, last, the output.
    pub(super) fn home(&self, layers: &[Place], rig: &Rig) -> Option<Place> {
        if !self.loaded {
            return None;
        }
        let place = match self.belongs {
            Belongs::Host => None,
            Belongs::Block(il) => layers.get(il),
            Belongs::Output => layers.last(),
        };
        let runs = |place: &Place| self.gpu_runs || rig.is_remote(*place);
        Some(place.copied().filter(runs).unwrap_or(rig.host()))
    }

    pub(super) fn bytes(&self, place: Place, rig: &Rig) -> u64 {
        if rig.is_cuda(place) { self.on_cuda } else { self.on_cpu }
    }
}

/// Every loaded tensor's place by the rules.
pub(super) fn homes(
    model: &Model,
    weights: &[Weight],
    layers: &[Place],
    rules: &Rules,
    rig: &Rig,
) -> Result<Vec<Option<Place>>, EstimateError> {
    let each = model.tensors.iter().zip(weights);
    each.map(|(tensor, weight)| match rules.find(&tensor.name) {
        Some(Ok(place)) if weight.loaded => Ok(Some(*place)),
        Some(Err(target)) if weight.loaded => {
            Err(EstimateError::Unused { target: target.clone(), tensor: tensor.name.clone() })
        }
        _ => Ok(weight.home(layers, rig)),
    })
    .collect()
}

/// Bytes on every GPU, then on the host.
pub(super) fn bytes(
    weights: &[Weight],
    homes: &[Option<Place>],
    trunk: &[Place],
    rig: &Rig,
) -> Vec<u64> {
    let host = rig.host();
    let mut bytes = vec![0; usize::from(host.0) + 1];
    let mut add = |weight: &Weight, place: Place| {
        if let Some(sum) = bytes.get_mut(usize::from(place.0)) {
            *sum += weight.bytes(place, rig);
        }
    };
    for (weight, home) in weights.iter().zip(homes) {
        if let Some(home) = home {
            add(weight, *home);
        }
    }
    for (weight, home) in weights.iter().zip(homes).filter(|(weight, _)| weight.everywhere) {
        for place in (0..=host.0).map(Place) {
            if Some(place) != *home && trunk.contains(&place) {
                add(weight, place);
            }
        }
    }
    bytes
}

/// Tensors of which every device with blocks holds a copy.
fn is_everywhere(tensor: &Tensor) -> bool {
    tensor.layer.is_none() && tensor.name.starts_with("rope_f")
}

fn is_input(name: &str) -> bool {
    ["token_embd.", "position_embd.", "token_types.", "per_layer_token_embd."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The operation that a weight is used with.
fn operation(tensor: &Tensor) -> Op {
    let base = tensor.base();
    let suffix = base.rsplit('.').next().unwrap_or_default();
    if suffix == "bias" {
        if base.contains("_exps") { Op::AddId } else { Op::Add }
    } else if tensor.role == Role::RoutedExpert {
        Op::MulMatId
    } else if base.contains("norm") || suffix == "scale" {
        Op::Mul
    } else if base == "ssm_conv1d.weight" {
        Op::SsmConv
    } else if tensor.name == "token_embd.weight" {
        Op::GetRows
    } else if tensor.dims.len() < 2 {
        Op::Mul
    } else {
        Op::MulMat
    }
}

/// Whether a GPU can run the operation that the weight is used with.
fn runs(tensor: &Tensor, op: Op, place: Place, rig: &Rig) -> bool {
    let Some(layout) = tensor.dtype.layout() else { return false };
    let size = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let ty = Ty::new(tensor.dtype.0, size(layout.block_len), size(layout.block_bytes));
    let mut graph = Graph::new(rig.host(), 8);
    let ne = [0, 1, 2, 3].map(|i| tensor.dim(i));
    let weight = graph.resident(ty, ne, Home::Weight(place));
    let node = probe(&mut graph, op, weight);
    rig.supports(&graph, node, place)
}

/// A node that uses the weight as the model will.
fn probe(graph: &mut Graph, op: Op, weight: Id) -> Id {
    let ne = graph[weight].ne;
    match op {
        Op::GetRows => {
            let ids = graph.input(Ty::I32, [512, 1, 1, 1]);
            graph.get_rows(weight, ids)
        }
        Op::MulMat => {
            let x = graph.input(Ty::F32, [ne[0], 512, ne[2], ne[3]]);
            graph.mul_mat(weight, x)
        }
        Op::MulMatId => {
            let x = graph.input(Ty::F32, [ne[0], 1, 512, 1]);
            let ids = graph.input(Ty::I32, [1, 512, 1, 1]);
            graph.mul_mat_id(weight, x, ids)
        }
        Op::SsmConv => {
            let x = graph.input(Ty::F32, [ne[0] - 1 + 512, ne[1], 3, 1]);
            graph.ssm_conv(x, weight)
        }
        other => {
            let x = graph.input(Ty::F32, ne);
            graph.like(other, x, [weight])
        }
    }
}

/// The bytes of one tensor in a buffer, padding and alignment included.
fn size(tensor: &Tensor, on_cuda: bool) -> u64 {
    let Some(layout) = tensor.dtype.layout() else { return tensor.bytes.0 };
    if !on_cuda {
        return tensor.bytes.0.next_multiple_of(HOST_ALIGNMENT);
    }
    let size = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let ty = Ty::new(tensor.dtype.0, size(layout.block_len), size(layout.block_bytes));
    (tensor.bytes.0 + cuda::row_padding(ty, tensor.dim(0))).next_multiple_of(CUDA_ALIGNMENT)
}
