//! `composegen run PRESET -- ARGS`: one command in the strategy's image, with its models, environment and GPUs.

use std::io::Write as _;
use std::time::Duration;

use super::strategy::{Ready, engine, ready};
use super::{Failure, up};
use crate::cli::Run;
use crate::engine::interrupt::Interrupt;
use crate::engine::labels::{self, Identity};
use crate::engine::{Engine, run as block_on};
use crate::exit::Exit;
use crate::log::failure::{Ending, Failure as Ended};
use crate::terminal::Terminal;

pub(super) fn run(args: &Run, terminal: &mut Terminal) -> Result<(), Failure> {
    let ready = ready(&args.chosen, terminal)?;
    block_on(one_off(&ready, &args.command, terminal))?
}

async fn one_off(
    ready: &Ready,
    command: &[String],
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new()?;
    let service = &ready.service;
    let engine = engine().await?;
    let image = up::image(&engine, service).await?;
    let identity = Identity { hash: labels::own_hash(service), image: image.id };
    let name = format!("{}-llama-run-{:x}", service.project, std::process::id());
    let made = engine.ensure_network(service).await?;
    let result = match engine.create_one_off(service, &identity, &name, command).await {
        Ok(id) => {
            let result = follow(&engine, &id, command, &mut interrupt, terminal).await;
            if matches!(result, Err(Failure::Engine(_))) {
                // A restarting engine may be back in a moment.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let removed = engine.remove(&id).await;
            if removed.is_err() {
                writeln!(
                    terminal.err,
                    "warning: container {name} may be left; when the engine answers again, `composegen down {}` \
                     removes it",
                    ready.held.path()
                )?;
            }
            result.and(removed.map_err(Failure::from))
        }
        Err(error) => Err(error.into()),
    };
    if made && result.as_ref().err().is_none_or(|failure| !matches!(failure, Failure::Engine(_))) {
        engine.remove_network(&service.network()).await?;
    }
    result
}

async fn follow(
    engine: &Engine,
    id: &str,
    command: &[String],
    interrupt: &mut Interrupt,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    engine.start(id).await.map_err(up::refused)?;
    let mut output = engine.logs(id, None, true);
    let mut kept: Vec<String> = Vec::new();
    loop {
        let lines = tokio::select! {
            () = interrupt.wait() => {
                let message = "interrupted; the container is removed".to_owned();
                return Err(Failure::Because { exit: Exit::Interrupted, message });
            }
            lines = output.next() => lines,
        };
        let Some(lines) = lines else { break };
        for line in &lines {
            writeln!(terminal.out, "{line}")?;
        }
        terminal.out.flush()?;
        kept.extend(lines);
        let surplus = kept.len().saturating_sub(400);
        kept.drain(..surplus);
    }
    let state = engine.state(id).await?;
    if state.exit_code == 0 && !state.oom_killed {
        return Ok(());
    }
    let ended = Ended::of(&Ending {
        exit_code: Some(state.exit_code),
        oom_killed: state.oom_killed,
        engine: &state.error,
        was_ready: false,
        lines: &kept,
    });
    Err(other(command, state.exit_code, &ended).unwrap_or(Failure::Server(ended)))
}

/// The end of a program that is not llama-server, where nothing is known of why.
fn other(command: &[String], code: i64, ended: &Ended) -> Option<Failure> {
    let program = command.first().filter(|word| !word.starts_with('-') && *word != "llama-server");
    let (program, Ended::Unknown { said, .. }) = (program?, ended) else { return None };
    let help = match code {
        126 => "the image has it as no program",
        127 => {
            "the image may have no such program: it has llama-server, llama-bench, llama-fit-params and a shell"
        }
        _ => "what it printed says why",
    };
    let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    Some(Failure::Because {
        exit: Exit::Program,
        message: format!("`{program}` ended with exit code {code}{said}\nhelp: {help}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Ended, Exit, Failure, other};

    #[test]
    fn what_is_not_the_server_is_not_called_so() {
        let unknown = Ended::Unknown { code: Some(127), said: None };
        let said = |command: &str| other(&[command.to_owned()], 127, &unknown);
        let Some(Failure::Because { exit, message }) = said("nosuchprog") else { panic!() };
        assert_eq!(exit, Exit::Program);
        assert!(message.starts_with("`nosuchprog` ended with exit code 127\n"), "{message}");
        assert!(said("--version").is_none() && said("llama-server").is_none());
        assert!(other(&["llama-bench".to_owned()], 132, &Ended::Instruction).is_none());
    }
}
