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
pub mod plain;

use crate::artifact::Artifact;
use crate::diagnostic::FileId;
use crate::plan::Plan;

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
pub fn render(
    plan: &Plan,
    header: &dyn Fn(&[FileId]) -> Vec<String>,
) -> Result<Vec<Artifact>, RenderError> {
    let shared: Vec<FileId> = plan.strategies.iter().map(|strategy| strategy.file).collect();
    let shared = header(&shared);
    let mut artifacts = vec![
        finish("Dockerfile", dockerfile::dockerfile(&plan.image, &shared))?,
        finish("Dockerfile.dockerignore", dockerfile::dockerignore(&plan.image, &shared))?,
        finish("entrypoint.sh", entrypoint::entrypoint(&shared, &plan.knobs, plan.image.port))?
            .executable(),
        finish("docker-compose.yml", compose::compose(&shared, &plan.compose))?,
    ];
    if plan.image.cuda().is_some() {
        artifacts.push(Artifact::new("described-gpus.c", DESCRIBED_GPUS));
    }
    for (environment, strategy) in plan.environments.iter().zip(&plan.strategies) {
        let name = format!("{}.env", environment.name);
        artifacts.push(finish(&name, dotenv::dotenv(&header(&strategy.inputs), environment))?);
    }
    // A plain `docker compose up` reads `.env`: the first strategy.
    let default = artifacts.iter().find(|artifact| artifact.path.extension() == Some("env"));
    artifacts.extend(default.map(|first| Artifact::new(".env", first.text.clone())));
    artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(artifacts)
}

/// Askama drops the last line's end; it is added here, once, for every file.
fn finish(file: &str, text: askama::Result<String>) -> Result<Artifact, RenderError> {
    match text {
        Ok(text) => Ok(Artifact::new(file, format!("{}\n", text.trim_matches('\n')))),
        Err(source) => Err(RenderError { file: file.to_owned(), source }),
    }
}
