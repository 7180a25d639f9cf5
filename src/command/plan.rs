//! `composegen plan`: where layers and experts go, what that costs, and what would come of other choices.

mod alternatives;
mod argv;
mod asked;
#[cfg(feature = "engine")]
mod exact;
mod own;
mod text;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, Write as _};

use camino::Utf8PathBuf;
use serde::Serialize;

use super::calibration::{self, Probed};
use super::estimate::{Device, SystemMemory, devices};
use super::{Failure, preset_path};
use crate::cli::{self, Format};
use crate::gguf::{DType, Model, Role};
use crate::hardware::Host;
use crate::plan::memory::Request;
use crate::plan::placement::{Asked, Granularity, Rule, Task, place};
use crate::plan::speed::{Crossing, Prediction, System};
use crate::terminal::Terminal;
use crate::units::Bytes;
use alternatives::Alternative;
use argv::argv;
pub(super) use own::Own;
#[cfg(feature = "engine")]
pub(super) use own::PLACES;
use own::spread;
pub(super) use write::put;
#[cfg(feature = "engine")]
pub(super) use write::{Words, place as place_words, table};

/// What is planned, however it was given.
pub(super) struct Case {
    model: Model,
    host: Host,
    request: Request,
    /// For each device, what is kept for other programs included.
    margin: Vec<Bytes>,
    /// What is kept for other programs, which stays beside every margin.
    reserve: Vec<Bytes>,
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
        let gpus = host.gpus.len();
        let margin = own.kept(gpus);
        let Own { mut request, reserve, granularity, layers, .. } = own;
        if request.ctx_size == 0 {
            request.ctx_size = model.context_length;
        }
        Self {
            model,
            host,
            request,
            margin,
            reserve: spread(&reserve, gpus),
            granularity,
            layers,
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

    /// What is asked, as a lock file has it.
    fn words(&self) -> BTreeMap<String, String> {
        let (gpus, system) = (&self.host.gpus, System::of(&self.host));
        let Self { request, margin, granularity, layers, .. } = self;
        Asked { gpus, system, request, margin, granularity: *granularity, layers }.words()
    }

    fn layers_with_experts(&self) -> usize {
        let routed = self.model.tensors.iter().filter(|tensor| tensor.role == Role::RoutedExpert);
        routed.filter_map(|tensor| tensor.layer).collect::<BTreeSet<u32>>().len()
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
    let case = asked::case(args, terminal)?;
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
        if !placement.fits {
            return Err(Failure::Rejected(format!(
                "the placement does not fit and was not written; `{path}` is as it was"
            )));
        }
        write::into(&path, &placement, terminal)?;
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

fn type_name(dtype: DType) -> String {
    dtype.to_string().to_lowercase()
}
