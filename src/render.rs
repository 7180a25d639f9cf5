//! From a plan to the text of files: what stands in a template, and nothing else decides what is printed.
//!
//! Holes in templates print plain words. Whatever else is printed goes through an encoder of `quote`, by the filter
//! of its sink; the escaper refuses the rest, so that a forgotten filter is an error and never a wrong file.

pub mod client;
mod compose;
pub mod dockerfile;
mod dotenv;
pub mod entrypoint;
pub mod filter;
mod front;
mod kubernetes;
pub mod plain;
mod quadlet;
pub mod report;
mod swarm;

use crate::artifact::Artifact;
use crate::diagnostic::FileId;
use crate::plan::front::FILE;
use crate::plan::kubernetes::{Manifests, models_gib};
use crate::plan::quadlet::Unit;
use crate::plan::swarm::Stack;
use crate::plan::{Plan, Target};

/// A source file without holes: what a probe is shown in place of the CUDA runtime.
const DESCRIBED_GPUS: &str = include_str!("../templates/described-gpus.c");

/// Which file could not be printed. It means that a value reached a template which the checks should have refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{file}`: a value in it has no form that its reader understands ({source})")]
pub struct RenderError {
    pub file: String,
    pub source: askama::Error,
}

/// All files of an output directory but the lock file. `header` makes a file's opening comment from its inputs.
pub fn render(plan: &Plan, header: Header<'_>) -> Result<Vec<Artifact>, RenderError> {
    let shared = shared(plan, header);
    let mut artifacts = render_image(plan, header)?;
    artifacts.extend(match plan.target {
        Target::Compose => for_compose(plan, &shared, header)?,
        Target::Swarm => for_swarm(plan, header)?,
        Target::Kubernetes => for_kubernetes(plan, &shared, header)?,
        Target::Quadlet => for_quadlet(plan, &shared, header)?,
    });
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(artifacts)
}

/// Those that the image is built from.
pub fn render_image(plan: &Plan, header: Header<'_>) -> Result<Vec<Artifact>, RenderError> {
    let shared = shared(plan, header);
    let mut artifacts = vec![
        finish("Dockerfile", dockerfile::dockerfile(&plan.image, &shared))?,
        finish("Dockerfile.dockerignore", dockerfile::dockerignore(&plan.image, &shared))?,
        finish(
            "entrypoint.sh",
            entrypoint::entrypoint(&shared, &plan.knobs, plan.image.port, plan.image.rpc),
        )?
        .executable(),
    ];
    if plan.image.cuda().is_some() {
        artifacts.push(Artifact::new("described-gpus.c", DESCRIBED_GPUS));
    }
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(artifacts)
}

type Header<'a> = &'a dyn Fn(&[FileId]) -> Vec<String>;

/// The opening comment of what all strategies share.
fn shared(plan: &Plan, header: Header<'_>) -> Vec<String> {
    let files: Vec<FileId> = plan.strategies.iter().map(|strategy| strategy.file).collect();
    header(&files)
}

fn for_compose(
    plan: &Plan,
    shared: &[String],
    header: Header<'_>,
) -> Result<Vec<Artifact>, RenderError> {
    let config = match &plan.compose.front {
        Some(front) => Some(finish(FILE, front::haproxy(shared, front))?),
        None => None,
    };
    let digest = config.as_ref().map(|config| config.digest().to_string()).unwrap_or_default();
    let text = compose::compose(shared, &plan.compose, &digest);
    let mut made = vec![finish("docker-compose.yml", text)?];
    for (environment, strategy) in plan.environments.iter().zip(&plan.strategies) {
        let name = format!("{}.env", environment.name);
        made.push(finish(&name, dotenv::dotenv(&header(&strategy.inputs), environment))?);
    }
    // A plain `docker compose up` reads `.env`: the first strategy.
    made.extend(made.get(1).map(|first| Artifact::new(".env", first.text.clone())));
    made.extend(config);
    Ok(made)
}

fn for_swarm(plan: &Plan, header: Header<'_>) -> Result<Vec<Artifact>, RenderError> {
    let mut made: Vec<Artifact> = Vec::new();
    for (service, strategy) in plan.inlined.iter().zip(&plan.strategies) {
        let stack = Stack::new(service);
        for node in stack.nodes() {
            let file = node.file();
            // The strategies of a directory have the same GPUs.
            if made.iter().all(|known| known.path != file) {
                made.push(finish(&file, swarm::daemon(&node))?);
            }
        }
        let name = format!("{}.stack.yml", service.name);
        made.push(finish(&name, swarm::stack(&header(&strategy.inputs), &stack))?);
    }
    Ok(made)
}

fn for_kubernetes(
    plan: &Plan,
    shared: &[String],
    header: Header<'_>,
) -> Result<Vec<Artifact>, RenderError> {
    let mut made = Vec::new();
    // At the top: the models' claim, which is the same for all strategies, and the default strategy.
    let mut resources = Vec::new();
    if plan.inlined.iter().any(|service| service.node_models().is_none()) {
        let prefix = plan.compose.container.prefix();
        let text = kubernetes::models(shared, prefix, models_gib(&plan.inlined));
        made.push(finish("models.yaml", text)?);
        resources.push("models.yaml");
    }
    resources.extend(plan.inlined.first().map(|first| first.name.as_str()));
    made.push(finish("kustomization.yaml", kubernetes::kustomization(shared, &resources))?);
    for (service, strategy) in plan.inlined.iter().zip(&plan.strategies) {
        let manifests = Manifests::new(service);
        for (file, text) in kubernetes::base(&header(&strategy.inputs), &manifests) {
            made.push(finish(&format!("{}/{file}", service.name), text)?);
        }
    }
    Ok(made)
}

fn for_quadlet(
    plan: &Plan,
    shared: &[String],
    header: Header<'_>,
) -> Result<Vec<Artifact>, RenderError> {
    let prefix = plan.compose.container.prefix();
    let network = quadlet::network(shared, prefix);
    let mut made = vec![finish(&format!("{prefix}s.network"), network)?];
    for (service, strategy) in plan.inlined.iter().zip(&plan.strategies) {
        let unit = Unit::new(service, &plan.inlined);
        let name = format!("{prefix}-{}.container", service.name);
        made.push(finish(&name, quadlet::container(&header(&strategy.inputs), &unit))?);
    }
    Ok(made)
}

/// Askama drops the last line's end; it is added here, once, for every file.
fn finish(file: &str, text: askama::Result<String>) -> Result<Artifact, RenderError> {
    match text {
        Ok(text) => Ok(Artifact::new(file, format!("{}\n", text.trim_matches('\n')))),
        Err(source) => Err(RenderError { file: file.to_owned(), source }),
    }
}
