//! The image that a strategy needs, and what is wrong with the way it is described.

use std::str::FromStr;

use crate::diagnostic::{Code, Diagnostic, Location};
use crate::hardware::{ComputeCapability, Host};
use crate::plan::image::{
    Architecture, Backend as PlanBackend, Commit, CpuKernels, Cuda, CudaVersion, FaPair, ImagePlan,
    ImageReference, Reference, Repository, Source,
};
use crate::preset::context::CacheType;
use crate::preset::image::{Backend, CUDA, Image as Table};
use crate::preset::{Preset, value};
use crate::table::Field;

/// An image and the name it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub name: ImageReference,
    /// Compile jobs, where the preset fixes them.
    pub jobs: Option<u32>,
    pub plan: ImagePlan,
}

impl Image {
    /// Reads the image out of a merged preset. What cannot be read is a finding, and its default stands in.
    pub fn new(preset: &Preset, host: Option<&Host>, findings: &mut Vec<Diagnostic>) -> Self {
        let table = &preset.image;
        let mut reader = Words { findings };
        let backend = match value(&table.backend).copied().unwrap_or(Backend::Cuda) {
            Backend::Cpu => PlanBackend::Cpu,
            Backend::Cuda => PlanBackend::Cuda(cuda(preset, host, &mut reader)),
        };
        let (build, runtime) = backend.default_bases();
        let name = match &backend {
            PlanBackend::Cuda(cuda) => format!("composegen/llama-server:cuda{}", cuda.version),
            other => format!("composegen/llama-server:{}", other.name()),
        };
        let source = source(table, &mut reader);
        let isa = host.and_then(|host| host.cpu.isa);
        let definitions = value(&table.cmake).map_or_else(Vec::new, |list| {
            reader.list(&table.cmake, list, "write `NAME=VALUE`, without `-D`")
        });
        let number = |field: &Field<i64>| value(field).and_then(|n| u32::try_from(*n).ok());
        Self {
            name: reader.word(&table.name, NAME_HELP).unwrap_or_else(|| fallback(&name)),
            jobs: number(&table.jobs),
            plan: ImagePlan {
                build_base: reader.word(&table.build_base, NAME_HELP).unwrap_or(build),
                runtime_base: reader.word(&table.runtime_base, NAME_HELP).unwrap_or(runtime),
                build_number: number(&table.build_number),
                cpu: isa.map_or(CpuKernels::AllVariants, CpuKernels::Isa),
                rpc: preset.placement.rpc.is_some()
                    || preset.head.cluster.is_some()
                    || value(&table.rpc) == Some(&true),
                tls: preset.server.ssl_cert_file.is_some(),
                definitions,
                port: crate::strategy::PORT,
                start_period: 0,
                uid: UID,
                labels: Vec::new(),
                backend,
                source,
            },
        }
    }

    /// The first thing in which another strategy needs another image, as `key`, ours and theirs. Flash-attention
    /// pairs, RPC and TLS do not count: an image can have more of them than a strategy uses.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        if self == other {
            return None;
        }
        let facts = |image: &Self| {
            let mut plan = image.plan.clone();
            if let PlanBackend::Cuda(cuda) = &mut plan.backend {
                cuda.fa_quants.clear();
            }
            (plan.rpc, plan.tls) = (false, false);
            let mut facts = serde_json::to_value(&plan).unwrap_or_default();
            if let Some(map) = facts.as_object_mut() {
                // CUDA's own facts one by one, so that the version is named and not all of them.
                if let PlanBackend::Cuda(cuda) = &plan.backend {
                    map.insert("backend".into(), "cuda".into());
                    map.insert("cuda".into(), cuda.version.to_string().into());
                    map.insert("architectures".into(), cuda.architectures().into());
                    map.insert("nccl".into(), cuda.nccl.into());
                }
                map.insert("name".into(), image.name.as_str().into());
                map.insert("jobs".into(), image.jobs.into());
            }
            facts
        };
        let (ours, theirs) = (facts(self), facts(other));
        let (ours, theirs) = (ours.as_object()?, theirs.as_object()?);
        ours.iter().find_map(|(key, our)| {
            let their = theirs.get(key)?;
            (our != their).then(|| (key.clone(), our.to_string(), their.to_string()))
        })
    }
}

const UID: u32 = 10001;
const NAME_HELP: &str = "write `name:tag`, `mirror.example:5000/name:tag` or `name:tag@sha256:...`";

/// A reference that we wrote ourselves.
fn fallback(name: &str) -> ImageReference {
    name.parse().unwrap_or_else(|_| PlanBackend::Cpu.default_bases().0)
}

fn cuda(preset: &Preset, host: Option<&Host>, reader: &mut Words<'_>) -> Cuda {
    let table = &preset.image;
    let version = reader
        .word::<CudaVersion>(&table.cuda, "write it as the tag of the base image does: \"12.8.1\"");
    let given = value(&table.compute_capabilities)
        .map(|list| reader.list(&table.compute_capabilities, list, "write it like \"8.9\""));
    let capabilities: Vec<ComputeCapability> = given.unwrap_or_else(|| {
        // A worker's processor is among the devices, too.
        let gpus = host.into_iter().flat_map(|host| &host.gpus);
        let gpus = gpus.filter(|gpu| gpu.remote.as_ref().is_none_or(|remote| !remote.cpu));
        gpus.map(|gpu| gpu.compute_capability).collect()
    });
    let added: Vec<FaPair> = value(&table.fa_quants).map_or_else(Vec::new, |list| {
        reader.list_as(
            Code::CacheKernel,
            &table.fa_quants,
            list,
            "write K and V with a dash: `q8_0-q5_0`",
        )
    });
    let kind = |field: &Field<CacheType>| value(field).copied().unwrap_or(CacheType::F16);
    let (context, draft) = (&preset.context, &preset.speculative);
    let own = (kind(&context.cache_type_k), kind(&context.cache_type_v));
    let drafting = (kind(&draft.spec_draft_type_k), kind(&draft.spec_draft_type_v));
    // A type without a kernel is the check's finding, with its own advice.
    let used = [own, drafting].into_iter();
    let used = used.filter_map(|(k, v)| FaPair::new(k.as_str(), v.as_str()).ok());
    let mut fa_quants: Vec<FaPair> = used.chain(added).collect();
    fa_quants.sort();
    fa_quants.dedup();
    Cuda {
        version: version.unwrap_or_else(default_cuda),
        architectures: Architecture::of(capabilities),
        fa_quants,
        nccl: value(&table.nccl).copied().unwrap_or(false),
    }
}

fn default_cuda() -> CudaVersion {
    CUDA.parse().unwrap_or(CudaVersion { major: 12, minor: 8, patch: 1 })
}

fn source(table: &Table, reader: &mut Words<'_>) -> Source {
    if let Some(dir) = &table.source_dir {
        let help = "Docker sees only what lies beside the Dockerfile: put the source there and give its name";
        return reader
            .read(Code::BadReference, &dir.at, Source::local(&dir.value), help)
            .unwrap_or_else(Source::upstream);
    }
    let Source::Git { repository, .. } = Source::upstream() else { return Source::upstream() };
    let repository = reader
        .word::<Repository>(
            &table.repository,
            "for example `https://github.com/ggml-org/llama.cpp`",
        )
        .unwrap_or(repository);
    let reference = if let Some(commit) = &table.commit {
        let help = "`git rev-parse` prints it";
        let commit = commit.value.parse::<Commit>();
        let at = table.commit.as_ref().map(|set| set.at.clone());
        at.and_then(|at| reader.read(Code::BadReference, &at, commit, help)).map(Reference::Commit)
    } else if let Some(tag) = &table.tag {
        reader.read(Code::BadReference, &tag.at, Reference::tag(&tag.value), "for example `b11434`")
    } else if let Some(branch) = &table.branch {
        reader.read(
            Code::BadReference,
            &branch.at,
            Reference::branch(&branch.value),
            "for example `master`",
        )
    } else {
        None
    };
    let reference = reference.unwrap_or_else(|| Reference::Branch("master".to_owned()));
    Source::Git { repository, reference, commit: None }
}

/// Reads words into types, keeping what is wrong.
struct Words<'f> {
    findings: &'f mut Vec<Diagnostic>,
}

impl Words<'_> {
    fn read<T>(
        &mut self,
        code: Code,
        at: &Location,
        read: Result<T, String>,
        help: &str,
    ) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(message) => {
                self.findings.push(Diagnostic::new(code, message).at(at.clone()).help(help));
                None
            }
        }
    }

    fn word<T: FromStr<Err = String>>(&mut self, field: &Field<String>, help: &str) -> Option<T> {
        let set = field.as_ref()?;
        self.read(Code::BadReference, &set.at, set.value.parse(), help)
    }

    fn list<T: FromStr<Err = String>>(
        &mut self,
        field: &Field<Vec<String>>,
        list: &[String],
        help: &str,
    ) -> Vec<T> {
        self.list_as(Code::BadReference, field, list, help)
    }

    fn list_as<T: FromStr<Err = String>>(
        &mut self,
        code: Code,
        field: &Field<Vec<String>>,
        list: &[String],
        help: &str,
    ) -> Vec<T> {
        let Some(set) = field else { return Vec::new() };
        let words = list.iter().enumerate();
        words.filter_map(|(i, word)| self.read(code, &set.item(i), word.parse(), help)).collect()
    }
}
