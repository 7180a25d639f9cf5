//! From the start of a container to its first healthy answer, told from its log; or to the reason why not.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::super::Failure;
use crate::engine::container::{Health, State};
use crate::engine::{Engine, EngineError};
use crate::exit::Exit;
use crate::flags;
use crate::log::failure::{Ending, Failure as Ended};
use crate::log::progress::{Progress, Step};
use crate::plan::service::Service;
use crate::terminal::Terminal;

/// How often the engine is asked.
const LOOK: Duration = Duration::from_millis(300);

/// How often the server is asked while its log has not said that it is ready: the log may be turned off.
const ASK: Duration = Duration::from_secs(3);

/// Lines of the log's end that are read for the reason: it is told in the last few.
const END: u32 = 400;

/// How long an engine that does not answer is waited for.
const ABSENCE: Duration = Duration::from_secs(15);

pub(in crate::command) async fn healthy(
    engine: &Engine,
    service: &Service,
    id: &str,
    patience: Duration,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut output = engine.logs(id, None, true);
    let mut progress = Progress::default();
    let (mut open, mut asked, mut seen) = (true, Instant::now(), Instant::now());
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            lines = output.next(), if open => match lines {
                Some(lines) => tell(&lines, &mut progress, service, terminal)?,
                None => open = false,
            },
            _ = look.tick() => {
                let state = match engine.state(id).await {
                    Ok(state) => state,
                    // Somebody took it away.
                    Err(EngineError::Refused { status: 404, .. }) => {
                        return Err(Failure::Server(Ended::Stopped { signal: 9 }));
                    }
                    Err(_) if seen.elapsed() < ABSENCE => continue,
                    Err(error) => return Err(error.into()),
                };
                seen = Instant::now();
                if !state.running {
                    return Err(ended(engine, id, &state, &progress, terminal).await?);
                }
                let due = progress.step() == Step::Ready || asked.elapsed() > ASK;
                if due && engine.is_healthy(id).await {
                    // What stands in the log of its start, the loop may not have seen yet.
                    for line in engine.last_lines(id, END).await? {
                        progress.line(&line);
                    }
                    return answered(service, &progress, start, terminal);
                }
                if due {
                    asked = Instant::now();
                }
                if state.health == Health::Unhealthy || start.elapsed() > patience {
                    return Err(Failure::Because {
                        exit: Exit::Unhealthy,
                        message: format!(
                            "llama-server did not answer within {} seconds (last: {progress})\nhelp: wait longer \
                             with --timeout, or raise `container.start_period`; `verbosity = 4` in [server] shows \
                             what takes the time",
                            start.elapsed().as_secs()
                        ),
                    });
                }
            }
        }
    }
}

fn tell(
    lines: &[String],
    progress: &mut Progress,
    service: &Service,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    for line in lines {
        if progress.line(line) && progress.step() < Step::Ready {
            writeln!(terminal.err, "{}: {progress}", service.strategy)?;
        }
    }
    Ok(())
}

/// Why, with the log's last lines for the reader where the class is unknown.
async fn ended(
    engine: &Engine,
    id: &str,
    state: &State,
    progress: &Progress,
    terminal: &mut Terminal,
) -> Result<Failure, Failure> {
    let lines = engine.last_lines(id, END).await?;
    let failure = Ended::of(&Ending {
        exit_code: Some(state.exit_code),
        oom_killed: state.oom_killed,
        engine: &state.error,
        was_ready: progress.step() == Step::Ready,
        lines: &lines,
    });
    if let Ended::Flag { said } = &failure {
        flag(said, terminal)?;
    }
    if failure.exit() == Exit::Ended {
        for line in lines.iter().rev().take(12).rev() {
            writeln!(terminal.err, "  | {line}")?;
        }
    }
    Ok(Failure::Server(failure))
}

/// Whether the refused flag is one of the llama.cpp that our table of flags is from.
fn flag(said: &str, terminal: &mut Terminal) -> Result<(), Failure> {
    let Some(name) = said.strip_prefix("invalid argument: ").map(str::trim) else { return Ok(()) };
    let known = if flags::find(name).is_some() {
        "has it: the image's llama.cpp is another one, and `composegen build PRESET --image` makes it anew"
    } else {
        "has no such flag either"
    };
    writeln!(terminal.err, "note: llama.cpp {} {known}", flags::BUILD)?;
    Ok(())
}

fn answered(
    service: &Service,
    progress: &Progress,
    start: Instant,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    // The server goes on without the GPUs that everything was planned for, and says so in one line only.
    if let (Some(said), true) = (progress.no_gpu(), service.gpus.is_some()) {
        return Err(Failure::Server(Ended::NoGpu { said: said.to_owned() }));
    }
    let seconds = start.elapsed().as_secs_f64();
    writeln!(terminal.err, "{}: healthy after {seconds:.1} s", service.strategy)?;
    Ok(())
}
