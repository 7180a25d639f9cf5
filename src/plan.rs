//! What will be written and run, in final form: strings in order, numbers settled, every choice with its reason.

pub mod compose;
pub mod counted;
pub mod environment;
pub mod front;
pub mod image;
pub mod inlined;
pub mod knob;
pub mod kubernetes;
pub mod memory;
pub mod pattern;
pub mod placement;
pub mod quadlet;
pub mod service;
pub mod speed;
pub mod swarm;
pub mod worker;

use crate::diagnostic::{Code, Diagnostic, Location};
use crate::lock::Resolved as Pinned;
use crate::strategy::Strategy;

use compose::{ComposePlan, mismatch};
use environment::Environment;
use image::{Backend, Commit, ImagePlan, Reference, Source};
use inlined::Inlined;
use knob::Knob;

pub use crate::preset::target::Target;

/// One output directory.
#[derive(Clone, Debug)]
pub struct Plan {
    pub target: Target,
    pub image: ImagePlan,
    pub compose: ComposePlan,
    pub knobs: Vec<Knob>,
    /// In the order of the strategies; the first is the default.
    pub environments: Vec<Environment>,
    pub strategies: Vec<Strategy>,
    /// What each strategy needs of a target other than Compose.
    pub inlined: Vec<Inlined>,
}

impl Plan {
    /// Puts strategies into one directory; those that need different images or containers are findings. `None`
    /// for no strategies.
    pub fn new(
        strategies: Vec<Strategy>,
        target: Option<Target>,
        pinned: &Pinned,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let target = target.unwrap_or_else(|| one_target(&strategies, findings));
        let image = image_of(&strategies, pinned, findings)?;
        let knobs = environment::knobs(&strategies);
        let mut variables: Vec<String> = vec!["STRATEGY".to_owned(), "PORT".to_owned()];
        variables.extend(knobs.iter().map(|knob| knob.env.clone()));
        let commit = image.source.pinned().map(|commit| commit.as_str().to_owned());
        let mut compose = ComposePlan::new(&strategies, variables, commit, findings)?;
        compose.front = front::Front::new(&compose, pinned);
        let mut environments = Vec::with_capacity(strategies.len());
        for strategy in &strategies {
            match Environment::new(strategy) {
                Ok(environment) => environments.push(environment),
                Err(refused) => findings.push(
                    Diagnostic::new(Code::Unrepresentable, format!("`extra_args`: {refused}"))
                        .at(Location::new(strategy.file, &(0..0)))
                        .help("leave it out, or put long texts into a file"),
                ),
            }
        }
        let image = ImagePlan { start_period: compose.start_period_s, ..image };
        let pairs = strategies.iter().zip(&environments);
        let inlined = pairs
            .map(|(strategy, environment)| {
                Inlined::new(strategy, environment, &compose.variables, pinned)
            })
            .collect();
        Some(Self { target, image, compose, knobs, environments, strategies, inlined })
    }
}

/// The target that the presets name, Compose where they name none; two of them are a finding.
fn one_target(strategies: &[Strategy], findings: &mut Vec<Diagnostic>) -> Target {
    let of = |strategy: &Strategy| strategy.target.unwrap_or(Target::Compose);
    let Some(first) = strategies.first() else { return Target::Compose };
    let ours = of(first);
    if let Some(other) = strategies.iter().find(|other| of(other) != ours) {
        let theirs = of(other).as_str();
        let code = Code::ContainerMismatch;
        findings.push(mismatch(code, "container", first, other, "target", ours.as_str(), theirs));
    }
    ours
}

/// The image that serves all strategies: the first one's, with the kernels and the parts that any of them needs.
fn image_of(
    strategies: &[Strategy],
    pinned: &Pinned,
    findings: &mut Vec<Diagnostic>,
) -> Option<ImagePlan> {
    let first = strategies.first()?;
    for other in strategies.iter().skip(1) {
        if let Some((key, ours, theirs)) = first.image.difference(&other.image) {
            findings.push(mismatch(
                Code::ImageMismatch,
                "image",
                first,
                other,
                &key,
                &ours,
                &theirs,
            ));
        }
    }
    let mut image = first.image.plan.clone();
    for other in strategies {
        image.rpc |= other.image.plan.rpc;
        image.tls |= other.image.plan.tls;
        if let (Backend::Cuda(ours), Backend::Cuda(theirs)) =
            (&mut image.backend, &other.image.plan.backend)
        {
            ours.fa_quants.extend(theirs.fa_quants.iter().cloned());
        }
    }
    if let Backend::Cuda(cuda) = &mut image.backend {
        cuda.fa_quants.sort();
        cuda.fa_quants.dedup();
    }
    image.port = first.port;
    pin(&mut image, pinned);
    image.labels = labels(&image);
    Some(image)
}

/// Fills in what was resolved from outside, as far as it was resolved for this very source and these bases.
fn pin(image: &mut ImagePlan, pinned: &Pinned) {
    if let Source::Git { repository, reference, commit } = &mut image.source
        && !matches!(reference, Reference::Commit(_))
    {
        let known = pinned.commit(repository.as_str(), reference.as_str());
        *commit = known.and_then(|known| known.parse::<Commit>().ok());
    }
    for base in [&mut image.build_base, &mut image.runtime_base] {
        if !base.is_pinned()
            && let Some(digest) = pinned.digest(base.as_str())
            && let Ok(reference) = format!("{base}@{digest}").parse()
        {
            *base = reference;
        }
    }
}

fn labels(image: &ImagePlan) -> Vec<(String, String)> {
    let labels = [
        ("org.opencontainers.image.title", "llama-server".to_owned()),
        (
            "org.opencontainers.image.description",
            format!("llama.cpp's server, compiled for {}", image.backend.name()),
        ),
        ("org.opencontainers.image.licenses", "MIT".to_owned()),
        ("org.opencontainers.image.base.name", image.runtime_base.as_str().to_owned()),
        ("dev.composegen.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
