//! How long a token takes, predicted: bytes read over each memory's bandwidth, plus fixed costs per block and per
//! visit to the CPU. Calibrated on measured speeds; the constants and their source are in `speed/constants.toml`.

mod fit;
mod system;
mod traffic;
mod wire;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::memory::{LoadMode, Prepared, Request, Trial};
use crate::gguf::Model;
use crate::hardware::{Gpu, Host, Speed};
pub use fit::{Fit, Sample, fit, largest, spread};
pub use system::System;
pub use wire::{Crossing, Load, Shape, Wire};

/// Constants of the model. Times in seconds, bandwidths in bytes per second, efficiencies as shares.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    /// Of a GPU whose bandwidth is not known, GB/s.
    pub gpu_default_gbs: f64,
    /// Of system memory whose bandwidth is not known, GB/s.
    pub ram_default_gbs: f64,
    /// From one GPU to the next.
    pub hop_seconds: f64,
    /// What a call of a worker takes beside the link's time: threads that wake up on both sides.
    pub call_seconds: f64,
    /// Tensors of a block's attention, and of its experts, in a graph that is sent anew.
    pub attention_tensors: f64,
    pub expert_tensors: f64,
    /// Weights that one core works on, GB/s.
    pub core_gbs: f64,
    /// Weights on their way to a GPU for a large batch, GB/s: out of pinned memory, and out of a mapped file.
    pub pinned_gbs: f64,
    pub mapped_gbs: f64,
    /// Operations in the time that one byte is read, large batches: of a GPU, of a GPU on routed experts, of the
    /// processor.
    pub gpu_operations: f64,
    pub expert_operations: f64,
    pub cpu_operations: f64,
    /// What a token of a large batch takes in a block that keeps a state, which is computed token after token.
    pub scan_us: f64,
    /// The relative error of prompt speeds, as far as it is known.
    pub prompt_error: f64,
    /// Of the modelled build, on a machine that nobody measured.
    pub speed: Speed,
}

/// What the constants are.
pub static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "the file is part of the program, and a test reads it")]
    toml::from_str(include_str!("speed/constants.toml")).unwrap()
});

/// What the machine's memories deliver, bytes per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    pub gpus: Vec<f64>,
    pub cpu: f64,
    /// What system memory is rated for.
    pub memory: f64,
    /// Per device of another machine, what it costs to get there.
    pub wires: Vec<Option<Wire>>,
    pub costs: Speed,
}

/// What one token reads and where it goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Bytes read per GPU.
    pub gpus: Vec<f64>,
    pub cpu: f64,
    /// Blocks with a cache, and blocks with a state instead.
    pub blocks: f64,
    pub recurrent: f64,
    /// Blocks whose experts are on the CPU, wholly or in part.
    pub visits: f64,
    /// From one GPU to the next.
    pub hops: u32,
    /// What crosses to other machines, per device.
    pub crossings: Vec<Crossing>,
    /// Bytes of weights in system memory that a large batch takes to the first GPU.
    pub streamed: f64,
    /// Weights that work on one token, as bytes.
    pub active: f64,
    /// Of them, routed experts: all, and those in system memory.
    pub experts: f64,
    pub away: f64,
}

/// Tokens per second, predicted, with relative errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    pub decode_tps: f64,
    pub prompt_tps: f64,
    /// Of `decode_tps`.
    pub error: f64,
    /// Of `prompt_tps`: a rough model, no measurement stands behind it.
    pub prompt_error: f64,
    /// A bandwidth was not known and a common one was taken.
    pub assumed: bool,
}

impl Rates {
    /// Of GPUs in device order, in a machine, with its costs. `shape` is the model's.
    pub fn new(gpus: &[&Gpu], system: System, shape: Shape, costs: Speed) -> Self {
        let c = &*CONSTANTS;
        let gpu = |gpu: &&Gpu| match &gpu.remote {
            Some(remote) if remote.cpu => {
                System { ram_gbs: gpu.bandwidth_gbs, ..System::default() }.rate(costs)
            }
            _ => gpu.bandwidth_gbs.unwrap_or(c.gpu_default_gbs) * 1e9 * costs.gpu_efficiency,
        };
        let wire = |gpu: &&Gpu| Some(Wire { link: gpu.remote.as_ref()?.link, shape });
        Self {
            gpus: gpus.iter().map(gpu).collect(),
            cpu: system.rate(costs),
            memory: system.memory(),
            wires: gpus.iter().map(wire).collect(),
            costs,
        }
    }

    pub fn wire(&self, device: usize) -> Option<Wire> {
        self.wires.get(device).copied().flatten()
    }

    /// The first device of this machine, which takes work over from the CPU.
    pub fn first_local(&self) -> Option<usize> {
        self.wires.iter().position(Option::is_none)
    }

    /// Seconds on the way to a run of blocks and from there to the next.
    pub fn hop(&self, device: usize) -> f64 {
        self.wire(device).map_or(CONSTANTS.hop_seconds, |wire| wire.seconds(wire.run(1.0)))
    }
}

/// A machine's rates, and what a token of this trial reads there.
pub fn of_trial(
    model: &Model,
    host: &Host,
    request: &Request,
    prepared: &Prepared<'_>,
    trial: &Trial,
) -> (Rates, Traffic) {
    let used: Vec<&Gpu> = prepared.gpus().iter().filter_map(|at| host.gpus.get(*at)).collect();
    let system = System::of(host).on(request.threads);
    let rates =
        Rates::new(&used, system, Shape::of(model), system.costs(request.profile.as_deref()));
    let traffic = Traffic::of(model, prepared, trial, &rates);
    (rates, traffic)
}

/// Seconds per token while an answer is written, at a nearly empty context.
pub fn seconds(rates: &Rates, traffic: &Traffic) -> f64 {
    let gpus: f64 = traffic.gpus.iter().zip(&rates.gpus).map(|(bytes, rate)| bytes / rate).sum();
    gpus + traffic.cpu / rates.cpu
        + traffic.blocks * micros(rates.costs.block_us)
        + traffic.recurrent * micros(rates.costs.recurrent_us)
        + traffic.visits * micros(rates.costs.visit_us)
        + beside(traffic)
}

/// Seconds per token that no machine's costs are in.
fn beside(traffic: &Traffic) -> f64 {
    f64::from(traffic.hops) * CONSTANTS.hop_seconds
        + traffic.crossings.iter().map(|crossing| crossing.seconds).sum::<f64>()
}

fn micros(us: f64) -> f64 {
    us * 1e-6
}

/// Both speeds.
pub fn predict(rates: &Rates, traffic: &Traffic, request: &Request, assumed: bool) -> Prediction {
    let tokens = request.batch() as f64;
    Prediction {
        decode_tps: 1.0 / seconds(rates, traffic),
        prompt_tps: tokens / batch(rates, traffic, request, tokens).max(f64::MIN_POSITIVE),
        error: rates.costs.error,
        prompt_error: CONSTANTS.prompt_error,
        assumed,
    }
}

/// Seconds for a batch of a prompt. Weights in system memory come to this machine's first GPU, once, unless the processor
/// is to compute what it holds; another machine's devices compute what they hold.
fn batch(rates: &Rates, traffic: &Traffic, request: &Request, tokens: f64) -> f64 {
    let c = &*CONSTANTS;
    // Two operations per weight; the bytes of a weight differ by type, about one each.
    let done = |active: f64, rate: f64, operations: f64| {
        2.0 * active.max(0.0) * tokens / (rate * operations)
    };
    let local = rates.gpus.iter().zip(&rates.wires).filter(|(_, wire)| wire.is_none());
    let gpu = local.map(|(rate, _)| *rate).reduce(f64::max);
    let remote = rates.gpus.iter().zip(&rates.wires).zip(&traffic.gpus);
    let remote = remote.filter(|((_, wire), _)| wire.is_some());
    let (theirs, elsewhere) = remote.fold((0.0, 0.0), |(bytes, seconds), ((rate, _), read)| {
        (bytes + read, seconds + done(*read, *rate, c.gpu_operations))
    });
    let gbs = if request.load_mode == LoadMode::Copied { c.pinned_gbs } else { c.mapped_gbs };
    // Fewer tokens than that are computed where the weights lie.
    let streams = request.op_offload && tokens >= OFFLOADED;
    let (here, experts, kept) = match gpu {
        Some(_) if streams => (traffic.active - theirs, traffic.experts, 0.0),
        Some(_) => {
            (traffic.active - theirs - traffic.cpu, traffic.experts - traffic.away, traffic.cpu)
        }
        None => (0.0, 0.0, traffic.active - theirs),
    };
    let experts = experts.clamp(0.0, here.max(0.0));
    let gpu = gpu.unwrap_or(rates.cpu);
    let stream = if streams && kept <= 0.0 { traffic.streamed / (gbs * 1e9) } else { 0.0 };
    // A batch crosses a link as often as a token does, with a state for each of its tokens.
    let wired: f64 = traffic.crossings.iter().map(|crossing| crossing.batch(tokens)).sum();
    stream
        + done(here - experts, gpu, c.gpu_operations)
        + done(experts, gpu, c.expert_operations)
        + done(kept, rates.cpu, c.cpu_operations)
        + tokens * traffic.recurrent * micros(c.scan_us)
        + elsewhere
        + wired
}

/// Tokens of a batch from which on a GPU takes over what lies in system memory (`GGML_OP_OFFLOAD_MIN_BATCH`).
const OFFLOADED: f64 = 32.0;

#[cfg(test)]
mod tests {
    use super::{Rates, Shape, System, Traffic, seconds};
    use crate::profile::Profile;

    /// Bytes that a token reads on CUDA0, CUDA1 and the CPU, blocks with experts on the CPU, measured tokens per second.
    ///
    /// From the headers of the seven files (of UD-Q5_K_XL from its size and its measured weights), with the blocks split
    /// by free memory as llama.cpp does without `-ts`.
    const MEASURED: [(&str, [f64; 3], f64, f64); 7] = [
        ("Q5_K_M 64K, 18+8", [1316.4e6, 887.6e6, 492.5e6], 22.0, 27.4),
        ("Q5_K_M 256K, 15+7", [1250.1e6, 866.0e6, 580.4e6], 26.0, 24.9),
        ("UD-Q5_K_XL 256K, 15+7", [1666.3e6, 1152.7e6, 572.7e6], 26.0, 25.8),
        ("Q6_K 256K, 12+6", [1372.5e6, 941.5e6, 774.1e6], 30.0, 21.7),
        ("UD-Q6_K_XL 256K, 13+6", [1681.5e6, 1155.9e6, 766.1e6], 29.0, 21.4),
        ("UD-Q6_K_XL 256K q4_0, 14+6", [1707.3e6, 1155.9e6, 740.3e6], 28.0, 21.0),
        ("Q4_K_M 64K, 20+10", [1153.2e6, 829.1e6, 345.5e6], 18.0, 31.0),
    ];

    fn gpu(gbs: f64) -> crate::hardware::Gpu {
        crate::hardware::Gpu {
            name: String::new(),
            memory: crate::units::Bytes::ZERO,
            free: crate::units::Bytes::ZERO,
            compute_capability: "8.9".parse().unwrap(),
            bandwidth_gbs: Some(gbs),
            pci: None,
            uuid: None,
            remote: None,
        }
    }

    #[test]
    fn is_within_ten_percent_of_every_measured_speed() {
        let gpus = [gpu(1008.0), gpu(896.0)];
        let shape = Shape { state: 8192.0, logits: 0.0, experts_used: 10.0 };
        let system = System { ram_gbs: Some(50.0), cores: Some(8), speed: None };
        let costs = system.costs(Profile::named("seed-2026-02").as_deref());
        let rates = Rates::new(&gpus.iter().collect::<Vec<_>>(), system, shape, costs);
        for (name, [first, second, cpu], visits, measured) in MEASURED {
            let traffic = Traffic {
                gpus: vec![first, second],
                cpu,
                blocks: 12.0,
                recurrent: 36.0,
                visits,
                hops: 2,
                ..Traffic::default()
            };
            let predicted = 1.0 / seconds(&rates, &traffic);
            let error = predicted / measured - 1.0;
            assert!(error.abs() < 0.10, "{name}: {predicted:.1} instead of {measured}");
        }
    }
}
