//! `composegen plan`: where layers and experts go, what that costs, and what would come of other choices.

mod alternatives;
#[cfg(feature = "engine")]
mod exact;
mod text;
mod write;

use std::io::{Error, Write as _};

use camino::Utf8Path;
#[cfg(feature = "engine")]
use camino::Utf8PathBuf;
use serde::Serialize;

use super::estimate::{Device, devices};
use super::machine::{host, model, needed, profile};
use super::{Failure, load, preset_path, report};
use crate::check::check;
use crate::cli::{self, Format};
use crate::gguf::{DType, Model};
use crate::hardware::Host;
use crate::plan::memory::{FlashAttention, GpuLayers, Override, Profile, Request};
use crate::plan::placement::{Granularity, Placement, Rule, Task, place};
use crate::plan::speed::Prediction;
use crate::preset::resolve::Library;
use crate::strategy::Strategy;
use crate::terminal::Terminal;
use crate::units::Bytes;
use alternatives::Alternative;

/// What is planned, however it was given.
pub(super) struct Case {
    model: Model,
    host: Host,
    request: Request,
    margin: Vec<Bytes>,
    granularity: Granularity,
    layers: Vec<Option<u32>>,
    /// The model's first file.
    #[cfg(feature = "engine")]
    file: Utf8PathBuf,
    /// The image that will run it, where a preset says so.
    #[cfg(feature = "engine")]
    image: Option<String>,
}

impl Case {
    fn task<'a>(&'a self, request: &'a Request, margin: &'a [Bytes]) -> Task<'a> {
        Task {
            model: &self.model,
            gpus: &self.host.gpus,
            ram_gbs: self.host.ram.bandwidth_gbs,
            request,
            margin,
            granularity: self.granularity,
            layers: &self.layers,
        }
    }
}

pub(super) fn run(args: &cli::Plan, terminal: &mut Terminal) -> Result<(), Failure> {
    let case = case(args, terminal)?;
    let task = case.task(&case.request, &case.margin);
    let placement = place(&task).map_err(|error| Failure::Usage { message: error.to_string() })?;
    let others = if args.only { Vec::new() } else { alternatives::all(&case, &placement) };
    let advice = alternatives::advice(&case, &placement, &others);
    #[cfg(feature = "engine")]
    let exact = if args.exact { exact::ask(&case, &placement, &others, args)? } else { Vec::new() };
    #[cfg(not(feature = "engine"))]
    let exact: Vec<()> = Vec::new();
    match args.output.format {
        Format::Json => {
            let report = Report {
                devices: devices(&placement.estimate),
                fits: placement.fits,
                args: argv(&case, &placement),
                rules: placement.rules.iter().map(Row::new).collect(),
                predicted: placement.prediction,
                profile: case.request.profile.map(|profile| profile.name.as_str()),
                alternatives: &others,
                advice: &advice,
                notes: &placement.notes,
                exact,
            };
            let text = serde_json::to_string_pretty(&report).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            let words = argv(&case, &placement);
            write!(terminal.out, "{}", text::text(&case, &placement, &words, &others, &advice))?;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'static str>,
    alternatives: &'a [Alternative],
    advice: &'a [String],
    notes: &'a [String],
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
    let mut machine = host(&args.machine, terminal)?;
    let mut request = Request { flash_attn: FlashAttention::On, ..Request::default() };
    let mut file = args.model.clone();
    #[cfg(feature = "engine")]
    let mut image = None;
    if let Some(preset) = &args.preset {
        let mut library = Library::new(&load);
        let path = preset_path(preset);
        let resolved = library.resolve(&path).map_err(|e| Failure::File(e.to_string()))?;
        check(&resolved, None, &mut library.findings);
        report(&library.findings, &library.sources, false, terminal)?;
        if let Some(strategy) = Strategy::new(&resolved, None) {
            request = of_strategy(&strategy)?;
            request.profile = strategy.profile.as_deref().and_then(Profile::named);
            #[cfg(feature = "engine")]
            {
                image = Some(strategy.image.name.to_string());
            }
            machine = machine.or_else(|| strategy.host.as_deref().cloned());
            file = file.or_else(|| {
                let dir = Utf8Path::new(&strategy.container.models_dir);
                Some(dir.join(&strategy.model))
            });
        }
    }
    let file = file.ok_or_else(|| usage("name the model's file in --model".to_owned()))?;
    let model = model(&file)?;
    let host = needed(machine)?;
    set(&mut request, args)?;
    request.profile = profile(&args.buffers)?.or(request.profile);
    if request.ctx_size == 0 {
        request.ctx_size = model.context_length;
    }
    let mut margin: Vec<Bytes> = args.margin.iter().map(|mib| Bytes::from_mib(*mib)).collect();
    let last = margin.last().copied().unwrap_or(Bytes::ZERO);
    margin.resize(margin.len().max(host.gpus.len()), last);
    for (margin, reserve) in margin.iter_mut().zip(&args.reserve) {
        *margin += Bytes::from_mib(*reserve);
    }
    let layers = args.layers.iter().map(|word| match word.as_str() {
        "auto" => Ok(None),
        number => number.parse().map(Some).map_err(|_| {
            usage(format!("`--layers {number}`: write a number of layers, or `auto`"))
        }),
    });
    let granularity = match args.granularity {
        cli::Granularity::Layer => Granularity::Layer,
        cli::Granularity::Tensor => Granularity::Tensor,
    };
    Ok(Case {
        layers: layers.collect::<Result<_, _>>()?,
        model,
        host,
        request,
        margin,
        granularity,
        #[cfg(feature = "engine")]
        file,
        #[cfg(feature = "engine")]
        image,
    })
}

/// The strategy's flags, without its own placement.
fn of_strategy(strategy: &Strategy) -> Result<Request, Failure> {
    const PLACES: [&str; 8] = [
        "--override-tensor",
        "--n-gpu-layers",
        "--tensor-split",
        "--main-gpu",
        "--cpu-moe",
        "--n-cpu-moe",
        "--n-cpu-ffn",
        "--fit",
    ];
    let words = strategy.args_without(&PLACES);
    Request::from_args(&words).map_err(|error| Failure::Usage { message: error.to_string() })
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
    word(
        "-ngl",
        match request.gpu_layers {
            GpuLayers::All => "all".to_owned(),
            GpuLayers::Count(count) => count.to_string(),
        },
    );
    if placement.tensor_split.iter().any(|count| *count > 0) {
        let counts: Vec<String> = placement.tensor_split.iter().map(ToString::to_string).collect();
        word("-ts", counts.join(","));
    }
    if !request.overrides.is_empty() {
        let rules: Vec<String> =
            request.overrides.iter().map(|r| format!("{}={}", r.pattern, r.target)).collect();
        word("-ot", rules.join(","));
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
