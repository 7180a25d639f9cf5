//! What the CUDA backend can run, what it takes over from the host, and the extra bytes it asks for.

use super::graph::{Graph, Home, Id, Op, Place, Tensor, Ty};
use crate::hardware::ComputeCapability;

/// Batches of at least this many rows are computed on a GPU even where the weight lies in host memory.
const OFFLOAD_ROWS: u64 = 32;
/// Quantized rows are padded to a multiple of this many elements.
const ROW_PADDING: u64 = 512;
const F16_SCRATCH_ALIGNMENT: u64 = 128;

/// The flash-attention kernel that CUDA picks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kernel {
    None,
    /// Reads the cache in its own type where it was compiled for the pair of types.
    Vector,
    /// Needs K and V in f16.
    Matrix,
}

/// Whether `device` can run the node. The host runs everything.
pub(super) fn supports(
    graph: &Graph,
    id: Id,
    device: Place,
    capability: ComputeCapability,
) -> bool {
    let node = &graph[id];
    let elsewhere = |source: Id| match graph[source].home {
        Some(home) => home.place() != device && !is_host(graph, home),
        None => false,
    };
    if node.src.iter().any(elsewhere) {
        return false;
    }
    let source = |i: usize| node.src.get(i).map(|id| &graph[id]);
    let Some(a) = source(0) else { return true };
    match node.op {
        Op::MulMat | Op::MulMatId | Op::Hadamard => {
            let dense = |t: &Tensor| t.nb[0] == u64::from(t.ty.bytes);
            let b = source(1).unwrap_or(a);
            dense(a) && dense(b) && !(b.ty == Ty::F16 && a.ty != Ty::F16) && multiplies(a.ty)
        }
        Op::GetRows => gathers(a),
        Op::SetRows => {
            let from = a.ty;
            (from == Ty::F32 && (stores(node.ty))) || (from == Ty::F16 && node.ty == Ty::F16)
        }
        Op::Unary | Op::Sigmoid | Op::Softplus | Op::Silu => a.is_contiguous(),
        Op::Glu => a.is_contiguous_from(1),
        Op::Norm | Op::RmsNorm => a.has_contiguous_rows(),
        Op::SumRows | Op::Mean => a.ty == Ty::F32 && a.has_contiguous_rows(),
        Op::Rope => a.nb[0] == u64::from(a.ty.bytes) && a.is_contiguous_from(2),
        Op::SsmConv => a.ne[1] % 128 == 0,
        Op::SsmScan => scans(a, source(3), source(4)),
        Op::FlashAttn => kernel(graph, node, capability) != Kernel::None,
        Op::Repeat => a.ty == Ty::F32 || a.ty == Ty::F16,
        Op::Concat => source(1).is_none_or(|b| a.ty == b.ty),
        Op::Add | Op::Sub | Op::Mul | Op::Div => {
            let float = |t: &Tensor| t.ty == Ty::F32 || t.ty == Ty::F16;
            float(a) && source(1).is_none_or(float)
        }
        _ => true,
    }
}

fn is_host(graph: &Graph, home: Home) -> bool {
    home.place() == graph.host
}

fn multiplies(ty: Ty) -> bool {
    matches!(ty.id, 0..=3 | 6..=8 | 10..=23 | 29 | 30 | 39..=42)
}

fn gathers(table: &Tensor) -> bool {
    match table.ty.id {
        0..=3 | 6..=8 | 10..=14 | 16..=19 | 21..=23 | 26 | 29 | 30 | 41 | 42 => true,
        20 | 39 => table.ne[0].is_multiple_of(256),
        _ => false,
    }
}

fn stores(ty: Ty) -> bool {
    matches!(ty.id, 0..=3 | 6..=8 | 20 | 30)
}

fn scans(state: &Tensor, a: Option<&Tensor>, b: Option<&Tensor>) -> bool {
    if a.is_some_and(|a| a.ne[0] == 1) {
        matches!(state.ne[0], 96 | 128 | 256) && state.ne[1].is_multiple_of(16)
    } else {
        state.ne[0] == 16
            && state.ne[1] == 1
            && state.ne[2].is_multiple_of(128)
            && b.is_some_and(|b| b.ne[1] == 1)
    }
}

/// Whether a GPU takes the node over although its weight lies in host memory.
pub(super) fn offloads(node: &Tensor) -> bool {
    let rows = match node.op {
        Op::GetRows => 0,
        Op::MulMat | Op::Hadamard => node.ne[1],
        Op::MulMatId | Op::Rope => node.ne[2],
        _ => node.rows(),
    };
    rows >= OFFLOAD_ROWS
}

/// Bytes that a tensor takes in a CUDA buffer, before alignment.
pub(super) fn bytes(graph: &Graph, id: Id, capability: ComputeCapability) -> u64 {
    let tensor = &graph[id];
    let plain = tensor.bytes();
    if tensor.op == Op::FlashAttn {
        return plain_with_scratch(graph, tensor, plain, capability);
    }
    plain + row_padding(tensor.ty, tensor.ne[0])
}

/// What CUDA adds once per quantized tensor so that its kernels may read past the last row.
pub(super) fn row_padding(ty: Ty, row: u64) -> u64 {
    let rest = row % ROW_PADDING;
    if ty.is_quantized() && rest != 0 { ty.row(ROW_PADDING - rest) } else { 0 }
}

/// The attention result with the f16 copies of K and V that its kernel works on.
fn plain_with_scratch(
    graph: &Graph,
    node: &Tensor,
    plain: u64,
    capability: ComputeCapability,
) -> u64 {
    let (Some(k_id), Some(v_id)) = (node.src.get(1), node.src.get(2)) else { return plain };
    let (k, v) = (&graph[k_id], &graph[v_id]);
    let q_width = node.src.get(0).map_or(0, |q| graph[q].ne[0]);
    let (need_k, need_v) = match kernel(graph, node, capability) {
        Kernel::None => (false, false),
        Kernel::Matrix => (true, true),
        Kernel::Vector => {
            let missing = !has_vector_kernel(q_width, k.ty, v.ty);
            (k.ty == Ty::F32 || missing, v.ty == Ty::F32 || missing)
        }
    };
    let mut end = plain;
    if need_k && k.ty != Ty::F16 {
        end = end.next_multiple_of(F16_SCRATCH_ALIGNMENT) + k.elements() * 2;
    }
    let v_is_k = v.view.is_some_and(|(root, offset)| {
        root == k_id || k.view.is_some_and(|view| view == (root, offset))
    });
    if need_v && v.ty != Ty::F16 && !v_is_k {
        end = end.next_multiple_of(F16_SCRATCH_ALIGNMENT) + v.elements() * 2;
    }
    end
}

/// The pairs of cache types that a build compiles vector kernels for by default.
fn has_vector_kernel(width: u64, k: Ty, v: Ty) -> bool {
    let plain = |ty: Ty| if ty == Ty::F32 { Ty::F16 } else { ty };
    matches!(width, 64 | 128 | 256)
        && plain(k) == plain(v)
        && [Ty::F16, Ty::BF16, Ty::Q4_0, Ty::Q8_0].contains(&plain(k))
}

fn kernel(graph: &Graph, node: &Tensor, capability: ComputeCapability) -> Kernel {
    let mut sources = node.src.iter().map(|id| &graph[id]);
    let (Some(q), Some(k), Some(v), Some(mask)) =
        (sources.next(), sources.next(), sources.next(), sources.next())
    else {
        return Kernel::None;
    };
    let group = q.ne[2] / k.ne[2].max(1);
    let aligned = |t: &Tensor| t.ty.is_quantized() || t.nb.iter().skip(1).all(|nb| nb % 16 == 0);
    let grouped = group >= 2 && k.ne[1] % 256 == 0 && [q, k, v, mask].into_iter().all(aligned);
    let fits = match k.ne[0] {
        40 | 64 | 72 | 80 | 96 | 112 | 128 | 256 => v.ne[0] == k.ne[0],
        192 => v.ne[0] == 128 && grouped && group % 8 == 0,
        320 => v.ne[0] == 256 && grouped && group % 32 == 0,
        512 => v.ne[0] == 512 && grouped,
        576 => v.ne[0] == 512 && grouped,
        _ => false,
    };
    let known = |ty: Ty| matches!(ty.id, 0..=3 | 6..=8 | 30);
    if !fits || !known(k.ty) || !known(v.ty) || mask.ne[2] != 1 {
        return Kernel::None;
    }
    let (width, batch) = (q.ne[0], q.ne[1]);
    let quantized = k.ty.is_quantized() || v.ty.is_quantized();
    let vector = width <= 256 && width % 64 == 0 && width != 192 && k.ne[1] % 256 == 0;
    let tensor_cores = (capability.major, capability.minor) >= (7, 5) && width != 40 && width != 72;
    let ada = (capability.major, capability.minor) >= (8, 9);
    let prefers_vector = if tensor_cores {
        let small = if quantized {
            batch <= if ada { 2 } else { 1 }
        } else {
            let wide_group = group > 4 && (width >= 256 || k.ne[1] >= 8192);
            ada && batch == 1 && q.ne[3] == 1 && !wide_group
        };
        small || (!grouped && batch == 1)
    } else if quantized {
        batch <= 2
    } else {
        batch == 1 && !grouped
    };
    if vector && prefers_vector { Kernel::Vector } else { Kernel::Matrix }
}
