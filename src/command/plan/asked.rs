//! What a plan is asked for: the preset as it stands, and what the command line says instead.

use camino::Utf8Path;

use super::{Case, Own};
use crate::cli::{self, Machine};
use crate::command::checked::checked;
use crate::command::machine::{self, Workers, host, needed, profile};
use crate::command::{Failure, header};
use crate::hardware::Host;
use crate::plan::memory::{Override, Request, SplitMode};
use crate::plan::placement::Granularity;
use crate::preset::resolve::PREFIX;
use crate::terminal::Terminal;
use crate::units::Bytes;

pub(super) fn case(args: &cli::Plan, terminal: &mut Terminal) -> Result<Case, Failure> {
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
    let host = needed(host(&args.machine, &workers, terminal)?.or_else(|| machine.clone()))?;
    if own.request.split_mode == SplitMode::None {
        return Err(usage(
            "a plan places layers, and the preset's `split_mode = \"none\"` does not: use `split_mode = \"layer\"`; \
             which GPUs are used says `device`"
                .to_owned(),
        ));
    }
    let before = own.clone();
    set(&mut own.request, args)?;
    own.request.profile = profile(&args.buffers)?.or(own.request.profile);
    if !args.margin.is_empty() {
        own.margin = per_gpu("--margin", &args.margin, host.gpus.len())?;
    }
    if !args.reserve.is_empty() {
        own.reserve = per_gpu("--reserve", &args.reserve, host.gpus.len())?;
    }
    if !args.layers.is_empty() {
        own.layers = args.layers.iter().map(|word| layers(word)).collect::<Result<_, _>>()?;
    }
    if let Some(granularity) = args.granularity {
        own.granularity = match granularity {
            cli::Granularity::Layer => Granularity::Layer,
            cli::Granularity::Tensor => Granularity::Tensor,
        };
    }
    let mut case = Case::of(own, model, host);
    if args.write {
        writable(args, before, machine, &case)?;
    }
    pinned(&case)?;
    case.file = file;
    #[cfg(feature = "engine")]
    {
        case.image = image;
        case.preset = name;
    }
    Ok(case)
}

fn layers(word: &str) -> Result<Option<u32>, Failure> {
    match word {
        "auto" => Ok(None),
        number => number.parse().map(Some).map_err(|_| Failure::Usage {
            message: format!("`--layers {number}`: write a number of layers, or `auto`"),
        }),
    }
}

/// MiB for each device. One number counts for all of them; of several the last counts for those behind.
fn per_gpu(flag: &str, mib: &[u64], gpus: usize) -> Result<Vec<Bytes>, Failure> {
    if mib.len() > gpus {
        return Err(Failure::Usage {
            message: format!("`{flag}` has {} numbers, the machine has {gpus} GPUs", mib.len()),
        });
    }
    Ok(mib.iter().map(|mib| Bytes::from_mib(*mib)).collect())
}

/// The preset gets a placement and nothing else, so what it was planned for has to be what the preset says.
fn writable(
    args: &cli::Plan,
    mut before: Own,
    machine: Option<Host>,
    case: &Case,
) -> Result<(), Failure> {
    // Workers come into a preset with its cluster alone; other machines may be anybody's.
    let lent = case.host.gpus.iter().any(|gpu| gpu.remote.is_some());
    let workers = lent && machine.is_none();
    let machine = machine.unwrap_or_else(|| case.host.clone());
    if before.request.ctx_size == 0 {
        before.request.ctx_size = case.model.context_length;
    }
    let (was, is) = (before.words(&machine), case.words());
    let differs = |keys: &[&str]| keys.iter().any(|key| was.get(*key) != is.get(*key));
    let machine = workers || differs(&["gpus", "ram-bandwidth", "cores", "speed"]);
    let Machine { hardware, cluster, gpu, .. } = &args.machine;
    let said = [
        ("--hardware", hardware.is_some() && machine),
        ("--cluster", cluster.is_some() && machine),
        ("--gpu", !gpu.is_empty() && machine),
        ("--ctx-size", args.ctx_size.is_some() && differs(&["ctx-size"])),
        ("--ubatch-size", args.ubatch_size.is_some() && differs(&["ubatch-size", "batch-size"])),
        ("--batch-size", args.batch_size.is_some() && differs(&["batch-size"])),
        ("--cache-type-k", args.cache_type_k.is_some() && differs(&["cache-type-k"])),
        ("--cache-type-v", args.cache_type_v.is_some() && differs(&["cache-type-v"])),
        ("--parallel", args.parallel.is_some() && differs(&["parallel"])),
        ("--margin", !args.margin.is_empty() && differs(&["margin"])),
        ("--reserve", !args.reserve.is_empty() && differs(&["margin"])),
        ("--granularity", args.granularity.is_some() && differs(&["granularity"])),
        ("--profile", args.buffers.profile.is_some() && differs(&["profile"])),
    ];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(flag, _)| format!("`{flag}`"))
        .collect();
    if said.is_empty() {
        return Ok(());
    }
    Err(Failure::Usage {
        message: format!(
            "`--write` puts the placement into the preset and nothing else, and the preset does not say what it would \
             be planned for: {}. Put that into the preset and plan again, or leave `--write` out",
            said.join(", ")
        ),
    })
}

/// Layers that are asked for have to be there.
fn pinned(case: &Case) -> Result<(), Failure> {
    let usage = |message: String| Err(Failure::Usage { message });
    let asked: u64 = case.layers.iter().flatten().copied().map(u64::from).sum();
    let (words, gpus) = (case.layers.len(), case.host.gpus.len());
    if words > gpus {
        return usage(format!("layers for {words} GPUs are given, the machine has {gpus}"));
    }
    let layers = case.layers_with_experts();
    if asked > layers as u64 {
        return usage(match layers {
            0 => "`--layers` counts layers whose experts stay on a GPU; this model has no experts"
                .to_owned(),
            count => {
                format!("{asked} layers with experts are asked for, the model has {count}")
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
    if let Some(ubatch_size) = args.ubatch_size {
        // A larger one than the batch would have no effect.
        request.batch_size = request.batch_size.max(ubatch_size);
    }
    request.batch_size = args.batch_size.unwrap_or(request.batch_size);
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
    let mut rules = Vec::new();
    for rule in args.override_tensor.iter().flat_map(|rules| rules.split(',')) {
        let (pattern, target) = rule
            .split_once('=')
            .ok_or_else(|| usage(format!("`{rule}`: write it `pattern=buffer`")))?;
        rules.push(Override { pattern: pattern.to_owned(), target: target.to_owned() });
    }
    // The first that matches wins: what is said now, before what the preset says.
    rules.append(&mut request.overrides);
    request.overrides = rules;
    Ok(())
}
