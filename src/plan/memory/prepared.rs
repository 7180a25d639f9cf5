//! One model with one set of flags, ready to be tried with many placements.
//!
//! Weights and caches are sums over tables made once. The compute buffer is simulated once for each kind of
//! arrangement: how often equal blocks repeat does not change it, so that most placements of a search hit the
//! table of those already known.
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::allocate;
use super::build::{self, Built, Names, Plan};
use super::cache;
use super::devices;
use super::graph::Place;
use super::kinds;
use super::plausible;
use super::repeat;
use super::request::{FlashAttention, GpuLayers, Request, SplitMode};
use super::rig::{Rig, Unit};
use super::schedule::{self, Pins};
use super::settle;
use super::setup::Setup;
use super::weights::{self, Rules, Weight};
use super::{DeviceMemory, Estimate, EstimateError, HostMemory, MOST_SLOTS};
use crate::gguf::{Finding, Model};
use crate::hardware::Gpu;
use crate::profile::Addition;
use crate::units::Bytes;

/// Batches in flight with pipeline parallelism.
const FLIGHTS: usize = 4;

/// Where something lies: on one of the GPUs in use, by its position among them, or in system memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Spot {
    Gpu(u8),
    Host,
}

/// A placement to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// One per block of the file, those for further-token prediction included.
    pub layers: Vec<Spot>,
    pub output: Spot,
    /// One per tensor of the model; absent where it is not loaded.
    pub tensors: Vec<Option<Spot>>,
    /// Whether there is any `-ot` rule: llama.cpp then does without pipeline parallelism.
    pub overridden: bool,
}

/// What one device will hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub model: Bytes,
    pub context: Bytes,
    pub compute: Bytes,
}

impl Usage {
    pub fn total(self) -> Bytes {
        self.model + self.context + self.compute
    }
}

/// The compute buffers of one arrangement.
#[derive(Clone, Debug)]
struct Compute {
    bytes: Vec<u64>,
    flash: bool,
}

pub struct Prepared<'a> {
    model: &'a Model,
    gpus: &'a [Gpu],
    request: &'a Request,
    /// The GPUs in use, as indices into the host's list.
    used: Vec<usize>,
    rig: Rig,
    setup: Setup,
    names: Names,
    weights: Vec<Weight>,
    /// Equal numbers for blocks with equal tensors and caches.
    kinds: Vec<u64>,
    /// The tensors of each block; behind them, those outside of the blocks.
    members: Vec<Vec<usize>>,
    /// Where the tied embedding is in that list.
    tied: Option<usize>,
    /// What the build takes beyond the modelled one.
    addition: Option<&'a Addition>,
    known: Mutex<HashMap<u64, Compute>>,
}

impl<'a> Prepared<'a> {
    pub fn new(
        model: &'a Model,
        gpus: &'a [Gpu],
        request: &'a Request,
    ) -> Result<Self, EstimateError> {
        if request.flash_attn == FlashAttention::Off && request.cache_type_v.is_quantized() {
            return Err(EstimateError::QuantizedValues);
        }
        let (slots, batch) = (request.slots().0, request.batch_size);
        if !(1..=MOST_SLOTS).contains(&slots) {
            return Err(EstimateError::Slots { slots });
        }
        if batch < slots {
            return Err(EstimateError::Batch { batch, slots });
        }
        let addition = match &request.profile {
            None => None,
            Some(profile) => {
                Some(profile.addition(model).ok_or_else(|| EstimateError::Profile {
                    profile: profile.name.clone(),
                    architecture: model.architecture.clone(),
                    known: profile.architectures().join(", "),
                })?)
            }
        };
        plausible::check(model)?;
        let used = devices::named(gpus, request)?;
        let units = used.iter().filter_map(|i| gpus.get(*i)).map(Unit::of).collect();
        let rig = Rig { units, op_offload: request.op_offload, copies: 1 };
        let weights = weights::survey(model, &rig);
        let tied = model
            .tied_embeddings()
            .then(|| model.tensors.iter().position(|tensor| tensor.name == "token_embd.weight"))
            .flatten();
        Ok(Self {
            setup: settle::settle(model, request, rig.host()),
            names: Names::of(model),
            kinds: kinds::kinds(model),
            members: kinds::members(model),
            known: Mutex::new(HashMap::new()),
            model,
            gpus,
            request,
            used,
            rig,
            weights,
            tied,
            addition,
        })
    }

    /// The GPUs in use, by their index in the host's list; a `Spot::Gpu` counts in this list.
    pub fn gpus(&self) -> &[usize] {
        &self.used
    }

    /// What the flags themselves amount to.
    pub fn requested(&self) -> Result<Trial, EstimateError> {
        let rules = Rules::new(self.request, self.gpus, &self.used)?;
        let shares = devices::shares(self.gpus, &self.used, self.request);
        let places = devices::assign(self.model.block_count as usize, &shares, self.request);
        let homes = weights::homes(self.model, &self.weights, &places, &rules, &self.rig)?;
        Ok(self.trial(&places, &homes, !rules.is_empty()))
    }

    /// All blocks on GPUs: `counts` blocks on each, the output counted as the last; as
    /// `-ngl all -ts COUNTS` places them.
    pub fn by_counts(&self, counts: &[u32]) -> Trial {
        let shares: Vec<f32> = counts.iter().map(|count| *count as f32).collect();
        let request = Request { gpu_layers: GpuLayers::All, ..self.request.clone() };
        let places = devices::assign(self.model.block_count as usize, &shares, &request);
        let homes: Vec<_> = self.weights.iter().map(|w| w.home(&places, &self.rig)).collect();
        self.trial(&places, &homes, false)
    }

    fn trial(&self, places: &[Place], homes: &[Option<Place>], overridden: bool) -> Trial {
        let (output, layers) =
            places.split_last().map_or((self.rig.host(), &[][..]), |(a, b)| (*a, b));
        Trial {
            layers: layers.iter().map(|place| self.spot(*place)).collect(),
            output: self.spot(output),
            tensors: homes.iter().map(|home| home.map(|place| self.spot(place))).collect(),
            overridden,
        }
    }

    fn spot(&self, place: Place) -> Spot {
        if place == self.rig.host() { Spot::Host } else { Spot::Gpu(place.0) }
    }

    fn place(&self, spot: Spot) -> Place {
        match spot {
            Spot::Gpu(gpu) if Place(gpu) < self.rig.host() => Place(gpu),
            Spot::Gpu(_) | Spot::Host => self.rig.host(),
        }
    }

    /// Bytes of one tensor where it would lie.
    pub fn tensor_bytes(&self, tensor: usize, spot: Spot) -> Bytes {
        let bytes = |weight: &Weight| weight.bytes(self.place(spot), &self.rig);
        Bytes(self.weights.get(tensor).map_or(0, bytes))
    }

    /// Bytes of a block's attention cache and recurrent state.
    pub fn context_bytes(&self, layer: usize) -> Bytes {
        let on_cuda = self.request.kv_offload && self.rig.is_cuda(Place(0));
        Bytes(cache::block(self.model, &self.setup, layer, on_cuda))
    }

    /// What every GPU in use, and behind them the host, will hold.
    pub fn evaluate(&self, trial: &Trial) -> Result<Vec<Usage>, EstimateError> {
        self.run(trial).map(|(usage, _)| usage)
    }

    /// The same with names, free memory and the host's other needs.
    pub fn estimate(&self, trial: &Trial) -> Result<Estimate, EstimateError> {
        let (usage, flash_attn) = self.run(trial)?;
        let (host, devices) =
            usage.split_last().map_or((Usage::default(), &[][..]), |(a, b)| (*a, b));
        let names = devices::buffers(self.gpus);
        let devices = self.used.iter().zip(devices).map(|(gpu, usage)| DeviceMemory {
            name: names.get(*gpu).cloned().unwrap_or_default(),
            model: usage.model,
            context: usage.context,
            compute: usage.compute,
            free: self.gpus.get(*gpu).map_or(Bytes::ZERO, |gpu| gpu.free),
        });
        Ok(Estimate {
            devices: devices.collect(),
            host: HostMemory::new(self.model, self.request, &self.setup, host),
            flash_attn,
        })
    }

    fn run(&self, trial: &Trial) -> Result<(Vec<Usage>, bool), EstimateError> {
        let host = self.rig.host();
        let layers: Vec<Place> = trial.layers.iter().map(|spot| self.place(*spot)).collect();
        let output = self.place(trial.output);
        let homes: Vec<Option<Place>> =
            trial.tensors.iter().map(|spot| spot.map(|spot| self.place(spot))).collect();
        let trunk = layers.get(..self.model.trunk() as usize).unwrap_or_default();
        let mut model = weights::bytes(&self.weights, &homes, trunk, &self.rig);
        let tied_output = self.tied_output(&homes, output);
        if let Some(tied) = self.tied
            && homes.get(tied).copied().flatten() != Some(tied_output)
            && let Some(sum) = model.get_mut(usize::from(tied_output.0))
        {
            *sum += self.weights.get(tied).map_or(0, |weight| weight.bytes(tied_output, &self.rig));
        }
        let full_offload = !layers.contains(&host) && output != host;
        let setup = Setup { full_offload, layers, tied_output, ..self.setup.clone() };
        let pipelined = self.used.len() > 1
            && full_offload
            && self.request.split_mode == SplitMode::Layer
            && self.request.kv_offload
            && !trial.overridden;
        let rig = Rig { copies: if pipelined { FLIGHTS } else { 1 }, ..self.rig.clone() };
        let compute = self.compute(&setup, &rig, &homes)?;
        let context = cache::bytes(self.model, &setup, &rig);
        let at = |list: &[u64], i: usize| Bytes(list.get(i).copied().unwrap_or(0));
        let usage = (0..=usize::from(host.0)).map(|i| Usage {
            model: at(&model, i),
            context: at(&context, i),
            compute: at(&compute.bytes, i) + self.added(i, &compute.bytes),
        });
        Ok((usage.collect(), compute.flash))
    }

    /// What the profile adds on a GPU that computes at all.
    fn added(&self, gpu: usize, compute: &[u64]) -> Bytes {
        let works = gpu < self.used.len() && compute.get(gpu).is_some_and(|bytes| *bytes > 0);
        let added = self.addition.filter(|_| works);
        added.map_or(Bytes::ZERO, |addition| addition.bytes(gpu, self.setup.tokens))
    }

    /// A tied embedding lies a second time where the output is, unless a rule put it elsewhere.
    fn tied_output(&self, homes: &[Option<Place>], output: Place) -> Place {
        let host = self.rig.host();
        let moved = self.tied.and_then(|tied| homes.get(tied).copied().flatten());
        moved.filter(|place| *place != host).unwrap_or(output)
    }

    fn compute(
        &self,
        setup: &Setup,
        rig: &Rig,
        homes: &[Option<Place>],
    ) -> Result<Compute, EstimateError> {
        let keys = self.keys(setup, homes);
        let mut layers = repeat::shorten(&keys);
        let arrangement = self.arrangement(&keys, &layers, setup, rig, homes);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compute) = known().get(&arrangement) {
            return Ok(compute.clone());
        }
        let mut compute = self.simulate(setup, rig, homes, &layers)?;
        // Batches in flight keep the inputs of every split, so that these must not be left out.
        if rig.copies > 1 && compute.1 > rig.units.len() + 1 && layers.len() < keys.len() {
            layers = (0..keys.len()).collect();
            compute = self.simulate(setup, rig, homes, &layers)?;
            return Ok(compute.0);
        }
        known().insert(arrangement, compute.0.clone());
        Ok(compute.0)
    }

    /// The buffers for these blocks, and the number of splits.
    fn simulate(
        &self,
        setup: &Setup,
        rig: &Rig,
        homes: &[Option<Place>],
        layers: &[usize],
    ) -> Result<(Compute, usize), EstimateError> {
        let build = |setup: &Setup| {
            let plan = Plan { model: self.model, names: &self.names, setup, rig, homes };
            build::graph(plan, layers).ok_or_else(|| incomplete(self.model))
        };
        let mut flash = setup.flash;
        if self.request.flash_attn == FlashAttention::Auto
            && flash
            && !self.request.cache_type_v.is_quantized()
        {
            let probe =
                Setup { tokens: setup.sequences, outputs: setup.sequences, ..setup.clone() };
            flash = runs_where_the_blocks_are(&build(&probe)?, rig, &setup.layers);
        }
        let setup = Setup { flash, ..setup.clone() };
        let Built { mut graph, .. } = build(&setup)?;
        let scheduled = schedule::schedule(&mut graph, rig);
        let bytes = allocate::peaks(&graph, rig, &scheduled);
        Ok((Compute { bytes, flash }, scheduled.splits))
    }

    /// One number per block of the trunk: equal where the blocks make equal parts of the graph.
    fn keys(&self, setup: &Setup, homes: &[Option<Place>]) -> Vec<u64> {
        (0..self.model.trunk() as usize)
            .map(|il| {
                let mut hasher = DefaultHasher::new();
                self.kinds.get(il).hash(&mut hasher);
                setup.layers.get(il).hash(&mut hasher);
                for tensor in self.members.get(il).into_iter().flatten() {
                    homes.get(*tensor).hash(&mut hasher);
                }
                hasher.finish()
            })
            .collect()
    }

    fn arrangement(
        &self,
        keys: &[u64],
        layers: &[usize],
        setup: &Setup,
        rig: &Rig,
        homes: &[Option<Place>],
    ) -> u64 {
        let mut hasher = DefaultHasher::new();
        for il in layers {
            keys.get(*il).hash(&mut hasher);
        }
        for tensor in self.members.last().into_iter().flatten() {
            homes.get(*tensor).hash(&mut hasher);
        }
        (setup.tied_output, setup.full_offload, rig.copies).hash(&mut hasher);
        hasher.finish()
    }
}

/// Why there is no graph: what `inspect` says of the file, where that is a cause.
fn incomplete(model: &Model) -> EstimateError {
    let architecture = model.architecture.clone();
    let is_cause = |finding: &&Finding| match finding {
        // A header alone is what most estimates are made from.
        Finding::HeaderOnly { .. } => false,
        Finding::UnknownType { .. } | Finding::UnknownArchitecture { .. } => true,
        other => other.is_fatal(),
    };
    match model.findings.iter().find(is_cause) {
        Some(cause) => EstimateError::Unknown { architecture, cause: cause.to_string() },
        None => EstimateError::Tensors { architecture },
    }
}

/// llama.cpp keeps flash attention only if each block's own device can run it.
fn runs_where_the_blocks_are(built: &Built, rig: &Rig, places: &[Place]) -> bool {
    let assigned = schedule::assign(&built.graph, rig, Pins::Kept);
    built
        .flash_nodes
        .iter()
        .all(|(id, il)| schedule::at(&assigned, *id) == places.get(*il).copied())
}
