//! `[placement]`: which weights live on which device.

use toml::de::DeValue;

use crate::table::{Kind, Number, Value, choice, lists, table};

choice! {
    /// How a model is spread over several GPUs. `row` is deprecated in llama.cpp, `tensor` experimental.
    pub enum SplitMode { None = "none", Layer = "layer", Row = "row", Tensor = "tensor", }
}

choice! {
    /// How the weights come into memory. `none` reads them into pinned memory, where prompts stream fastest.
    pub enum LoadMode {
        Auto = "auto", None = "none", Mmap = "mmap", Mlock = "mlock", MmapMlock = "mmap+mlock", Dio = "dio",
    }
}

choice! {
    /// The smallest piece that a planned placement moves.
    pub enum Granularity { Layer = "layer", Tensor = "tensor", }
}

choice! {
    /// A switch that takes its word as a value.
    pub enum OnOff { On = "on", Off = "off", }
}

choice! {
    /// Placement on machines with several memory nodes.
    pub enum Numa { Distribute = "distribute", Isolate = "isolate", Numactl = "numactl", }
}

/// Layers to offload: a number, as many as fit, or all. `99` is fewer than all of a model with 99 blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuLayers {
    Count(u32),
    Auto,
    All,
}

impl Value for GpuLayers {
    const KIND: Kind = Kind::IntegerOr(&["auto", "all"]);

    fn read(value: &DeValue<'_>) -> Option<Self> {
        match value.as_str() {
            Some("auto") => Some(Self::Auto),
            Some("all") => Some(Self::All),
            Some(_) => None,
            None => u32::read(value).map(Self::Count),
        }
    }

    fn word(&self) -> String {
        match self {
            Self::Count(n) => n.to_string(),
            Self::Auto => "auto".to_owned(),
            Self::All => "all".to_owned(),
        }
    }

    fn numbers(&self) -> Vec<f64> {
        if let Self::Count(n) = self { vec![f64::from(*n)] } else { Vec::new() }
    }
}

/// Layers with experts that a GPU is to have: so many, or as many as planning finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    Count(u32),
    Auto,
}

impl Value for Pin {
    const KIND: Kind = Kind::IntegerOr(&["auto"]);

    fn read(value: &DeValue<'_>) -> Option<Self> {
        match value.as_str() {
            Some("auto") => Some(Self::Auto),
            Some(_) => None,
            None => u32::read(value).map(Self::Count),
        }
    }

    fn word(&self) -> String {
        match self {
            Self::Count(n) => n.to_string(),
            Self::Auto => "auto".to_owned(),
        }
    }

    fn numbers(&self) -> Vec<f64> {
        if let Self::Count(n) = self { vec![f64::from(*n)] } else { Vec::new() }
    }
}

impl Pin {
    pub fn count(self) -> Option<u32> {
        if let Self::Count(n) = self { Some(n) } else { None }
    }
}

lists! { Pin => IntegersOr(&["auto"]) }

table! {
    /// Which weights live on which device, and how they get there.
    pub struct Placement {
        /// Let composegen plan the placement when it builds, from the model's header; the result is locked.
        auto: bool;
        /// MiB to leave free on each GPU, for `auto`; one number holds for all.
        margin: Vec<u32>, 0 ..= 1_048_576;
        /// What `auto` moves: whole layers, or single expert tensors where that pays.
        granularity: Granularity;
        /// MiB to keep free on each GPU beside the margin, for other programs; one number holds for all.
        reserve: Vec<u32>, 0 ..= 1_048_576;
        /// Layers per GPU whose experts a plan puts there, whatever it would find itself; "auto" where it is to find them.
        pinned_layers: Vec<Pin>, 0 ..= 512;
        /// Tensor placements that a plan keeps in front of its own, each `pattern=buffer`.
        pinned_tensor: Vec<String>;
        /// Whole layers per GPU, counted from layer 0 in device order; routed experts of all other layers stay in
        /// system memory. `[13, 6]` becomes the `-ot` that `composegen ot 13 6` prints.
        layers: Vec<u32>, 0 ..= 512;
        /// RPC workers, each `host:port`, on a private network; a `cluster` names its own. llama.cpp must know them before
        /// what follows here can name their devices.
        rpc: Vec<String> => "--rpc";
        /// Tensor placements, each `pattern=buffer`; the first that matches a tensor's name wins.
        override_tensor: Vec<String> => "--override-tensor";
        /// Layers to offload.
        n_gpu_layers: GpuLayers, 0 ..= 10000 => "--n-gpu-layers";
        /// Distribution over several GPUs.
        split_mode: SplitMode => "--split-mode";
        /// Share of each GPU; whole numbers that add up to the layers plus one are exact layer counts.
        tensor_split: Vec<Number>, 0.0 ..= 1_000_000.0 => "--tensor-split";
        /// The GPU of `split_mode = "none"`.
        main_gpu: i64, 0 ..= 15 => "--main-gpu";
        /// Devices to use, in order.
        device: Vec<String> => "--device";
        /// All routed experts in system memory.
        cpu_moe: bool => "--cpu-moe";
        /// Routed experts of the first N layers in system memory (layers 0 to N-1).
        n_cpu_moe: i64, 0 ..= 512 => "--n-cpu-moe";
        /// Dense feed-forward weights of the first N layers in system memory.
        n_cpu_ffn: i64, 0 ..= 512 => "--n-cpu-ffn";
        /// Let llama-server find the placement at start.
        fit: OnOff => "--fit";
        /// MiB to leave free per device, for `fit`.
        fit_target: Vec<u32>, 0 ..= 1_048_576 => "--fit-target";
        /// Smallest context that `fit` may choose.
        fit_ctx: i64, 256 ..= 16_777_216 => "--fit-ctx";
        /// Run large batches of weights in system memory on the first GPU.
        op_offload: bool => "--op-offload" / "--no-op-offload";
        /// Repack weights for the CPU's kernels.
        repack: bool => "--repack" / "--no-repack";
        /// Do without pinned host buffers.
        no_host: bool => "--no-host";
        /// How the weights are loaded.
        load_mode: LoadMode => "--load-mode";
        /// Read rows of very large embedding tables only when they are needed.
        lazy_mode: super::context::OnOffAuto => "--lazy-mode";
        /// Memory nodes.
        numa: Numa => "--numa";
    }
}
