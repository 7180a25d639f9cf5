//! Building an image with the engine's own BuildKit.

pub mod progress;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion};
use futures_util::StreamExt as _;

use super::context::{self, Context};
use super::error::chain;
use super::{Engine, EngineError};
use progress::{Event, Progress, Step};

/// What to build.
#[derive(Clone, Debug)]
pub struct Build {
    pub context: Context,
    pub target: String,
    pub tag: String,
    pub arguments: Vec<(String, String)>,
    pub labels: Vec<(String, String)>,
}

/// How a build ended that the engine carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Built {
    Done {
        cached: usize,
        done: usize,
    },
    /// A step failed; its output was told.
    Failed {
        message: String,
    },
}

/// Compiling CUDA may be silent for minutes, and a large context takes its time to be sent.
pub(super) const PATIENCE: Duration = Duration::from_secs(6 * 3600);

impl Engine {
    /// Builds and tells of it. Dropped before it is done, the engine gives the build up.
    pub async fn build(
        &self,
        build: Build,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Built, EngineError> {
        // BuildKit wants a session of its own for each build.
        let session = format!("composegen-{:016x}", RandomState::new().build_hasher().finish());
        let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<HashMap<_, _>>();
        let options = BuildImageOptionsBuilder::new()
            .dockerfile("Dockerfile")
            .target(&build.target)
            .t(&build.tag)
            .buildargs(&map(&build.arguments))
            .labels(&map(&build.labels))
            .version(BuilderVersion::BuilderBuildKit)
            .session(&session)
            .build();
        let (mut pieces, end) = context::send(build.context);
        let body = futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx));
        let mut docker = self.docker.clone();
        docker.set_timeout(PATIENCE);
        let mut stream = docker.build_image(options, None, Some(bollard::body_try_stream(body)));
        let mut progress = Progress::default();
        let mut failed = false;
        while let Some(info) = stream.next().await {
            match info {
                Ok(info) => failed |= read(info, &mut progress, tell),
                Err(bollard::errors::Error::DockerStreamError { error }) => {
                    return Ok(Built::Failed { message: error.trim().to_owned() });
                }
                Err(error) => {
                    // Our side may be the reason: a file that could not be read.
                    if let Ok(Err(cause)) = end.try_recv() {
                        let doing = "read the build's context".to_owned();
                        return Err(EngineError::Local { doing, why: chain(&cause) });
                    }
                    return Err(EngineError::of("build the image", error));
                }
            }
        }
        if failed {
            return Ok(Built::Failed { message: "a step failed".to_owned() });
        }
        Ok(Built::Done { cached: progress.cached, done: progress.done })
    }
}

/// Whether a step failed.
fn read(info: BuildInfo, progress: &mut Progress, tell: &mut dyn FnMut(Event)) -> bool {
    let Some(BuildInfoAux::BuildKit(status)) = info.aux else { return false };
    // Output before ends: what a step said last belongs to it.
    for log in status.logs {
        let text = String::from_utf8_lossy(&log.msg);
        if let Some(event) = progress.output(&log.vertex, &text) {
            tell(event);
        }
    }
    let mut failed = false;
    for vertex in status.vertexes {
        // Nanoseconds in f64 lose what nobody reads.
        let seconds = |seconds: i64, nanos: i32| seconds as f64 + f64::from(nanos) / 1e9;
        let step = Step {
            digest: vertex.digest,
            name: vertex.name,
            cached: vertex.cached,
            started: vertex.started.map(|time| seconds(time.seconds, time.nanos)),
            completed: vertex.completed.map(|time| seconds(time.seconds, time.nanos)),
            error: vertex.error,
        };
        if let Some(event) = progress.step(&step) {
            failed |= matches!(event, Event::Failed { .. });
            tell(event);
        }
    }
    failed
}
