//! Where each tensor of the model lies, and the bytes that takes on every device.

use regex::Regex;

use super::cuda;
use super::devices;
use super::graph::{Graph, Home, Id, Op, Place, Ty};
use super::request::Request;
use super::schedule::Rig;
use super::EstimateError;
use crate::gguf::{Model, Role, Tensor};

const CUDA_ALIGNMENT: u64 = 128;
const HOST_ALIGNMENT: u64 = 32;

/// The rules of `-ot`, compiled.
#[derive(Clone, Debug)]
pub(super) struct Rules(Vec<(Regex, Option<Place>)>);

impl Rules {
    /// `used` are the GPUs in use, as indices into the host's list; others take weights out of sight.
    pub(super) fn new(request: &Request, used: &[usize]) -> Result<Self, EstimateError> {
        let host = Place(u8::try_from(used.len()).unwrap_or(u8::MAX));
        let rules = request.overrides.iter().map(|rule| {
            let pattern = Regex::new(&rule.pattern)
                .map_err(|_| EstimateError::Pattern { pattern: rule.pattern.clone() })?;
            let place = if rule.target == "CPU" {
                Some(host)
            } else {
                let gpu = devices::index(&rule.target)
                    .ok_or_else(|| EstimateError::Target { target: rule.target.clone() })?;
                let place = used.iter().position(|used| *used == gpu);
                place.and_then(|place| u8::try_from(place).ok()).map(Place)
            };
            Ok((pattern, place))
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, name: &str) -> Option<Option<Place>> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(name)).map(|(_, place)| *place)
    }
}

/// The model's tensors on their devices.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// One per tensor; absent where it is not loaded.
    pub(super) homes: Vec<Option<Place>>,
    pub(super) tied_output: Place,
    /// Bytes on every GPU, then on the host.
    pub(super) bytes: Vec<u64>,
}

/// Places the tensors: `layers` has a place for every block and, last, for the output.
pub(super) fn place(model: &Model, layers: &[Place], rules: &Rules, rig: &Rig) -> Weights {
    let host = rig.host();
    let output = layers.last().copied().unwrap_or(host);
    let mut weights =
        Weights { homes: Vec::new(), tied_output: output, bytes: vec![0; usize::from(host.0) + 1] };
    for tensor in &model.tensors {
        let home = home(model, tensor, layers, rules, rig);
        if let Some(place) = home {
            add(&mut weights.bytes, tensor, place, host);
        }
        weights.homes.push(home);
    }
    if model.tied_embeddings()
        && let Some(at) = model.tensors.iter().position(|tensor| tensor.name == "token_embd.weight")
        && let Some(embedding) = model.tensors.get(at)
    {
        let place = match rules.find(&embedding.name) {
            Some(place) => place.unwrap_or(host),
            None => supported(embedding, Op::MulMat, output, rig),
        };
        weights.tied_output = place;
        if weights.homes.get(at).copied().flatten() != Some(place) {
            add(&mut weights.bytes, embedding, place, host);
        }
    }
    for tensor in model.tensors.iter().filter(|tensor| is_everywhere(tensor)) {
        let trunk = layers.get(..model.trunk() as usize).unwrap_or_default();
        let mut places: Vec<Place> = trunk.to_vec();
        places.sort_unstable();
        places.dedup();
        for place in places {
            if layers.first() != Some(&place) {
                add(&mut weights.bytes, tensor, place, host);
            }
        }
    }
    weights
}

/// Tensors of which every device with blocks holds a copy.
fn is_everywhere(tensor: &Tensor) -> bool {
    tensor.layer.is_none() && tensor.name.starts_with("rope_f")
}

fn home(
    model: &Model,
    tensor: &Tensor,
    layers: &[Place],
    rules: &Rules,
    rig: &Rig,
) -> Option<Place> {
    if model.is_nextn(tensor) {
        return None;
    }
    let host = rig.host();
    if let Some(place) = rules.find(&tensor.name) {
        return Some(place.unwrap_or(host));
    }
    let place = match tensor.layer {
        Some(layer) => layers.get(layer as usize).copied().unwrap_or(host),
        None if is_input(&tensor.name) => host,
        None if is_everywhere(tensor) || tensor.name.starts_with("token_embd_norm") => {
            layers.first().copied().unwrap_or(host)
        }
        None => layers.last().copied().unwrap_or(host),
    };
    Some(supported(tensor, operation(tensor), place, rig))
}

fn is_input(name: &str) -> bool {
    ["token_embd.", "position_embd.", "token_types.", "per_layer_token_embd."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The operation that a weight is used with.
fn operation(tensor: &Tensor) -> Op {
    let base = tensor.base();
    if base.ends_with(".bias") {
        if base.contains("_exps") { Op::AddId } else { Op::Add }
    } else if tensor.role == Role::RoutedExpert {
        Op::MulMatId
    } else if base.contains("norm") || base.ends_with(".scale") {
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

/// The place, or the host where the device cannot run the weight's operation.
fn supported(tensor: &Tensor, op: Op, place: Place, rig: &Rig) -> Place {
    let host = rig.host();
    if place == host {
        return host;
    }
    let Some(layout) = tensor.dtype.layout() else { return host };
    let size = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let ty = Ty::new(tensor.dtype.0, size(layout.block_len), size(layout.block_bytes));
    let mut graph = Graph::new(host);
    let ne = [0, 1, 2, 3].map(|i| tensor.dim(i));
    let weight = graph.resident(ty, ne, Home::Weight(place));
    let node = probe(&mut graph, op, weight);
    if rig.supports(&graph, node, place) { place } else { host }
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

fn add(bytes: &mut [u64], tensor: &Tensor, place: Place, host: Place) {
    let size = size(tensor, place != host);
    if let Some(sum) = bytes.get_mut(usize::from(place.0)) {
        *sum += size;
    }
}

/// The bytes of one tensor in a buffer, padding and alignment included.
pub(super) fn size(tensor: &Tensor, on_gpu: bool) -> u64 {
    let Some(layout) = tensor.dtype.layout() else { return tensor.bytes.0 };
    if !on_gpu {
        return tensor.bytes.0.next_multiple_of(HOST_ALIGNMENT);
    }
    let size = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let ty = Ty::new(tensor.dtype.0, size(layout.block_len), size(layout.block_bytes));
    (tensor.bytes.0 + cuda::row_padding(ty, tensor.dim(0))).next_multiple_of(CUDA_ALIGNMENT)
}
