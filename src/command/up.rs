//! `composegen up`: writes what `build` writes, starts what Compose would start, and waits until it answers. Where
//! anything goes wrong, or Ctrl-C comes, nothing that it started is left.

mod memory;
mod preflight;
mod wait;

#[cfg(feature = "bench")]
pub(super) use preflight::model_of;
pub(super) use preflight::{asking, entrypoint, gpus, image, model, port};
pub(super) use wait::healthy;

use std::io::Write as _;
use std::time::Duration;

use super::strategy::{Ready, engine, is_here, ready};
use super::{Failure, accepted};
use crate::cli::Up;
use crate::engine::container::Found;
use crate::engine::image::Image;
use crate::engine::interrupt::Interrupt;
use crate::engine::labels::{self, Identity};
use crate::engine::{Engine, EngineError, compose::Compose, run as block_on};
use crate::exit::Exit;
use crate::log::failure::{Ending, Failure as Ended};
use crate::plan::service::{Restart, Service};
use crate::terminal::Terminal;

pub(super) fn run(args: &Up, terminal: &mut Terminal) -> Result<(), Failure> {
    let ready = ready(&args.chosen, terminal)?;
    if is_here() {
        model(&ready.service)?;
    }
    block_on(up(&ready, args, terminal))?
}

/// What has been started or stopped so far, and is to be taken back.
#[derive(Default)]
struct Touched {
    service: bool,
}

async fn up(ready: &Ready, args: &Up, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new()?;
    let service = &ready.service;
    let engine = tokio::select! {
        () = interrupt.wait() => return Err(interrupted("nothing was started")),
        engine = engine() => engine?,
    };
    let mut touched = Touched::default();
    let result = launch(&engine, ready, args, &mut touched, &mut interrupt, terminal).await;
    if let (Err(failure), true) = (&result, touched.service) {
        if matches!(failure, Failure::Engine(_)) {
            // A restarting engine may be back in a moment.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if let Err(error) = take_back(&engine, service).await {
            writeln!(
                terminal.err,
                "warning: {error}; when the engine answers again, `composegen down {}` removes what is left",
                ready.held.path()
            )?;
        }
    }
    result
}

async fn launch(
    engine: &Engine,
    ready: &Ready,
    args: &Up,
    touched: &mut Touched,
    interrupt: &mut Interrupt,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let service = &ready.service;
    let (image, old) = tokio::select! {
        () = interrupt.wait() => return Err(interrupted("nothing was changed")),
        found = before(engine, service) => found?,
    };
    flags(engine, ready, &image, interrupt, terminal).await?;
    memory::tell(ready, &image, &args.file.ledger, terminal)?;
    let hash = Compose::find()
        .and_then(|compose| compose.hash(service))
        .unwrap_or_else(|| labels::own_hash(service));
    let identity = Identity { hash, image: image.id };
    let same = |found: &&Found| {
        found.label(labels::HASH) == identity.hash
            && found.label(labels::IMAGE) == identity.image
            && found.state == "running"
    };
    let id = if let Some(running) = old.iter().find(same) {
        writeln!(terminal.err, "{} runs already, as the files say", running.name)?;
        running.id.clone()
    } else {
        touched.service = true;
        for found in &old {
            writeln!(terminal.err, "replacing {} ({})", found.name, found.status)?;
            let stopped = tokio::select! {
                () = interrupt.wait() => return Err(interrupted("nothing is left running")),
                stopped = engine.stop(&found.id, None) => stopped,
            };
            stopped?;
            engine.remove(&found.id).await?;
        }
        engine.ensure_network(service).await?;
        if let Some(host) = ready.host.as_ref().filter(|_| service.gpus.is_some()) {
            tokio::select! {
                () = interrupt.wait() => return Err(interrupted("nothing is left running")),
                seen = gpus(engine, service, &identity, &host.gpus) => seen?,
            }
        }
        start(engine, service, &identity, args.no_wait).await?
    };
    if args.no_wait {
        writeln!(
            terminal.err,
            "{} starts; it will answer at {}",
            service.container(),
            service.url()
        )?;
        return Ok(());
    }
    let patience = args.timeout.unwrap_or_else(|| service.patience_s());
    let patience = Duration::from_secs(u64::from(patience));
    tokio::select! {
        () = interrupt.wait() => {
            let left = if touched.service { "nothing is left running" } else { "it runs on" };
            Err(interrupted(left))
        }
        waited = healthy(engine, service, &id, patience, terminal) => waited,
    }?;
    if touched.service && !engine.set_restart(&id, &service.restart).await? {
        writeln!(
            terminal.err,
            "warning: this engine cannot give a running container its restart policy, so it stays down where it ends; \
             `composegen up --no-wait` starts it with the policy"
        )?;
    }
    writeln!(terminal.out, "{}", service.url())?;
    Ok(())
}

/// The image's llama-server takes the strategy's flags.
pub(super) async fn flags(
    engine: &Engine,
    ready: &Ready,
    image: &Image,
    interrupt: &mut Interrupt,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let name = &ready.service.image;
    match accepted::of_image(engine, image, ready.held.path(), interrupt).await? {
        Some(accepted) => accepted::hold(&accepted, &ready.words, name),
        None => Ok(writeln!(
            terminal.err,
            "note: `{name}` does not say which flags its llama-server takes, so they are not compared"
        )?),
    }
}

/// What has to be known and to hold before anything is changed.
async fn before(engine: &Engine, service: &Service) -> Result<(Image, Vec<Found>), Failure> {
    let image = image(engine, service).await?;
    let old = engine.find_service(service).await?;
    port(engine, service, &old).await?;
    Ok((image, old))
}

/// Not to be interrupted: a request that is on its way is carried out by the engine all the same.
///
/// A server that is waited for gets its restart policy when it has answered: one that ends before would end again,
/// and only its first end says why.
async fn start(
    engine: &Engine,
    service: &Service,
    identity: &Identity,
    unattended: bool,
) -> Result<String, Failure> {
    let restart = if unattended { &service.restart } else { &Restart::No };
    let started = match engine.create(service, identity, restart).await {
        Ok(id) => {
            entrypoint(engine, service, &id).await?;
            engine.start(&id).await.map(|()| id)
        }
        Err(error) => Err(error),
    };
    started.map_err(refused)
}

/// What the engine said when it could not start a container, as a class of failure where it is one.
pub(super) fn refused(error: EngineError) -> Failure {
    let said = error.message().unwrap_or_default();
    match Ended::of(&Ending { engine: said, ..Ending::default() }) {
        Ended::Unknown { .. } => Failure::Engine(error),
        known => Failure::Server(known),
    }
}

/// Removes the service's containers, the one that looked for GPUs too, and its network.
async fn take_back(engine: &Engine, service: &Service) -> Result<(), Failure> {
    engine.remove(&asking(service)).await?;
    for found in engine.find_service(service).await? {
        engine.remove(&found.id).await?;
    }
    Ok(engine.remove_network(&service.network()).await?)
}

fn interrupted(left: &str) -> Failure {
    Failure::Because { exit: Exit::Interrupted, message: format!("interrupted; {left}") }
}
