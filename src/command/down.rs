//! `composegen down`, `restart` and `logs`: for what runs from an output directory, whoever started it.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::strategy::{deploy, engine};
use super::{Failure, here, preset_path};
use crate::cli::{Logs, Running};
use crate::engine::container::Found;
use crate::engine::interrupt::Interrupt;
use crate::engine::{Engine, labels, run as block_on};
use crate::exit::Exit;
use crate::lock;
use crate::preset::resolve::clean;
use crate::terminal::Terminal;

/// The output directory that is meant, absolute.
pub(super) fn directory(given: &Running) -> Result<Utf8PathBuf, Failure> {
    let here = here()?;
    let is_output = |dir: &Utf8Path| dir.join(lock::FILE).is_file();
    let directory = match (&given.out, &given.preset) {
        (Some(out), _) => out.clone(),
        (None, Some(preset)) if is_output(preset) => preset.clone(),
        (None, Some(preset)) => deploy(&preset_path(preset)),
        (None, None) if is_output(&here) => here.clone(),
        (None, None) => {
            return Err(Failure::Usage {
                message: "name a preset or an output directory, or run this in one".to_owned(),
            });
        }
    };
    Ok(clean(&here.join(directory)))
}

pub(super) fn down(given: &Running, terminal: &mut Terminal) -> Result<(), Failure> {
    let directory = directory(given)?;
    block_on(async {
        let engine = engine().await?;
        // As Compose does, one-off commands with it.
        let found = engine.find_all_in(directory.as_str()).await?;
        if found.is_empty() {
            writeln!(terminal.err, "nothing runs from {directory}")?;
            return Ok(());
        }
        let mut interrupt = Interrupt::new()?;
        for container in &found {
            writeln!(terminal.err, "stopping {}", container.name)?;
            tokio::select! {
                // Asked twice, it is not waited for any longer.
                () = interrupt.wait() => writeln!(terminal.err, "killing {}", container.name)?,
                stopped = engine.stop(&container.id, None) => stopped?,
            }
            engine.remove(&container.id).await?;
            let network = format!("{}_default", container.label(labels::PROJECT));
            engine.remove_network(&network).await?;
        }
        Ok(())
    })?
}

pub(super) fn restart(given: &Running, terminal: &mut Terminal) -> Result<(), Failure> {
    let directory = directory(given)?;
    block_on(async {
        let engine = engine().await?;
        for container in running(&engine, &directory).await? {
            writeln!(terminal.err, "restarting {}", container.name)?;
            engine.restart(&container.id).await?;
        }
        Ok(())
    })?
}

pub(super) fn logs(args: &Logs, terminal: &mut Terminal) -> Result<(), Failure> {
    let directory = directory(&args.running)?;
    block_on(async {
        let engine = engine().await?;
        let mut interrupt = Interrupt::new()?;
        for container in running(&engine, &directory).await? {
            let mut output = engine.logs(&container.id, args.tail, args.follow);
            loop {
                let lines = tokio::select! {
                    () = interrupt.wait() => return Ok(()),
                    lines = output.next() => lines,
                };
                let Some(lines) = lines else { break };
                for line in lines {
                    writeln!(terminal.out, "{line}")?;
                }
                terminal.out.flush()?;
            }
        }
        Ok(())
    })?
}

async fn running(engine: &Engine, directory: &Utf8Path) -> Result<Vec<Found>, Failure> {
    let found = engine.find_in(directory.as_str()).await?;
    if found.is_empty() {
        return Err(Failure::Because {
            exit: Exit::Ended,
            message: format!("nothing runs from {directory}\nhelp: `composegen up` starts it"),
        });
    }
    Ok(found)
}
