//! `composegen plan`: where layers and experts go, what that costs, and what would come of other choices.

mod alternatives;
#[cfg(feature = "engine")]
mod exact;
mod own;
mod text;
mod write;

use std::collections::BTreeSet;
use std::io::{Error, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::calibration::{self, Probed};
use super::checked::checked;
use super::estimate::{Device, SystemMemory, devices};
use super::machine::{self, Workers, host, needed, profile};
use super::{Failure, header, preset_path};
use crate::cli::{self, Format};
use crate::gguf::{DType, Model, Role};
use crate::hardware::Host;
use crate::plan::memory::{FlashAttention, Override, Request};
use crate::plan::placement::{Granularity, Placement, Rule, Task, place};
use crate::plan::speed::{Crossing, Prediction, System};
use crate::preset::resolve::PREFIX;
use crate::terminal::Terminal;
use crate::units::Bytes;
use alternatives::Alternative;
pub(super) use own::Own;
#[cfg(feature = "engine")]
pub(super) use own::PLACES;
pub(super) use write::put;
#[cfg(feature = "engine")]
pub(super) use write::{Words, place as place_words};

/// What is planned, however it was given.
pub(super) struct Case {
    model: Model,
    host: Host,
    request: Request,
    margin: Vec<Bytes>,
    granularity: Granularity,
    layers: Vec<Option<u32>>,
    /// The model's first file.
    file: Utf8PathBuf,
    /// The image that will run it, where a preset says so.
    #[cfg(feature = "engine")]
    image: Option<String>,
    /// The preset's name.
    #[cfg(feature = "engine")]
    preset: Option<String>,
}

impl Case {
    /// A preset as it stands: what `build` plans, and what `plan PRESET` starts from.
    pub(super) fn of(own: Own, model: Model, host: Host) -> Self {
        let Own { mut request, mut margin, granularity } = own;
        if request.ctx_size == 0 {
            request.ctx_size = model.context_length;
        }
        let last = margin.last().copied().unwrap_or(Bytes::ZERO);
        margin.resize(margin.len().max(host.gpus.len()), last);
        Self {
            model,
            host,
            request,
            margin,
            granularity,
            layers: Vec::new(),
            file: Utf8PathBuf::new(),
            #[cfg(feature = "engine")]
            image: None,
            #[cfg(feature = "engine")]
            preset: None,
        }
    }

    /// What is asked, in full.
    pub(super) fn own_task(&self) -> Task<'_> {
        self.task(&self.request, &self.margin)
    }

    fn task<'a>(&'a self, request: &'a Request, margin: &'a [Bytes]) -> Task<'a> {
        Task {
            model: &self.model,
            gpus: &self.host.gpus,
            system: System::of(&self.host),
            ram: self.host.ram.total,
            request,
            margin,
            granularity: self.granularity,
            layers: &self.layers,
        }
    }
}

pub(super) fn run(args: &cli::Plan, terminal: &mut Terminal) -> Result<(), Failure> {
    let case = case(args, terminal)?;
    let placement =
        place(&case.own_task()).map_err(|error| Failure::Usage { message: error.to_string() })?;
    let others = if args.only { Vec::new() } else { alternatives::all(&case, &placement) };
    let advice = alternatives::advice(&case, &placement, &others);
    let memory = SystemMemory::new(&placement.estimate, &case.host, &placement.request);
    let words = argv(&case, &placement);
    let subject = calibration::Subject {
        file: &case.file,
        model: &case.model,
        gpus: &case.host.gpus,
        words: &words,
        image: None,
    };
    let probed = calibration::find(&args.file.ledger, &subject, &placement.estimate)?;
    #[cfg(feature = "engine")]
    let exact = if args.exact.ask {
        exact::ask(&case, &placement, &others, args, terminal)?
    } else {
        Vec::new()
    };
    #[cfg(not(feature = "engine"))]
    let exact: Vec<()> = Vec::new();
    match args.output.format {
        Format::Json => {
            let report = Report {
                devices: devices(&placement.estimate),
                fits: placement.fits,
                args: words,
                rules: placement.rules.iter().map(Row::new).collect(),
                predicted: placement.prediction,
                crossings: &placement.crossings,
                profile: case.request.profile.as_ref().map(|profile| profile.name.as_str()),
                alternatives: &others,
                advice: &advice,
                notes: &placement.notes,
                exact,
                probed,
                system_memory: memory,
            };
            let text = serde_json::to_string_pretty(&report).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            write!(
                terminal.out,
                "{}",
                text::text(&case, &placement, &words, &others, &advice, &memory)
            )?;
            Probed::tell(probed.as_ref(), terminal)?;
            #[cfg(feature = "engine")]
            write!(terminal.out, "{}", exact::text(&exact))?;
        }
    }
    if args.write
        && let Some(preset) = &args.preset
    {
        let path = preset_path(preset);
        write::into(&path, &placement)?;
        writeln!(terminal.err, "wrote the placement into `{path}`")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'a, T> {
    devices: Vec<Device>,
    fits: bool,
    args: Vec<String>,
    rules: Vec<Row<'a>>,
    predicted: Prediction,
    /// What a token sends to other machines.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    crossings: &'a [Crossing],
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    alternatives: &'a [Alternative],
    advice: &'a [String],
    notes: &'a [String],
    system_memory: SystemMemory,
    /// What llama.cpp said to the same question before.
    #[serde(skip_serializing_if = "Option::is_none")]
    probed: Option<Probed>,
    /// What the image's own llama.cpp says, where it was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exact: Vec<T>,
}

#[derive(Serialize)]
struct Row<'a> {
    pattern: &'a str,
    buffer: &'a str,
    layers: &'a [u32],
    mib: f64,
}

impl<'a> Row<'a> {
    fn new(rule: &'a Rule) -> Self {
        let Rule { pattern, buffer, layers, bytes } = rule;
        Self { pattern, buffer, layers, mib: bytes.mib() }
    }
}

fn case(args: &cli::Plan, terminal: &mut Terminal) -> Result<Case, Failure> {
    let usage = |message: String| Failure::Usage { message };
    let mut workers = Workers::default();
    let mut prefix = PREFIX.to_owned();
    let mut machine = None;
    let mut own = Own::default();
    let mut found = match &args.model {
        Some(file) => Some((file.clone(), machine::model(file)?)),
        None => None,
    };
    #[cfg(feature = "engine")]
    let (mut image, mut name) = (None, None);
    if let Some(preset) = &args.preset {
        let read = checked(preset, None, terminal)?;
        own = Own::of(&read.strategy, &read.resolved.preset)
            .map_err(|error| usage(error.to_string()))?;
        #[cfg(feature = "engine")]
        {
            image = Some(read.strategy.image.name.to_string());
            name = Some(read.strategy.name.clone());
        }
        workers.cuda = read.strategy.image.plan.cuda().is_some();
        read.strategy.container.prefix().clone_into(&mut prefix);
        machine = read.strategy.host.as_deref().cloned();
        if found.is_none() {
            let out = Utf8Path::new("deploy").join(&read.strategy.name);
            found = Some(header::of(&read, &out, args.models.dir.as_deref())?);
        }
    }
    let found = found.ok_or_else(|| usage("name the model's file in --model".to_owned()))?;
    let (file, model) = found;
    workers.prefix = &prefix;
    let host = needed(host(&args.machine, &workers, terminal)?.or(machine))?;
    set(&mut own.request, args)?;
    own.request.profile = profile(&args.buffers)?.or(own.request.profile);
    if !args.margin.is_empty() {
        own.margin = args.margin.iter().map(|mib| Bytes::from_mib(*mib)).collect();
    }
    if let Some(granularity) = args.granularity {
        own.granularity = match granularity {
            cli::Granularity::Layer => Granularity::Layer,
            cli::Granularity::Tensor => Granularity::Tensor,
        };
    }
    let mut case = Case::of(own, model, host);
    for (margin, reserve) in case.margin.iter_mut().zip(&args.reserve) {
        *margin += Bytes::from_mib(*reserve);
    }
    let layers = args.layers.iter().map(|word| match word.as_str() {
        "auto" => Ok(None),
        number => number.parse().map(Some).map_err(|_| {
            usage(format!("`--layers {number}`: write a number of layers, or `auto`"))
        }),
    });
    case.layers = layers.collect::<Result<_, _>>()?;
    pinned(&case)?;
    case.file = file;
    #[cfg(feature = "engine")]
    {
        case.image = image;
        case.preset = name;
    }
    Ok(case)
}

/// Layers that are asked for have to be there.
fn pinned(case: &Case) -> Result<(), Failure> {
    let usage = |message: String| Err(Failure::Usage { message });
    let asked: u64 = case.layers.iter().flatten().copied().map(u64::from).sum();
    let (words, gpus) = (case.layers.len(), case.host.gpus.len());
    if words > gpus {
        return usage(format!("`--layers` has {words} numbers, the machine has {gpus} GPUs"));
    }
    let routed = case.model.tensors.iter().filter(|tensor| tensor.role == Role::RoutedExpert);
    let layers: BTreeSet<u32> = routed.filter_map(|tensor| tensor.layer).collect();
    if asked > layers.len() as u64 {
        return usage(match layers.len() {
            0 => "`--layers` counts layers whose experts stay on a GPU; this model has no experts"
                .to_owned(),
            count => {
                format!("`--layers` asks for {asked} layers with experts, the model has {count}")
            }
        });
    }
    Ok(())
}

fn set(request: &mut Request, args: &cli::Plan) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage { message };
    let ty = |name: &String| {
        let named: Result<Request, _> = Request::from_args(&["-ctk", name.as_str()]);
        named.map(|request| request.cache_type_k).map_err(|error| usage(error.to_string()))
    };
    request.ctx_size = args.ctx_size.unwrap_or(request.ctx_size);
    request.ubatch_size = args.ubatch_size.unwrap_or(request.ubatch_size);
    request.batch_size = args.batch_size.unwrap_or(request.batch_size.max(request.ubatch_size));
    if args.parallel == Some(0) {
        return Err(usage("`--parallel 0`: llama-server has one slot or more".to_owned()));
    }
    request.parallel = args.parallel.or(request.parallel);
    if let Some(name) = &args.cache_type_k {
        request.cache_type_k = ty(name)?;
    }
    if let Some(name) = &args.cache_type_v {
        request.cache_type_v = ty(name)?;
    }
    for rules in &args.override_tensor {
        for rule in rules.split(',') {
            let (pattern, target) = rule
                .split_once('=')
                .ok_or_else(|| usage(format!("`{rule}`: write it `pattern=buffer`")))?;
            let (pattern, target) = (pattern.to_owned(), target.to_owned());
            request.overrides.push(Override { pattern, target });
        }
    }
    Ok(())
}

fn type_name(dtype: DType) -> String {
    dtype.to_string().to_lowercase()
}

/// llama-server's words for the placement and what it was made for.
fn argv(case: &Case, placement: &Placement) -> Vec<String> {
    let request = &placement.request;
    let mut words: Vec<String> = Vec::new();
    let mut word = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    let remote = case.host.gpus.iter().filter_map(|gpu| gpu.remote.as_ref());
    let mut workers: Vec<&str> = remote.map(|remote| remote.endpoint.as_str()).collect();
    workers.dedup();
    if !workers.is_empty() {
        // Before rules that name their buffers.
        word("--rpc", workers.join(","));
    }
    for (flag, value) in placement.flags() {
        word(flag.short(), value);
    }
    word("-c", request.ctx_size.to_string());
    word("-b", request.batch_size.to_string());
    word("-ub", request.ubatch_size.to_string());
    word("-ctk", type_name(request.cache_type_k));
    word("-ctv", type_name(request.cache_type_v));
    match request.flash_attn {
        FlashAttention::On => word("-fa", "on".to_owned()),
        FlashAttention::Off => word("-fa", "off".to_owned()),
        FlashAttention::Auto => {}
    }
    if let Some(slots) = request.parallel {
        word("-np", slots.to_string());
    }
    if let Some(devices) = &case.request.devices {
        word("-dev", devices.join(","));
    }
    match request.kv_unified {
        Some(true) => words.push("-kvu".to_owned()),
        Some(false) => words.push("-no-kvu".to_owned()),
        None => {}
    }
    for (on, flag) in [
        (request.swa_full, "--swa-full"),
        (!request.kv_offload, "-nkvo"),
        (!request.op_offload, "--no-op-offload"),
    ] {
        if on {
            words.push(flag.to_owned());
        }
    }
    words
}
