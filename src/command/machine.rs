//! What planning commands read first: the model's header, and the machine from a file or from `--gpu`.

use std::error::Error as _;

use camino::Utf8Path;

use super::{Failure, load, report};
use crate::cli::{Buffers, Machine};
use crate::diagnostic::Sources;
use crate::gguf::{self, Model};
use crate::hardware::{self, ComputeCapability, Cpu, Gpu, Host, Ram};
use crate::plan::memory::Profile;
use crate::terminal::Terminal;
use crate::units::Bytes;

pub(super) fn model(path: &Utf8Path) -> Result<Model, Failure> {
    gguf::open(path).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::File(format!("{error}{cause}"))
    })
}

/// `None` where neither a file nor a GPU is given.
pub(super) fn host(args: &Machine, terminal: &mut Terminal) -> Result<Option<Host>, Failure> {
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
    let gpus = args.gpu.iter().enumerate().map(|(i, text)| gpu(i, text));
    Ok(Some(Host {
        name: "command line".to_owned(),
        gpus: gpus.collect::<Result<_, _>>()?,
        cpu: Cpu::default(),
        ram: Ram::default(),
        driver: None,
    }))
}

/// `24564:23671:8.9:1008`; capability and bandwidth may be left out.
fn gpu(index: usize, text: &str) -> Result<Gpu, Failure> {
    let wrong = || Failure::Usage {
        message: format!(
            "`--gpu {text}`: write TOTAL:FREE in MiB, and if you know them the compute capability and GB/s behind: \
             `24564:23671:8.9:1008`"
        ),
    };
    let mut parts = text.split(':');
    let mut mib = || parts.next().and_then(|n| n.parse::<u64>().ok()).filter(|n| *n <= 1 << 24);
    let (Some(memory), Some(free)) = (mib(), mib()) else { return Err(wrong()) };
    let compute_capability: ComputeCapability =
        parts.next().unwrap_or("8.9").parse().map_err(|_| wrong())?;
    let bandwidth = parts.next().map(str::parse::<f64>).transpose().map_err(|_| wrong())?;
    if free > memory || parts.next().is_some() || bandwidth.is_some_and(|gbs| gbs <= 0.0) {
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
    })
}

pub(super) fn needed(host: Option<Host>) -> Result<Host, Failure> {
    host.ok_or_else(|| Failure::Usage {
        message: "no machine: give `--hardware FILE`, or `--gpu TOTAL:FREE` for each GPU"
            .to_owned(),
    })
}

/// The profile that was asked for.
pub(super) fn profile(args: &Buffers) -> Result<Option<&'static Profile>, Failure> {
    let Some(name) = &args.profile else { return Ok(None) };
    Profile::named(name).map(Some).ok_or_else(|| {
        let known: Vec<&str> = Profile::all().iter().map(|known| known.name.as_str()).collect();
        Failure::Usage {
            message: format!(
                "`--profile {name}`: there is no such profile; known: {}",
                known.join(", ")
            ),
        }
    })
}
