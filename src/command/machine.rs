//! What planning commands read first: the model's header, and the machine from a file or from `--gpu`.

use std::sync::Arc;

use camino::Utf8Path;

use super::header::said;
use super::{Failure, load, report};
use crate::cli::{Buffers, Machine};
use crate::diagnostic::Sources;
use crate::gguf::{self, Finding, Model};
use crate::hardware::{self, ComputeCapability, Cpu, Gpu, Host, Ram, known};
use crate::preset::resolve::{Library, PREFIX};
use crate::profile::Profile;
use crate::terminal::Terminal;
use crate::units::Bytes;

pub(super) fn model(path: &Utf8Path) -> Result<Model, Failure> {
    let model = gguf::open(path).map_err(|error| Failure::File(said(&error)))?;
    whole(&model, path).map_err(Failure::File)?;
    Ok(model)
}

/// A model with parts missing would be taken for a smaller one.
pub(super) fn whole(model: &Model, path: &Utf8Path) -> Result<(), String> {
    let missing = model.findings.iter().find_map(|finding| match finding {
        Finding::MissingParts { missing } => Some(missing.join("`, `")),
        _ => None,
    });
    missing.map_or(Ok(()), |missing| {
        Err(format!("`{path}` is one part of a model, and `{missing}` is not beside it"))
    })
}

/// How the workers of a cluster are called, and whether anybody's GPUs are used.
pub(super) struct Workers<'a> {
    pub(super) prefix: &'a str,
    /// What `--rpc` says, where it says anything.
    pub(super) endpoints: Option<Vec<String>>,
    pub(super) cuda: bool,
}

impl Default for Workers<'_> {
    fn default() -> Self {
        Self { prefix: PREFIX, endpoints: None, cuda: true }
    }
}

/// The machines of a cluster as llama-server sees them.
fn cluster(
    path: &Utf8Path,
    workers: &Workers<'_>,
    terminal: &mut Terminal,
) -> Result<Option<Host>, Failure> {
    let mut library = Library::new(&load);
    let read = library.read_cluster(path).map_err(|error| Failure::File(error.to_string()))?;
    report(&library.findings, &library.sources, false, terminal)?;
    let Some((_, cluster)) = read else { return Ok(None) };
    if let Some(host) = cluster.without_memory(workers.cuda) {
        return Err(Failure::Rejected(format!(
            "`{host}` in `{path}` lends its processor, and nothing says how much memory it has: add `total_mib` to its \
             `[host.ram]`"
        )));
    }
    let own = cluster.endpoints(workers.prefix);
    let endpoints = workers.endpoints.clone().unwrap_or_else(|| own.clone());
    if endpoints.len() != own.len() {
        return Err(Failure::Usage {
            message: format!(
                "`--rpc` names {} workers, and the cluster has {}, in this order: {}",
                endpoints.len(),
                own.len(),
                cluster
                    .workers
                    .iter()
                    .map(|w| w.member.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        });
    }
    Ok(Some(cluster.view(&endpoints, workers.cuda)))
}

/// `None` where neither a file nor a GPU is given.
pub(super) fn host(
    args: &Machine,
    workers: &Workers<'_>,
    terminal: &mut Terminal,
) -> Result<Option<Host>, Failure> {
    if let Some(path) = &args.cluster {
        return cluster(path, workers, terminal);
    }
    if let Some(path) = &args.hardware {
        let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
        let mut sources = Sources::default();
        let mut findings = Vec::new();
        let name = path.file_stem().unwrap_or_default();
        let file = sources.add(path, text.clone());
        let host = hardware::parse::parse(file, name, &text, &mut findings);
        report(&findings, &sources, false, terminal)?;
        return Ok(host);
    }
    if args.gpu.is_empty() {
        return Ok(None);
    }
    Ok(Some(Host {
        name: "command line".to_owned(),
        gpus: gpus(&args.gpu)?,
        cpu: Cpu::default(),
        ram: args.ram.as_deref().map(ram).transpose()?.unwrap_or_default(),
        driver: None,
        speed: None,
    }))
}

/// What `--gpu` says, in device order.
pub(super) fn gpus(said: &[String]) -> Result<Vec<Gpu>, Failure> {
    said.iter().enumerate().map(|(i, text)| gpu(i, text)).collect()
}

/// `24564:23671:8.9:1008`, of which capability and bandwidth may be left out; or a known card, `RTX 4090`, and what is
/// free on it, `RTX 4090:20000`.
fn gpu(index: usize, text: &str) -> Result<Gpu, Failure> {
    let (first, rest) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
    let numbers = rest.is_some() && first.bytes().all(|byte| byte.is_ascii_digit());
    if numbers { by_numbers(index, text) } else { by_name(text, first, rest) }
}

fn by_name(text: &str, name: &str, free: Option<&str>) -> Result<Gpu, Failure> {
    let usage = |message: String| Failure::Usage { message };
    let mut gpu = known(name)
        .map_err(|error| {
            usage(format!(
                "`--gpu {text}`: {error}; `composegen hardware list` has all, and any card is described by \
                 TOTAL:FREE in MiB, capability and GB/s: `--gpu 24564:23671:8.9:1008`"
            ))
        })?
        .gpu();
    if let Some(free) = free {
        let mib = free.parse().ok().filter(|mib| *mib <= 1 << 24).map(Bytes::from_mib);
        gpu.free = mib.filter(|free| *free <= gpu.memory).ok_or_else(|| {
            usage(format!(
                "`--gpu {text}`: behind the name stands what is free, in MiB, of {:.0}",
                gpu.memory.mib()
            ))
        })?;
    }
    Ok(gpu)
}

fn by_numbers(index: usize, text: &str) -> Result<Gpu, Failure> {
    let wrong = || Failure::Usage {
        message: format!(
            "`--gpu {text}`: write a card's name (`RTX 4090`), or TOTAL:FREE in MiB, and if you know them the compute \
             capability and GB/s behind: `24564:23671:8.9:1008`"
        ),
    };
    let mut parts = text.split(':');
    let mut mib = || parts.next().and_then(|n| n.parse::<u64>().ok()).filter(|n| *n <= 1 << 24);
    let (Some(memory), Some(free)) = (mib(), mib()) else { return Err(wrong()) };
    let compute_capability: ComputeCapability =
        parts.next().unwrap_or("8.9").parse().map_err(|_| wrong())?;
    let bandwidth = parts.next().map(|word| positive(word).ok_or_else(wrong)).transpose()?;
    if free > memory || parts.next().is_some() {
        return Err(wrong());
    }
    Ok(Gpu {
        name: format!("GPU {index}"),
        memory: Bytes::from_mib(memory),
        free: Bytes::from_mib(free),
        compute_capability,
        bandwidth_gbs: bandwidth,
        pci: None,
        uuid: None,
        remote: None,
    })
}

fn ram(text: &str) -> Result<Ram, Failure> {
    let wrong = || Failure::Usage {
        message: format!("`--ram {text}`: write MiB, and GB/s behind if you know them: `64204:50`"),
    };
    let (total, gbs) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
    let total = total.parse::<u64>().ok().filter(|mib| (256..=1 << 26).contains(mib));
    Ok(Ram {
        total: Some(Bytes::from_mib(total.ok_or_else(wrong)?)),
        bandwidth_gbs: gbs.map(|word| positive(word).ok_or_else(wrong)).transpose()?,
    })
}

/// GB/s.
fn positive(word: &str) -> Option<f64> {
    word.parse().ok().filter(|gbs| (1.0..=100_000.0).contains(gbs))
}

pub(super) fn needed(host: Option<Host>) -> Result<Host, Failure> {
    host.ok_or_else(|| Failure::Usage {
        message: "no machine: give `--hardware FILE` or `--cluster FILE`, or for each GPU `--gpu \"RTX 4090\"` or `--gpu TOTAL:FREE`"
            .to_owned(),
    })
}

/// The profile that was asked for.
pub(super) fn profile(args: &Buffers) -> Result<Option<Arc<Profile>>, Failure> {
    let Some(name) = &args.profile else { return Ok(None) };
    let path = Utf8Path::new(name);
    if path.extension() == Some("toml") {
        let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
        let read = Profile::parse(&text);
        let read = read.map_err(|why| Failure::Rejected(format!("{name}: no profile: {why}")))?;
        return Ok(Some(Arc::new(read)));
    }
    Profile::named(name).map(Some).ok_or_else(|| Failure::Usage {
        message: format!(
            "`--profile {name}`: there is no such profile; known: {}",
            Profile::known()
        ),
    })
}
