//! Which backend computes each node, and the copies between them, after ggml's scheduler.

use super::cuda;
use super::fuse;
use super::graph::{Graph, Home, Id, Op, Place, Sources, Tensor};
use super::rig::Rig;

/// Consecutive nodes on one backend, and what has to be copied there first.
struct Split {
    place: Place,
    nodes: std::ops::Range<usize>,
    inputs: Vec<Id>,
}

/// The graph as it is handed to the allocator: every node and leaf with its backend.
pub(super) struct Scheduled {
    pub(super) nodes: Vec<(Id, Place)>,
    pub(super) leafs: Vec<(Id, Place)>,
    pub(super) splits: usize,
}

pub(super) fn schedule(graph: &mut Graph, rig: &Rig) -> Scheduled {
    let places = assign(graph, rig, Pins::Forgotten);
    let uses = fuse::Uses::count(graph);
    let mut copies = Copies::new(graph.len(), rig);
    let splits = split(graph, rig, &places, &mut copies);
    let keep: Vec<_> = splits
        .iter()
        .filter(|split| split.place != rig.host() && !rig.is_remote(split.place))
        .flat_map(|split| fuse::optimize(graph, split.nodes.clone(), &uses))
        .collect();
    listing(graph, rig, &places, &splits, &mut copies, &keep)
}

/// The backend of a tensor that has a buffer, where that backend can run `op`.
fn of_buffer(graph: &Graph, rig: &Rig, tensor: Id, op: Id) -> Option<Place> {
    let place = home(graph, tensor)?.place();
    rig.supports(graph, op, place).then_some(place)
}

fn home(graph: &Graph, id: Id) -> Option<Home> {
    let tensor = &graph[id];
    tensor.view.map_or(tensor.home, |(root, _)| graph[root].home)
}

/// Where a node's own buffer or its weights put it.
fn preferred(graph: &Graph, rig: &Rig, id: Id) -> Option<Place> {
    if let Some(place) = of_buffer(graph, rig, id, id) {
        return Some(place);
    }
    let tensor = &graph[id];
    if tensor.input {
        return Some(rig.host());
    }
    if matches!(tensor.op, Op::Rope | Op::FlashAttn) {
        return None;
    }
    let weight =
        tensor.src.iter().find(|source| matches!(graph[*source].home, Some(Home::Weight(_))))?;
    let place = of_buffer(graph, rig, weight, id)?;
    if rig.op_offload && place == rig.host() && cuda::offloads(tensor) {
        let taker = rig.gpus().find(|(gpu, unit)| !unit.remote && rig.supports(graph, id, *gpu));
        if let Some((gpu, _)) = taker {
            return Some(gpu);
        }
    }
    Some(place)
}

pub(super) type Places = Vec<Option<Place>>;

/// Whether the backends that llama.cpp demands for single nodes are still known.
///
/// Its dry run resets the scheduler between building a graph and measuring it, and so forgets them. The same
/// graph is allocated with them later, which takes a little less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pins {
    Kept,
    Forgotten,
}

/// The backend of every tensor.
pub(super) fn assign(graph: &Graph, rig: &Rig, pins: Pins) -> Places {
    let mut places: Places = vec![None; graph.len()];
    for id in graph.leafs.iter().chain(&graph.nodes) {
        if let Some(slot) = places.get_mut(id.index()) {
            let pinned = graph[*id].pinned.filter(|_| pins == Pins::Kept);
            *slot = pinned.or_else(|| preferred(graph, rig, *id));
        }
    }
    let work: Vec<Id> = graph.nodes.iter().copied().filter(|id| !graph[*id].op.is_view()).collect();
    for except in [Some(rig.host()), None] {
        spread(graph, rig, &mut places, work.iter(), except);
        // Nothing is left to be placed after the first pass of most graphs.
        if work.iter().all(|id| at(&places, *id).is_some()) {
            break;
        }
        spread(graph, rig, &mut places, work.iter().rev(), except);
    }
    for id in &work {
        if at(&places, *id).is_none() {
            let best = most_inputs(graph, rig, &places, *id);
            put(&mut places, *id, best);
        }
    }
    for id in &graph.nodes {
        inherit(graph, rig, &mut places, *id);
    }
    places
}

pub(super) fn at(places: &Places, id: Id) -> Option<Place> {
    places.get(id.index()).copied().flatten()
}

fn put(places: &mut Places, id: Id, place: Option<Place>) {
    if let Some(slot) = places.get_mut(id.index()) {
        *slot = place;
    }
}

/// Lets each node without a backend follow the one before it; `except` does not spread.
fn spread<'a>(
    graph: &Graph,
    rig: &Rig,
    places: &mut Places,
    order: impl Iterator<Item = &'a Id>,
    except: Option<Place>,
) {
    let mut current = None;
    for id in order {
        match at(places, *id) {
            Some(place) => current = Some(place).filter(|_| Some(place) != except),
            None => {
                if let Some(place) = current.filter(|place| rig.supports(graph, *id, *place)) {
                    put(places, *id, Some(place));
                }
            }
        }
    }
}

/// Whether a backend reads the tensor where it is.
fn readable(graph: &Graph, places: &Places, id: Id, place: Place) -> bool {
    if let Some(home) = home(graph, id) {
        return home.place() == place;
    }
    let root = graph[id].view.map(|(root, _)| root);
    at(places, id).or_else(|| root.and_then(|root| at(places, root))) == Some(place)
}

fn most_inputs(graph: &Graph, rig: &Rig, places: &Places, id: Id) -> Option<Place> {
    let mut best = None;
    for place in rig.gpus().map(|(place, _)| place).chain([rig.host()]) {
        if rig.supports(graph, id, place) {
            let count =
                graph[id].src.iter().filter(|src| readable(graph, places, *src, place)).count();
            if best.is_none_or(|(most, _)| count > most) {
                best = Some((count, place));
            }
        }
    }
    best.map(|(_, place)| place)
}

/// Views go with what they look at, and sources without a backend with their reader.
fn inherit(graph: &Graph, rig: &Rig, places: &mut Places, id: Id) {
    if at(places, id).is_none()
        && let Some((root, _)) = graph[id].view
    {
        let place = at(places, root);
        put(places, id, place);
    }
    let own = at(places, id);
    for source in graph[id].src.all() {
        if at(places, source).is_none() {
            let place = graph[source].view.map_or(own, |(root, _)| at(places, root));
            put(places, source, place);
        }
    }
    if at(places, id).is_none() {
        let mut all = rig.gpus().map(|(place, _)| place).chain([rig.host()]);
        put(places, id, all.find(|place| rig.supports(graph, id, *place)));
    }
}

/// The copies of a tensor on other backends, one per batch in flight.
struct Copies {
    first: Vec<Option<Id>>,
    backends: usize,
    each: usize,
}

impl Copies {
    fn new(tensors: usize, rig: &Rig) -> Self {
        let backends = rig.units.len() + 1;
        Self { first: vec![None; tensors * backends], backends, each: rig.copies }
    }

    fn slot(&mut self, id: Id, place: Place) -> Option<&mut Option<Id>> {
        self.first.get_mut(id.index() * self.backends + usize::from(place.0))
    }

    fn get(&mut self, id: Id, place: Place) -> Option<Id> {
        self.slot(id, place).copied().flatten()
    }

    /// Makes the copies; `own` stands in for the first of them.
    fn make(&mut self, graph: &mut Graph, id: Id, place: Place, own: Option<Id>) -> Id {
        let flight = self.each > 1;
        let template = Tensor {
            op: Op::None,
            src: Sources::default(),
            view: None,
            home: None,
            input: flight,
            output: flight,
            pinned: None,
            ..graph[id].clone()
        };
        let made = if own.is_some() { self.each - 1 } else { self.each };
        let mut first = own;
        for _ in 0..made {
            let copy = graph.add(template.clone());
            first = first.or(Some(copy));
        }
        if let Some(slot) = self.slot(id, place) {
            *slot = first;
        }
        first.unwrap_or(id)
    }
}

fn split(graph: &mut Graph, rig: &Rig, places: &Places, copies: &mut Copies) -> Vec<Split> {
    let mut splits: Vec<Split> = Vec::new();
    for i in 0..graph.nodes.len() {
        let Some(id) = graph.nodes.get(i).copied() else { break };
        if graph[id].op.is_view() {
            continue;
        }
        let place = at(places, id).unwrap_or(rig.host());
        let foreign = |graph: &Graph, source: Id| {
            at(places, source) != Some(place) && !readable(graph, places, source, place)
        };
        // A weight of another backend starts a new split, so that the room of the last one is free again.
        let goes_on = splits.last().is_some_and(|split| {
            split.place == place
                && (split.inputs.is_empty()
                    || !graph[id].src.iter().any(|source| {
                        matches!(graph[source].home, Some(Home::Weight(_)))
                            && foreign(graph, source)
                    }))
        });
        if !goes_on {
            let start = match splits.last_mut() {
                Some(last) => {
                    last.nodes.end = i;
                    i
                }
                None => 0,
            };
            splits.push(Split { place, nodes: start..i, inputs: Vec::new() });
        }
        for (j, source) in graph[id].src.into_iter().enumerate() {
            if !foreign(graph, source) {
                continue;
            }
            let copy = if let Some(copy) = copies.get(source, place) {
                copy
            } else {
                if let Some(split) = splits.last_mut() {
                    split.inputs.push(source);
                }
                copies.make(graph, source, place, None)
            };
            graph[id].src.set(j, copy);
        }
    }
    if let Some(last) = splits.last_mut() {
        last.nodes.end = graph.nodes.len();
    }
    splits
}

/// A stand-in that keeps its sources from being overwritten before this point.
fn keep_alive(graph: &mut Graph, sources: &[Id]) -> Option<Id> {
    let first = *sources.first()?;
    let root = graph[first].view.map_or(first, |(root, _)| root);
    let (ty, ne) = (graph[first].ty, graph[first].ne);
    let src = sources.iter().copied().collect();
    Some(graph.add(Tensor { src, view: Some((root, 0)), ..Tensor::new(Op::None, ty, ne) }))
}

fn listing(
    graph: &mut Graph,
    rig: &Rig,
    places: &Places,
    splits: &[Split],
    copies: &mut Copies,
    keep: &[fuse::Keep],
) -> Scheduled {
    let of = |id: Id| at(places, id).unwrap_or(rig.host());
    let mut nodes = Vec::with_capacity(graph.nodes.len() + 64);
    let mut kept = keep.iter().peekable();
    for split in splits {
        for input in &split.inputs {
            if let Some(stand_in) = keep_alive(graph, &[*input]) {
                nodes.push((stand_in, of(*input)));
            }
            if let Some(copy) = copies.get(*input, split.place) {
                nodes.push((copy, split.place));
            }
        }
        for i in split.nodes.clone() {
            let Some(id) = graph.nodes.get(i).copied() else { break };
            nodes.push((id, of(id)));
            while let Some(keep) = kept.next_if(|keep| keep.until == i) {
                for sources in keep.tensors.chunks(10) {
                    if let Some(stand_in) = keep_alive(graph, sources) {
                        nodes.push((stand_in, split.place));
                    }
                }
            }
        }
    }
    let mut leafs = Vec::new();
    if rig.copies > 1 {
        let inputs: Vec<Id> =
            graph.leafs.iter().copied().filter(|leaf| graph[*leaf].input).collect();
        for leaf in inputs {
            let (place, next) = (of(leaf), graph.len());
            graph[leaf].output = true;
            copies.make(graph, leaf, place, Some(leaf));
            leafs.push((leaf, place));
            leafs.extend(graph.ids(next).map(|id| (id, place)));
        }
        for split in splits {
            for input in &split.inputs {
                if let Some(first) = copies.get(*input, split.place) {
                    for id in graph.ids(first.index()).take(rig.copies) {
                        leafs.push((id, split.place));
                    }
                }
            }
        }
    }
    leafs.extend(graph.leafs.iter().map(|leaf| (*leaf, of(*leaf))));
    Scheduled { nodes, leafs, splits: splits.len() }
}
