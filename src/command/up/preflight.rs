//! What is looked at before anything is started, since the server would say it late or not at all.

use camino::Utf8Path;

use super::super::Failure;
use super::refused;
use crate::engine::facts::Facts;
use crate::engine::image::Image;
use crate::engine::labels::Identity;
use crate::engine::{Engine, EngineError, container::Found, port as ports};
use crate::exit::Exit;
use crate::gguf::{self, Finding};
use crate::hardware::Gpu;
use crate::log::failure::{Failure as Ended, Trouble};
use crate::log::{devices, without_driver};
use crate::plan::service::Service;

/// As [`model`], where the engine mounts directories of this machine.
#[cfg(feature = "bench")]
pub(in crate::command) fn model_of(engine: &Engine, service: &Service) -> Result<(), Failure> {
    if engine.address.is_local() { model(service) } else { Ok(()) }
}

/// The model's files are there, all parts, each as long as its header says.
pub(in crate::command) fn model(service: &Service) -> Result<(), Failure> {
    let Some(path) = &service.model else { return Ok(()) };
    let wrong = |file: String, trouble| Err(Failure::Server(Ended::ModelFile { file, trouble }));
    let beside = |name: &str| path.with_file_name(name).into_string();
    let files = match gguf::open_files(path) {
        Ok(files) => files,
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            return match error {
                gguf::OpenError::File(io) if io.kind() == std::io::ErrorKind::NotFound => {
                    wrong(path.to_string(), Trouble::Missing)
                }
                gguf::OpenError::FirstPart { path } => {
                    wrong(path.into_string(), Trouble::MissingPart)
                }
                gguf::OpenError::Header { path, .. } => {
                    wrong(format!("{path}{cause}"), Trouble::NoGguf)
                }
                other => Err(Failure::File(format!("{other}{cause}"))),
            };
        }
    };
    for finding in &files.findings {
        match finding {
            Finding::MissingParts { missing } => {
                let list: Vec<String> = missing.iter().map(|name| beside(name)).collect();
                return wrong(list.join("`, `"), Trouble::MissingPart);
            }
            Finding::Truncated { part, expected, found } => {
                let file = format!("{} has {found} bytes of {expected}", beside(part));
                return wrong(file, Trouble::CutOff);
            }
            Finding::HeaderOnly { part } => {
                let file = format!("{} is a header without weights", beside(part));
                return wrong(file, Trouble::CutOff);
            }
            _ => {}
        }
    }
    first(path)
}

/// llama-server starts from the first part only.
fn first(path: &Utf8Path) -> Result<(), Failure> {
    let part = path.file_name().and_then(gguf::PartName::parse);
    if part.is_some_and(|part| part.number > 1) {
        let (file, trouble) = (path.to_string(), Trouble::NotFirstPart);
        return Err(Failure::Server(Ended::ModelFile { file, trouble }));
    }
    Ok(())
}

pub(in crate::command) async fn image(
    engine: &Engine,
    service: &Service,
) -> Result<Image, Failure> {
    let name = &service.image;
    engine.image(name).await?.ok_or_else(|| Failure::Because {
        exit: Exit::Image,
        message: format!(
            "the engine at {} has no image `{name}`\nhelp: `composegen build {} --image` makes it",
            engine.address, service.strategy
        ),
    })
}

/// The container that is asked which GPUs there are.
pub(in crate::command) fn asking(service: &Service) -> String {
    format!("{}-llama-gpus", service.project)
}

/// The GPUs are those that were planned for, in their order: with another one in front, weights go to the wrong card.
pub(in crate::command) async fn gpus(
    engine: &Engine,
    service: &Service,
    identity: &Identity,
    planned: &[Gpu],
) -> Result<(), Failure> {
    let facts = engine.facts().await?;
    if !facts.gives_gpus() {
        let said = format!(
            "Podman {} forgets those that are asked for through its socket; {}",
            facts.version,
            Facts::WITHOUT_GPUS
        );
        return Err(Failure::Server(Ended::NoGpu { said }));
    }
    let command = ["llama-server", "--list-devices"].map(str::to_owned);
    let name = asking(service);
    // One that a killed run left has the name.
    engine.remove(&name).await?;
    let id = engine.create_one_off(service, identity, &name, &command).await?;
    engine.start(&id).await.map_err(refused)?;
    let mut output = engine.logs(&id, None, true);
    let mut lines = Vec::new();
    while let Some(more) = output.next().await {
        lines.extend(more);
    }
    engine.remove(&id).await?;
    let planned: Vec<(&str, u64)> =
        planned.iter().map(|gpu| (gpu.name.as_str(), gpu.memory.0 >> 20)).collect();
    match devices::mismatch(&devices::read(&lines), &planned) {
        None => Ok(()),
        Some(said) => {
            // Why there is none says more than that there is none.
            let driver = lines.iter().find_map(|line| without_driver(line)).map(str::to_owned);
            Err(Failure::Server(Ended::NoGpu { said: driver.unwrap_or(said) }))
        }
    }
}

/// Where the image has the script that makes arguments of its environment.
const ENTRYPOINT: &str = "/usr/local/bin/entrypoint";

fn foreign(service: &Service) -> Failure {
    Failure::Because {
        exit: Exit::Image,
        message: format!(
            "the image `{}` was not built by composegen: it has no {ENTRYPOINT}, so that nothing would reach its \
             llama-server\nhelp: `composegen build {} --image` builds one under this name; or name another in `image.name`",
            service.image, service.strategy
        ),
    }
}

/// An image that was built for other strategies has an entrypoint that passes over what it does not know.
pub(in crate::command) async fn entrypoint(
    engine: &Engine,
    service: &Service,
    container: &str,
) -> Result<(), Failure> {
    let script = match engine.read_file(container, ENTRYPOINT).await {
        // The container itself may be gone as well, which says nothing about the image.
        Err(EngineError::Refused { status: 404, message, .. })
            if !message.to_lowercase().contains("no such container") =>
        {
            return Err(foreign(service));
        }
        read => read?,
    };
    let ignored: Vec<&str> = service
        .environment
        .iter()
        .take(service.passed_on)
        .filter_map(|line| line.split_once('='))
        .filter(|(name, value)| {
            *name != "STRATEGY" && !value.is_empty() && !script.contains(&format!("${{{name}"))
        })
        .map(|(name, _)| name)
        .collect();
    if ignored.is_empty() {
        return Ok(());
    }
    Err(Failure::Because {
        exit: Exit::Image,
        message: format!(
            "the image `{}` was built for other strategies and would ignore {}\nhelp: `composegen build {} --image` \
             builds it for this one; only the last layer is new",
            service.image,
            ignored.join(", "),
            service.strategy
        ),
    })
}

/// Nobody else has the port; the containers in `ours` will be gone by then.
pub(in crate::command) async fn port(
    engine: &Engine,
    service: &Service,
    ours: &[Found],
) -> Result<(), Failure> {
    let taken = |said: String| Err(Failure::Server(Ended::Port { said }));
    let all = engine.find(&[]).await?;
    let port = service.port;
    if let Some(other) = ports::publisher(port, &all, ours) {
        return taken(format!("container `{}` has published {port}", other.name));
    }
    let own = ours.iter().any(|found| found.ports.contains(&port));
    if engine.address.is_local() && !own && ports::taken(&service.publish, port) {
        return taken(format!("{}:{port} is in use by another program", service.publish));
    }
    Ok(())
}
