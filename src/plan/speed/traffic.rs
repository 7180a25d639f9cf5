//! What a token reads and where it goes, for any flags: the same sums as the planner's own, from where each tensor lies.

use super::{Load, Rates, Traffic};
use crate::gguf::{Model, Role};
use crate::plan::memory::{Prepared, Spot, Trial};

/// One block of the model, or the output behind the last.
#[derive(Clone, Debug, Default)]
struct Block {
    /// Bytes read per GPU in use, but for routed experts.
    gpus: Vec<f64>,
    /// GPUs on which routed experts lie.
    experts: Vec<usize>,
    /// Whether experts lie in system memory, and their bytes.
    away: bool,
    streamed: f64,
    /// It keeps a state instead of a cache.
    recurrent: bool,
}

impl Traffic {
    /// Of a trial on these GPUs (those in use, in their order), whose rates are `rates`.
    pub fn of(model: &Model, prepared: &Prepared<'_>, trial: &Trial, rates: &Rates) -> Self {
        let gpus = prepared.gpus().len();
        let count = model.block_count as usize;
        let mut traffic = Self { gpus: vec![0.0; gpus], ..Self::default() };
        let mut blocks = vec![Block { gpus: vec![0.0; gpus], ..Block::default() }; count + 1];
        let used = model.experts.map_or(1.0, |experts| {
            if experts.count == 0 { 1.0 } else { experts.used as f64 / experts.count as f64 }
        });
        let tied = model.tied_embeddings();
        for (index, tensor) in model.tensors.iter().enumerate() {
            let Some(spot) = trial.tensors.get(index).copied().flatten() else { continue };
            if model.is_nextn(tensor) {
                continue;
            }
            let output = tensor.role == Role::Output || tensor.name.starts_with("output");
            let embedding = tied && tensor.name == "token_embd.weight";
            let at = match tensor.layer {
                Some(layer) => layer as usize,
                None if output || embedding => count,
                // Of the embedding one row is read.
                None => continue,
            };
            let Some(block) = blocks.get_mut(at) else { continue };
            block.recurrent |= tensor.role == Role::Recurrent;
            let routed = tensor.role == Role::RoutedExpert;
            let read = tensor.bytes.0 as f64 * if routed { used } else { 1.0 };
            traffic.active += read;
            traffic.experts += if routed { read } else { 0.0 };
            // The output's copy of a tied embedding lies where the output is.
            match if embedding { trial.output } else { spot } {
                Spot::Gpu(gpu) => {
                    let gpu = usize::from(gpu);
                    if let Some(sum) = traffic.gpus.get_mut(gpu) {
                        *sum += read;
                    }
                    if routed {
                        block.experts.push(gpu);
                    } else if let Some(sum) = block.gpus.get_mut(gpu) {
                        *sum += read;
                    }
                }
                Spot::Host => {
                    traffic.cpu += read;
                    if routed {
                        traffic.away += read;
                        block.away = true;
                        block.streamed += tensor.bytes.0 as f64;
                    }
                }
            }
        }
        traffic.recurrent = blocks.iter().filter(|block| block.recurrent).count() as f64;
        traffic.blocks = count as f64 - traffic.recurrent;
        let mut last = None;
        let mut loads = vec![Load::default(); gpus];
        let add = |loads: &mut [Load], device: usize, load: Load| {
            if let Some(sum) = loads.get_mut(device) {
                *sum = *sum + load;
            }
        };
        for block in &blocks {
            // Where most of the block's other weights are is where it is computed; without any it stays on the CPU.
            let most = block.gpus.iter().copied().fold(0.0, f64::max);
            let Some(home) = block.gpus.iter().position(|read| *read > 0.0 && *read >= most) else {
                continue;
            };
            traffic.streamed += block.streamed;
            if block.away {
                traffic.visits += 1.0;
            }
            match rates.wire(home) {
                _ if last == Some(home) => {}
                None => traffic.hops += 1,
                Some(wire) => add(&mut loads, home, wire.run(1.0)),
            }
            last = Some(home);
            if let Some(wire) = rates.wire(home).filter(|_| block.away) {
                add(&mut loads, home, wire.interruptions(1.0));
            }
            let elsewhere = block.experts.iter().find(|gpu| **gpu != home);
            match elsewhere.map(|gpu| (*gpu, rates.wire(*gpu))) {
                None => {}
                Some((_, None)) => traffic.hops += 2,
                Some((gpu, Some(wire))) => add(&mut loads, gpu, wire.experts(1.0)),
            }
        }
        if let Some(wire) = last.and_then(|last| rates.wire(last))
            && let Some(last) = last
        {
            add(&mut loads, last, wire.output());
        }
        let crossing = |(device, load): (usize, &Load)| {
            let wire = rates.wire(device).filter(|_| *load != Load::default())?;
            Some(wire.crossing("", "", *load))
        };
        traffic.crossings = loads.iter().enumerate().filter_map(crossing).collect();
        traffic
    }
}
