//! The servers that are started for a measurement, on the engine, as `up` would start them, but in Compose projects of
//! their own, so that nothing is in their way and nothing of them is left. What ran before is paused where it is in
//! the way, and runs again afterwards.

use std::io::Write as _;
use std::time::Duration;

use camino::Utf8Path;
use tokio::runtime::Runtime;

use crate::command::strategy::{Ready, engine};
use crate::command::{Failure, up};
use crate::engine::compose::Compose;
use crate::engine::container::Found;
use crate::engine::interrupt::Interrupt;
use crate::engine::labels::{self, Identity};
use crate::engine::{Engine, EngineError};
use crate::exit::Exit;
use crate::gguf;
use crate::log::failure::{Ending, Failure as Ended};
use crate::plan::service::Service;
use crate::server::process;
use crate::terminal::Terminal;
use crate::units::Bytes;

/// In place of Compose's hash of the configuration: no compose file says what runs. Another run knows what this one
/// left by it.
const MARK: &str = "composegen-bench";

/// Lines of the log's end that are read where a server has ended.
const END: u32 = 400;

/// A server that is to be measured.
pub(super) struct Wanted<'a> {
    pub(super) ready: &'a Ready,
    /// Flags behind the preset's, which win.
    pub(super) arguments: Vec<String>,
}

struct Member {
    service: Service,
    /// What its GPUs are asked for by, `None` where it uses none; empty: all of them.
    gpus: Option<Vec<String>>,
    identity: Identity,
    arguments: Vec<String>,
    /// What ran before, as the files say: it is measured as it is.
    standing: Option<Found>,
    /// The container that runs, as far as we know.
    running: Option<String>,
}

pub(super) struct Crew {
    runtime: Runtime,
    engine: Engine,
    interrupt: Interrupt,
    members: Vec<Member>,
    /// What ran before and does not at the moment.
    paused: Vec<Found>,
    /// Why not all can run at the same time.
    conflict: Option<String>,
}

impl Crew {
    pub(super) fn new(wanted: &[Wanted<'_>], terminal: &mut Terminal) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let interrupt = runtime.block_on(async { Interrupt::new() })?;
        let engine = runtime.block_on(engine())?;
        let mut crew = Self {
            runtime,
            engine,
            interrupt,
            members: Vec::new(),
            paused: Vec::new(),
            conflict: None,
        };
        let readied =
            crew.runtime.block_on(ready(&crew.engine, wanted, &mut crew.interrupt, terminal));
        let (members, paused) = readied?;
        crew.members = members;
        let memory = crew.runtime.block_on(crew.engine.facts())?.memory_bytes;
        crew.conflict = conflict(&crew.members, memory);
        // From here on there is something to put back.
        if let Err(failure) = crew.clear(paused, wanted, terminal) {
            if let Err(error) = crew.close(terminal) {
                writeln!(terminal.err, "warning: {error}")?;
            }
            return Err(failure);
        }
        Ok(crew)
    }

    /// Why only one of them can run at a time; absent where all can.
    pub(super) fn conflict(&self) -> Option<&str> {
        self.conflict.as_deref()
    }

    /// The image's id, `sha256:...`.
    pub(super) fn image(&self, member: usize) -> Option<&str> {
        self.members.get(member).map(|member| member.identity.image.as_str())
    }

    /// Whether the engine's machine is this one.
    pub(super) fn is_here(&self) -> bool {
        self.engine.address.is_local()
    }

    /// Removes what a killed run left, looks whether the ports are there, pauses what is in the way, and looks whether
    /// the GPUs are there.
    fn clear(
        &mut self,
        others: Vec<Found>,
        wanted: &[Wanted<'_>],
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let Self { runtime, engine, interrupt, members, paused, .. } = self;
        let standing = members.iter().filter_map(|member| member.standing.clone());
        let ours: Vec<Found> = standing.chain(others.iter().cloned()).collect();
        let started = || members.iter().zip(wanted).filter(|(member, _)| member.standing.is_none());
        runtime.block_on(async {
            for (Member { service, .. }, _) in started() {
                for left in engine.find_service(service).await? {
                    writeln!(terminal.err, "removing {} ({})", left.name, left.status)?;
                    engine.remove(&left.id).await?;
                }
            }
            for (Member { service, .. }, _) in started() {
                up::port(engine, service, &ours).await?;
            }
            for found in others {
                writeln!(terminal.err, "pausing {} ({})", found.name, found.status)?;
                paused.push(found.clone());
                engine.stop(&found.id, None).await?;
            }
            for (Member { service, identity, .. }, wanted) in started() {
                engine.ensure_network(service).await?;
                let host = wanted.ready.host.as_ref().filter(|_| service.gpus.is_some());
                if let Some(host) = host {
                    tokio::select! {
                        () = interrupt.wait() => return Err(interrupted()),
                        seen = up::gpus(engine, service, identity, &host.gpus) => seen?,
                    }
                }
            }
            Ok(())
        })
    }

    /// Starts one and waits until it answers. One that runs is left as it is.
    pub(super) fn start(&mut self, member: usize, terminal: &mut Terminal) -> Result<(), Failure> {
        let Some(Member { service, identity, arguments, standing, running, .. }) =
            self.members.get_mut(member)
        else {
            return Ok(());
        };
        if running.is_some() {
            return Ok(());
        }
        let engine = &self.engine;
        let patience = Duration::from_secs(u64::from(service.patience_s()));
        // Not to be interrupted: a request that is on its way is carried out by the engine all the same.
        let id = self.runtime.block_on(async {
            if let Some(found) = standing {
                engine.start(&found.id).await.map_err(up::refused)?;
                return Ok(found.id.clone());
            }
            let made = engine.create_with(service, identity, arguments).await;
            let id = made.map_err(up::refused)?;
            up::entrypoint(engine, service, &id).await?;
            engine.start(&id).await.map_err(up::refused)?;
            Ok::<_, Failure>(id)
        })?;
        *running = Some(id.clone());
        if let Some(found) = standing {
            self.paused.retain(|paused| paused.id != found.id);
        }
        let interrupt = &mut self.interrupt;
        self.runtime.block_on(async {
            tokio::select! {
                () = interrupt.wait() => Err(interrupted()),
                waited = up::healthy(engine, service, &id, patience, terminal) => waited,
            }
        })
    }

    /// Ends one. What ran before is stopped only, and comes back in the end.
    pub(super) fn stop(&mut self, member: usize) -> Result<(), Failure> {
        let Some(Member { standing, running, .. }) = self.members.get_mut(member) else {
            return Ok(());
        };
        let Some(id) = running.take() else { return Ok(()) };
        if let Some(found) = standing {
            self.paused.push(found.clone());
            self.runtime.block_on(self.engine.stop(&id, None))?;
        } else {
            self.runtime.block_on(self.engine.remove(&id))?;
        }
        Ok(())
    }

    /// Waits for what blocks, on a thread of its own, unless Ctrl-C comes first.
    pub(super) fn work<T: Send + 'static>(
        &mut self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (send, receive) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || send.send(job()));
        let interrupt = &mut self.interrupt;
        self.runtime.block_on(async {
            tokio::select! {
                () = interrupt.wait() => Err(interrupted()),
                done = receive => done.map_err(|_| {
                    Failure::NoAnswer("the measurement broke off".to_owned())
                }),
            }
        })
    }

    /// The most memory that a server has had resident. Absent where its image has no `grep`, or it runs no longer.
    pub(super) fn peak(&self, member: usize) -> Option<Bytes> {
        let id = self.members.get(member)?.running.as_ref()?;
        let ask = ["/bin/sh", "-c", "grep -h -e '^Name:' -e '^VmHWM:' /proc/[0-9]*/status"];
        let said = self.runtime.block_on(self.engine.exec(id, &ask)).ok()?;
        process::peak(&said.text)
    }

    /// Why a server gave no answer: that it ended, where it did.
    pub(super) fn why(&self, member: usize, failure: Failure) -> Failure {
        let id = self.members.get(member).and_then(|member| member.running.as_ref());
        let (Some(id), Failure::NoAnswer(said)) = (id, &failure) else { return failure };
        let ended = self.runtime.block_on(async {
            // The engine learns of an end a moment after the connection does.
            for _ in 0..8 {
                let state = match self.engine.state(id).await {
                    Ok(state) => state,
                    Err(EngineError::Refused { status: 404, .. }) => {
                        return Some(Ended::Stopped { signal: 9 });
                    }
                    Err(_) => return None,
                };
                if !state.running {
                    let lines = self.engine.last_lines(id, END).await.unwrap_or_default();
                    return Some(Ended::of(&Ending {
                        exit_code: Some(state.exit_code),
                        oom_killed: state.oom_killed,
                        engine: &state.error,
                        was_ready: true,
                        lines: &lines,
                    }));
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            None
        });
        match ended {
            Some(ended) => Failure::Server(ended),
            None if said.contains("no answer from") => Failure::NoAnswer(format!(
                "{said}\nit is healthy where the engine is: where that is another machine, forward the port with \
                 `ssh -L`, start the preset with `composegen up`, and name the near end in `--url`"
            )),
            None => failure,
        }
    }

    /// Removes what was started and starts again what ran before. Does all that it can; the first failure is told.
    pub(super) fn close(mut self, terminal: &mut Terminal) -> Result<(), Failure> {
        let mut first = None;
        let mut note = |result: Result<(), EngineError>| {
            if let Err(error) = result {
                first.get_or_insert(error);
            }
        };
        let engine = &self.engine;
        for Member { service, standing, .. } in &self.members {
            self.runtime.block_on(async {
                if standing.is_none() {
                    note(engine.remove(&service.container()).await);
                }
                note(engine.remove(&up::asking(service)).await);
                if standing.is_none() {
                    note(engine.remove_network(&service.network()).await);
                }
            });
        }
        for found in self.paused.drain(..) {
            // A screen that is gone keeps nothing from being put back.
            let _ = writeln!(terminal.err, "{} runs again", found.name);
            note(self.runtime.block_on(engine.start(&found.id)));
        }
        self.runtime.shutdown_background();
        match first {
            None => Ok(()),
            Some(error) => Err(Failure::Engine(error)),
        }
    }
}

/// The GPUs of a preset, as its machine names them.
pub(super) fn gpus(ready: &Ready) -> Option<Vec<String>> {
    ready.service.gpus.is_some().then(|| ready.strategy.container.gpus.clone())
}

/// Looks at images, flags, models and what runs, before anything is changed. Also gives what has to be paused.
async fn ready(
    engine: &Engine,
    wanted: &[Wanted<'_>],
    interrupt: &mut Interrupt,
    terminal: &mut Terminal,
) -> Result<(Vec<Member>, Vec<Found>), Failure> {
    let mut members = Vec::new();
    let mut others: Vec<Found> = Vec::new();
    for Wanted { ready, arguments } in wanted {
        up::model_of(engine, &ready.service)?;
        let image = tokio::select! {
            () = interrupt.wait() => return Err(interrupted()),
            image = up::image(engine, &ready.service) => image?,
        };
        up::flags(engine, ready, &image, interrupt, terminal).await?;
        let hash = Compose::find()
            .and_then(|compose| compose.hash(&ready.service))
            .unwrap_or_else(|| labels::own_hash(&ready.service));
        let mut standing = None;
        for found in engine.find_service(&ready.service).await? {
            let same = found.label(labels::HASH) == hash && found.label(labels::IMAGE) == image.id;
            match found.state.as_str() {
                "running" if same && arguments.is_empty() => standing = Some(found),
                "running" | "restarting" if others.iter().all(|other| other.id != found.id) => {
                    others.push(found);
                }
                _ => {}
            }
        }
        let mut service = ready.service.clone();
        service.project = format!("{}-bench", service.project);
        members.push(Member {
            running: standing.as_ref().map(|found: &Found| found.id.clone()),
            service,
            gpus: gpus(ready),
            identity: Identity { hash: format!("{MARK}-{}", std::process::id()), image: image.id },
            arguments: arguments.clone(),
            standing,
        });
    }
    // One that is measured as it is, is nothing to be paused for another one's sake at once.
    let measured = |found: &Found| {
        let standing = members.iter().filter_map(|member: &Member| member.standing.as_ref());
        standing.into_iter().any(|standing| standing.id == found.id)
    };
    others.retain(|found| !measured(found));
    Ok((members, others))
}

/// Why these cannot all run at the same time.
fn conflict(members: &[Member], memory: u64) -> Option<String> {
    let mut of = members.iter().enumerate();
    let pair = of.find_map(|(i, one)| {
        let others = members.iter().skip(i + 1);
        others.into_iter().find_map(|other| between(one, other))
    });
    pair.or_else(|| {
        // All run already: they fit.
        if members.len() < 2 || members.iter().all(|member| member.standing.is_some()) {
            return None;
        }
        let models = members.iter().filter_map(|member| member.service.model.as_deref());
        let sizes = models.filter_map(bytes);
        let together: u64 = sizes.sum();
        (memory > 0 && together > memory / 10 * 8).then(|| {
            format!(
                "their models take {} GiB together, and the machine has {} GiB",
                together >> 30,
                memory >> 30
            )
        })
    })
}

/// Of all parts of a model.
fn bytes(model: &Utf8Path) -> Option<u64> {
    Some(gguf::open_files(model).ok()?.parts.iter().map(|part| part.length.0).sum())
}

fn between(one: &Member, other: &Member) -> Option<String> {
    let (a, b) = (&one.service, &other.service);
    if a.port == b.port {
        return Some(format!("both use port {}", a.port));
    }
    if a.project == b.project {
        return Some(format!("both are the project `{}`", a.project));
    }
    let (Some(ours), Some(theirs)) = (&one.gpus, &other.gpus) else { return None };
    let all = ours.is_empty() || theirs.is_empty();
    (all || ours.iter().any(|gpu| theirs.contains(gpu)))
        .then(|| "both use the same GPUs".to_owned())
}

fn interrupted() -> Failure {
    let message = "interrupted; nothing was written, and what was started is gone";
    Failure::Because { exit: Exit::Interrupted, message: message.to_owned() }
}
