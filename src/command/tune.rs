//! `composegen tune`: tries placements on the machine itself, from the most aggressive one down, until the best one is
//! found. What to try next is decided in `crate::tune`; here it is started, observed and written down.

mod also;
mod ask;
mod attempt;
mod dry;
mod known;
mod record;
mod report;
mod subject;
mod write;

use std::io::Write as _;
use std::time::Duration;

use super::strategy::{Ready, engine, is_here, ready};
use super::{Failure, ledger, load, up};
use crate::artifact::Digest;
use crate::cli::Tune;
use crate::engine::interrupt::Interrupt;
use crate::engine::labels::{self, Identity};
use crate::engine::{Engine, run as block_on};
use crate::exit::Exit;
use crate::flags;
use crate::ledger::Gguf;
use crate::plan::counted::Counted;
use crate::plan::service::Service;
use crate::store;
use crate::strategy::env_name;
use crate::terminal::Terminal;
use crate::tune::{Candidate, State, Step, next};
use attempt::{Bench, Lost, interrupted};
use record::Recorder;
use report::{Event, tell};
use subject::Subject;

/// In place of Compose's hash of the configuration: no compose file says what runs. Another run knows what this one
/// left by it.
const MARK: &str = "composegen-tune";

/// llama-server's table of memory is printed from this verbosity on.
const VERBOSE: [&str; 2] = ["--verbosity", "4"];

pub(super) fn run(args: &Tune, terminal: &mut Terminal) -> Result<(), Failure> {
    let subject = Subject::new(args, terminal)?;
    let counted = subject.counted()?;
    let counted = counted.as_ref();
    if args.dry_run {
        let (task, left_out) = subject.task(counted, args, String::new())?;
        let mut state = State::new(task, Vec::new());
        if !args.fresh {
            state.learn(known::preset(&subject, subject.ctx_size()?));
        }
        return dry::run(&subject, counted, state, &left_out, args.output.format, terminal);
    }
    // Before the first of many minutes.
    store::appendable(&args.file.ledger)?;
    let ready = ready(&args.chosen, terminal)?;
    if is_here() {
        up::model(&ready.service)?;
    }
    block_on(tune(args, &subject, counted, &ready, terminal))?
}

async fn tune(
    args: &Tune,
    subject: &Subject,
    counted: Option<&Counted<'_>>,
    ready: &Ready,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new()?;
    let service = &placed_by_arguments(&ready.service, subject, counted);
    let engine = tokio::select! {
        () = interrupt.wait() => return Err(interrupted()),
        engine = engine() => engine?,
    };
    let image = up::image(&engine, service).await?;
    clear(&engine, service, terminal).await?;
    up::flags(&engine, ready, &image, &mut interrupt, terminal).await?;
    let image = image.id;
    let gguf = match record::model(service) {
        // The paths are the engine's, and what cannot be read is left out of the ledger.
        Err(_) if !engine.address.is_local() => Gguf::default(),
        read => read?,
    };
    let task = subject.digest(
        counted,
        &[
            format!("{gguf:?}"),
            image.clone(),
            format!("{:?} {:?}", ready.host.as_ref().map(|host| &host.gpus), service.memory_mib),
            format!("{:?}", args.depth),
        ],
    );
    let mut state = state(args, subject, counted, &task, terminal)?;
    let identity =
        Identity { hash: format!("{MARK}-{}", std::process::id()), image: image.clone() };
    engine.ensure_network(service).await?;
    let run = Tuning {
        args,
        subject,
        counted,
        bench: Bench {
            engine: &engine,
            service,
            identity: &identity,
            patience: Duration::from_secs(u64::from(
                args.timeout.unwrap_or_else(|| service.patience_s()),
            )),
            depth: args.depth,
            planned: if engine.address.is_local() { &subject.gpus } else { &[] },
        },
        recorder: Recorder {
            subject,
            task,
            image: image.parse().ok(),
            gguf,
            driver: ready.host.as_ref().and_then(|host| host.driver.clone()),
        },
    };
    let result = match run.cards(ready, &mut interrupt).await {
        Ok(()) => run.until_done(&mut state, &mut interrupt, terminal).await,
        Err(failure) => Err(failure),
    };
    // Also one that a killed tuning had made. What went wrong before is what a person has to know.
    let removed = engine.remove_network(&service.network()).await;
    result.and_then(|()| removed.map_err(Failure::from))
}

/// The service without the variables whose flags come with each candidate.
fn placed_by_arguments(
    service: &Service,
    subject: &Subject,
    counted: Option<&Counted<'_>>,
) -> Service {
    let variable = |flag: &str| {
        let key = flags::find(flag).map(flags::Flag::key).unwrap_or_default();
        format!("{}=", env_name(&key))
    };
    let gone: Vec<String> = subject.moved(counted).into_iter().map(variable).collect();
    let mut service = service.clone();
    for line in &mut service.environment {
        if let Some(name) = gone.iter().find(|name| line.starts_with(name.as_str())) {
            line.clone_from(name);
        }
    }
    service
}

/// Nothing of the strategy runs, but what a killed tuning left, which goes.
async fn clear(engine: &Engine, service: &Service, terminal: &mut Terminal) -> Result<(), Failure> {
    let old = engine.find_service(service).await?;
    let ours = |hash: &str| hash.starts_with(MARK);
    let over = |state: &str| matches!(state, "exited" | "created" | "dead");
    if let Some(running) =
        old.iter().find(|found| !ours(found.label(labels::HASH)) && !over(&found.state))
    {
        return Err(Failure::Because {
            exit: Exit::Port,
            message: format!(
                "{} runs ({}), and tuning takes its place again and again\nhelp: end it with `composegen down {}`",
                running.name, running.status, service.directory
            ),
        });
    }
    up::port(engine, service, &old).await?;
    for found in &old {
        writeln!(terminal.err, "removing {} ({})", found.name, found.status)?;
        engine.remove(&found.id).await?;
    }
    engine.remove(&up::asking(service)).await?;
    if service.gpus.is_some() {
        for other in engine.find(&[labels::STRATEGY.to_owned()]).await? {
            if other.state == "running" {
                writeln!(
                    terminal.err,
                    "note: {} runs, too; what it has of the cards is not there for tuning",
                    other.name
                )?;
            }
        }
    }
    Ok(())
}

/// What was written down, or a new beginning, with all that is known.
fn state(
    args: &Tune,
    subject: &Subject,
    counted: Option<&Counted<'_>>,
    digest: &Digest,
    terminal: &mut Terminal,
) -> Result<State, Failure> {
    // Keys that are not tuned are as fixed as the rest.
    let fixed = subject.bases().into_iter();
    let fixed = fixed.filter(|(key, _)| subject.also.iter().all(|known| known.key != *key));
    let fixed: Vec<String> = fixed.map(|(key, value)| format!(" {key} {value}")).collect();
    let (task, left_out) = subject.task(counted, args, format!("{digest}{}", fixed.concat()))?;
    for context in left_out {
        writeln!(terminal.err, "note: {} tokens: {}", context.ctx_size, context.why)?;
    }
    if args.fresh {
        return Ok(State::new(task, Vec::new()));
    }
    let path = subject.state_file();
    let mut state = match load(&path) {
        Ok(text) => State::resume(task.clone(), &text).or_else(|error| {
            writeln!(terminal.err, "note: `{path}` is begun anew: {error}")?;
            Ok::<_, Failure>(State::new(task, Vec::new()))
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::new(task, Vec::new()),
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    state.learn(known::ledger(&args.file.ledger, subject, digest)?);
    let recorded = known::preset(subject, subject.ctx_size()?);
    if !recorded.is_empty() {
        let count = recorded.len();
        writeln!(
            terminal.err,
            "note: the preset records {count} placements that ran out of memory; --fresh tries them again"
        )?;
    }
    state.learn(recorded);
    Ok(state)
}

/// One run of it.
struct Tuning<'a> {
    args: &'a Tune,
    subject: &'a Subject,
    counted: Option<&'a Counted<'a>>,
    bench: Bench<'a>,
    recorder: Recorder<'a>,
}

impl Tuning<'_> {
    /// The GPUs are those that are planned for, as `up` makes sure.
    async fn cards(&self, ready: &Ready, interrupt: &mut Interrupt) -> Result<(), Failure> {
        let Bench { engine, service, identity, .. } = self.bench;
        let Some(host) = ready.host.as_ref().filter(|_| service.gpus.is_some()) else {
            return Ok(());
        };
        let seen = tokio::select! {
            () = interrupt.wait() => Err(interrupted()),
            seen = up::gpus(engine, service, identity, &host.gpus) => seen,
        };
        if seen.is_err() {
            engine.remove(&up::asking(service)).await?;
        }
        seen
    }

    async fn until_done(
        &self,
        state: &mut State,
        interrupt: &mut Interrupt,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let format = self.args.output.format;
        let devices = state.task().devices.clone();
        let begin = Event::Begin {
            strategy: self.subject.name(),
            devices: &devices,
            known: state.attempts(),
        };
        tell(&begin, format, terminal)?;
        let mut step = next(state, None);
        let mut failed = None;
        for number in 1.. {
            let Step::Try { candidate, reason } = &step else { break };
            // Whatever ends this process, the next one knows what was being tried.
            self.save(state)?;
            let args = self.subject.args(self.counted, candidate);
            tell(&Event::Try { number, candidate, reason, args: &args }, format, terminal)?;
            let mut arguments = self.subject.words(self.counted, candidate);
            arguments.extend(VERBOSE.map(str::to_owned));
            let result = self.bench.run(&arguments, interrupt, terminal).await?;
            let observation = record::observation(&result, &devices);
            let run = self.recorder.run(candidate, reason, args, &result, &observation);
            let ended = Event::Ended {
                number,
                candidate,
                observation: &observation,
                depth: result.as_ref().ok().map(|went| went.depth),
                said: result.as_ref().err().map(Lost::sentence),
            };
            tell(&ended, format, terminal)?;
            failed = result.err().map(|lost| lost.failure);
            step = next(state, Some(observation));
            // First where it is looked up again: what was tried is not lost with a ledger that cannot be written.
            self.save(state)?;
            ledger::append(&self.args.file.ledger, &[run])?;
        }
        match &step {
            Step::Spent { reason } => tell(&Event::Spent { reason }, format, terminal)?,
            Step::Failed { reason } => tell(&Event::Failed { reason }, format, terminal)?,
            Step::Done { .. } | Step::Try { .. } => {}
        }
        match step {
            Step::Done { best, reason } => self.done(&best, &reason, terminal),
            Step::Spent { reason } => Err(Failure::Because {
                exit: Exit::OutOfMemory,
                message: format!(
                    "{reason}\nhelp: --contexts names smaller ones; a quantized cache, a smaller `ubatch_size` or a smaller \
                     model takes less; --fresh tries again what was tried before"
                ),
            }),
            Step::Failed { reason } => Err(failed.unwrap_or(Failure::Rejected(reason))),
            Step::Try { .. } => Ok(()),
        }
    }

    fn save(&self, state: &State) -> Result<(), Failure> {
        Ok(store::single(&self.subject.state_file(), &state.to_text(), true)?)
    }

    fn done(&self, best: &Candidate, reason: &str, terminal: &mut Terminal) -> Result<(), Failure> {
        let args = self.subject.args(self.counted, best);
        let done = Event::Done { best, reason, args: &args };
        tell(&done, self.args.output.format, terminal)?;
        ledger::append_from(&self.args.file.ledger, |known| {
            self.recorder.best(known, best, reason, args).into_iter().collect()
        })?;
        let path = &self.subject.path;
        if self.args.write {
            write::into(self.subject, self.counted, best)?;
            writeln!(terminal.err, "wrote the best plan into `{path}`")?;
        } else {
            writeln!(
                terminal.err,
                "--write puts it into `{path}`; nothing is tried again for that"
            )?;
        }
        Ok(())
    }
}
