//! What the CUDA backend keeps alive, and moves together, so that it can fuse kernels later.
//!
//! Only the parts that change the size of the compute buffer.

use std::ops::Range;

use super::graph::{Graph, Home, Id, Op};

/// Tensors that must stay until the node at this index is done.
pub(super) struct Keep {
    pub(super) until: usize,
    pub(super) tensors: Vec<Id>,
}

/// Looks through one split of the graph; shared experts move up beside the routed ones.
pub(super) fn optimize(graph: &mut Graph, nodes: Range<usize>, uses: &Uses) -> Vec<Keep> {
    let mut keep = Vec::new();
    group_shared_experts(graph, &nodes, &mut keep);
    let mut i = nodes.start;
    while i < nodes.end {
        if let Some(reduction) = weighted_reduction(graph, &nodes, i) {
            i = reduction.until;
            keep.push(reduction);
        }
        if let Some((last, routing)) = routing(graph, &nodes, i, uses) {
            keep.push(routing);
            i = last;
        }
        i += 1;
    }
    merge(keep)
}

/// One entry per node, in order, without repetitions.
fn merge(mut keep: Vec<Keep>) -> Vec<Keep> {
    keep.sort_by_key(|keep| keep.until);
    let mut merged: Vec<Keep> = Vec::new();
    for next in keep {
        match merged.last_mut() {
            Some(last) if last.until == next.until => {
                for id in next.tensors {
                    if !last.tensors.contains(&id) {
                        last.tensors.push(id);
                    }
                }
            }
            _ => {
                let mut tensors = Vec::new();
                for id in next.tensors {
                    if !tensors.contains(&id) {
                        tensors.push(id);
                    }
                }
                merged.push(Keep { until: next.until, tensors });
            }
        }
    }
    merged
}

fn node(graph: &Graph, nodes: &Range<usize>, i: usize) -> Option<Id> {
    if nodes.contains(&i) { graph.nodes.get(i).copied() } else { None }
}

fn op(graph: &Graph, nodes: &Range<usize>, i: usize) -> Option<Op> {
    node(graph, nodes, i).map(|id| graph[id].op)
}

fn source(graph: &Graph, id: Id, i: usize) -> Option<Id> {
    graph[id].src.get(i)
}

/// How often each node is read in the whole graph.
pub(super) struct Uses(Vec<u32>);

impl Uses {
    pub(super) fn count(graph: &Graph) -> Self {
        let mut uses = vec![0; graph.len()];
        for id in &graph.nodes {
            for source in graph[*id].src.all() {
                if let Some(count) = uses.get_mut(source.index()) {
                    *count += 1;
                }
            }
        }
        Self(uses)
    }

    fn of(&self, id: Id) -> u32 {
        self.0.get(id.index()).copied().unwrap_or(0)
    }
}

/// The routed experts' gate, up and activation at `i`, and the shared expert's at `j`.
fn group_shared_experts(graph: &mut Graph, nodes: &Range<usize>, keep: &mut Vec<Keep>) {
    let mut i = nodes.start;
    while i + 5 < nodes.end {
        if op(graph, nodes, i) == Some(Op::MulMatId) && opens_experts(graph, nodes, i) {
            let mut j = i + 3;
            while j + 2 < nodes.end {
                let here = op(graph, nodes, j);
                if here == Some(Op::MulMatId) && op(graph, nodes, j + 1) == here {
                    break;
                }
                if here == Some(Op::MulMat) && is_shared_expert(graph, nodes, i, j) {
                    if let Some(between) = graph.nodes.get_mut(i + 3..j + 3) {
                        between.rotate_right(3);
                    }
                    let up = node(graph, nodes, i + 2).and_then(|glu| source(graph, glu, 1));
                    let tensors =
                        up.map(|up| graph[up].src.iter().skip(1).collect()).unwrap_or_default();
                    keep.push(Keep { until: i + 5, tensors });
                    i += 5;
                    break;
                }
                j += 1;
            }
        }
        i += 1;
    }
}

/// Whether two experts' products and their activation start here.
fn opens_experts(graph: &Graph, nodes: &Range<usize>, i: usize) -> bool {
    [op(graph, nodes, i + 1), op(graph, nodes, i + 2)] == [Some(Op::MulMatId), Some(Op::Glu)]
}

fn is_shared_expert(graph: &Graph, nodes: &Range<usize>, i: usize, j: usize) -> bool {
    let triple = |from: usize, product: Op| -> Option<(Id, Id, Id)> {
        let [a, b, glu] = [from, from + 1, from + 2].map(|k| node(graph, nodes, k));
        let (a, b, glu) = (a?, b?, glu?);
        let (gate, up) = (source(graph, glu, 0)?, source(graph, glu, 1)?);
        let ordered = (gate, up) == (a, b) || (gate, up) == (b, a);
        let ops = graph[a].op == product && graph[b].op == product && graph[glu].op == Op::Glu;
        (ordered && ops).then_some((gate, up, glu))
    };
    let found = triple(i, Op::MulMatId).zip(triple(j, Op::MulMat));
    let Some(((gate, up, _), (shared_gate, shared_up, _))) = found else { return false };
    let weight = |id: Id| source(graph, id, 0).map(|w| &graph[w]);
    let (Some(w), Some(gate_w), Some(s), Some(sg)) =
        (weight(up), weight(gate), weight(shared_up), weight(shared_gate))
    else {
        return false;
    };
    let (Some(input), Some(shared_input)) = (source(graph, up, 1), source(graph, shared_up, 1))
    else {
        return false;
    };
    let same_inputs = source(graph, gate, 1) == Some(input)
        && source(graph, shared_gate, 1) == Some(shared_input);
    same_inputs
        && matches!(w.home, Some(Home::Weight(_)))
        && w.ty.is_quantized()
        && gate_w.ty == w.ty
        && gate_w.ne == w.ne
        && sg.ty == s.ty
        && sg.ne == s.ne
        && graph[input].op == Op::Reshape
        && source(graph, input, 0) == Some(shared_input)
        && graph[input].ne[1] == 1
        && graph[input].ne[3] == 1
        && w.ty == s.ty
        && w.ne[0] == s.ne[0]
        && w.ne[1] == s.ne[1]
        && w.ne[3] == 1
        && s.op == Op::None
        && sg.op == Op::None
}

/// `experts * weights`, one view per expert, and their sum.
fn weighted_reduction(graph: &Graph, nodes: &Range<usize>, i: usize) -> Option<Keep> {
    const MOST_EXPERTS: u64 = 15;
    let first = node(graph, nodes, i)?;
    if graph[first].op != Op::Mul || !graph[first].is_contiguous() {
        return None;
    }
    let parts = |mul: Id| -> Option<(Id, Id)> {
        let (a, b) = (source(graph, mul, 0)?, source(graph, mul, 1)?);
        let shape = graph[mul].ne;
        let full = |id: Id| graph[id].ne == shape && graph[id].is_contiguous();
        let thin =
            |id: Id| graph[id].ne == [1, shape[1], shape[2], shape[3]] && graph[id].is_contiguous();
        if full(a) && thin(b) {
            Some((a, b))
        } else if full(b) && thin(a) {
            Some((b, a))
        } else {
            None
        }
    };
    let mut weighted = first;
    let mut muls = 1;
    let mut kept = None;
    if let Some(second) = node(graph, nodes, i + 1)
        && graph[second].op == Op::Mul
        && graph[second].is_contiguous()
        && let Some((scaled, route)) = parts(second)
        && scaled == first
        && let Some((raw, scale)) = parts(first)
    {
        weighted = second;
        muls = 2;
        kept = Some(vec![raw, route, scale]);
    }
    let tensors = match kept {
        Some(tensors) => tensors,
        None => parts(first).map(|(experts, weights)| vec![experts, weights])?,
    };
    let shape = graph[weighted].ne;
    let experts = shape[1];
    if !(2..=MOST_EXPERTS).contains(&experts) {
        return None;
    }
    let count = usize::try_from(2 * experts).ok()? + muls - 1;
    let mut views: Vec<Id> = Vec::new();
    let mut sum: Option<Id> = None;
    let mut added = 0usize;
    for k in muls..count {
        let candidate = node(graph, nodes, i + k)?;
        if graph[candidate].op == Op::View {
            let of_weighted = source(graph, candidate, 0) == Some(weighted);
            if !of_weighted || views.len() as u64 >= experts {
                return None;
            }
            views.push(candidate);
        } else {
            let left = sum.or_else(|| views.first().copied());
            let right = views.get(added + 1).copied()?;
            if graph[candidate].op != Op::Add
                || source(graph, candidate, 0) != left
                || source(graph, candidate, 1) != Some(right)
            {
                return None;
            }
            sum = Some(candidate);
            added += 1;
        }
    }
    (views.len() as u64 == experts && added as u64 + 1 == experts)
        .then_some(Keep { until: i + count - 1, tensors })
}

/// The choice of experts: from the gating activation to the weights; and the index of its last node.
fn routing(graph: &Graph, nodes: &Range<usize>, i: usize, uses: &Uses) -> Option<(usize, Keep)> {
    let first = node(graph, nodes, i)?;
    let follows = |k: usize, wanted: Op, of: usize| -> Option<()> {
        let id = node(graph, nodes, k)?;
        let before = node(graph, nodes, of)?;
        (graph[id].op == wanted && source(graph, id, 0) == Some(before)).then_some(())
    };
    let probs = match graph[first].op {
        Op::SoftMax | Op::Sigmoid => i,
        Op::Softplus => {
            follows(i + 1, Op::Sqrt, i)?;
            i + 1
        }
        _ => return None,
    };
    if graph[first].op == Op::SoftMax && graph[first].src.get(1).is_some() {
        return None;
    }
    follows(probs + 1, Op::Reshape, probs)?;
    let mut k = probs + 2;
    let mut sorted = probs;
    if follows(k, Op::Add, probs).is_some() {
        sorted = k;
        k += 1;
    }
    follows(k, Op::Argsort, sorted)?;
    follows(k + 1, Op::View, k)?;
    let ids = node(graph, nodes, k + 1)?;
    follows(k + 2, Op::GetRows, probs + 1)?;
    let rows = node(graph, nodes, k + 2)?;
    if source(graph, rows, 1) != Some(ids) {
        return None;
    }
    let mut end = k + 3;
    let normalized = follows(end, Op::Reshape, end - 1)
        .and_then(|()| follows(end + 1, Op::SumRows, end))
        .and_then(|()| follows(end + 2, Op::Clamp, end + 1))
        .and_then(|()| follows(end + 3, Op::Div, end))
        .and_then(|()| follows(end + 4, Op::Reshape, end + 3));
    if normalized.is_some() {
        end += 5;
    }
    if follows(end, Op::Scale, end - 1).is_some() {
        end += 1;
    }
    let experts = graph[ids].nb[1] / graph[ids].nb[0];
    let known = (experts.is_power_of_two() && experts <= 512) || matches!(experts, 288 | 576);
    if !known || end >= nodes.end {
        return None;
    }
    let group = graph.nodes.get(i..end)?;
    let mut inside = vec![0; group.len()];
    for source in group.iter().flat_map(|reader| graph[*reader].src.all()) {
        if let Some(at) = group.iter().position(|id| *id == source)
            && let Some(count) = inside.get_mut(at)
        {
            *count += 1;
        }
    }
    let inner_only = group
        .iter()
        .zip(inside)
        .enumerate()
        .all(|(n, (id, inside))| i + n == k + 1 || i + n == end - 1 || inside == uses.of(*id));
    if !inner_only {
        return None;
    }
    let mut tensors = Vec::new();
    for n in i..end {
        let id = node(graph, nodes, n)?;
        for id in std::iter::once(id).chain(graph[id].src.all()) {
            if !tensors.contains(&id) {
                tensors.push(id);
            }
        }
    }
    Some((end - 1, Keep { until: end, tensors }))
}
