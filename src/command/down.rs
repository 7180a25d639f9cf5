//! `composegen down`, `restart` and `logs`: for what runs from an output directory, whoever started it.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::elsewhere::{self, Wanted};
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
    block_on(async {
        let Looked { engine, directory, found } = look(given, Wanted::Stop).await?;
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
    block_on(async {
        let (engine, found) = running(given, Wanted::Restart).await?;
        for container in found {
            writeln!(terminal.err, "restarting {}", container.name)?;
            engine.restart(&container.id).await?;
        }
        Ok(())
    })?
}

pub(super) fn logs(args: &Logs, terminal: &mut Terminal) -> Result<(), Failure> {
    block_on(async {
        let (engine, found) = running(&args.running, Wanted::Logs).await?;
        let mut interrupt = Interrupt::new()?;
        let ids: Vec<String> = found.iter().map(|container| container.id.clone()).collect();
        let marks = marks(&found);
        let mut output = engine.logs_of(&ids, args.tail, args.follow);
        loop {
            let lines = tokio::select! {
                () = interrupt.wait() => return Ok(()),
                lines = output.next() => lines,
            };
            let Some((number, lines)) = lines else { return Ok(()) };
            let mark = marks.get(number).map(String::as_str).unwrap_or_default();
            for line in lines {
                writeln!(terminal.out, "{mark}{line}")?;
            }
            terminal.out.flush()?;
        }
    })?
}

/// What says of a line which container it is from, where there are several.
fn marks(found: &[Found]) -> Vec<String> {
    if found.len() < 2 {
        return Vec::new();
    }
    let names: Vec<&str> = found.iter().map(|container| container.label(labels::SERVICE)).collect();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    names.iter().map(|name| format!("{name:width$} | ")).collect()
}

/// What an engine has from a directory.
pub(super) struct Looked {
    pub(super) engine: Engine,
    pub(super) directory: Utf8PathBuf,
    pub(super) found: Vec<Found>,
}

/// Fails where nothing is found and nothing can be: the directory is another program's to run, or there is none.
pub(super) async fn look(given: &Running, wanted: Wanted) -> Result<Looked, Failure> {
    let directory = directory(given)?;
    let elsewhere = elsewhere::of(&directory, wanted)?;
    let engine = match engine().await {
        Ok(engine) => engine,
        // Whoever runs a cluster needs no engine here.
        Err(failure) => return Err(elsewhere.unwrap_or(failure)),
    };
    let found = match wanted {
        // As Compose does, one-off commands with it.
        Wanted::Stop => engine.find_all_in(directory.as_str()).await?,
        _ => engine.find_in(directory.as_str()).await?,
    };
    if found.is_empty() {
        elsewhere.map_or_else(|| elsewhere::known(given, &directory), Err)?;
    }
    Ok(Looked { engine, directory, found })
}

async fn running(given: &Running, wanted: Wanted) -> Result<(Engine, Vec<Found>), Failure> {
    let Looked { engine, directory, found } = look(given, wanted).await?;
    if found.is_empty() {
        return Err(Failure::Because {
            exit: Exit::NotRunning,
            message: format!("nothing runs from {directory}\nhelp: `composegen up` starts it"),
        });
    }
    Ok((engine, found))
}

#[cfg(test)]
mod tests {
    use super::{Found, labels, marks};

    #[test]
    fn one_of_several_is_named() {
        let found = |service: &str| Found {
            id: String::new(),
            name: String::new(),
            labels: [(labels::SERVICE.to_owned(), service.to_owned())].into(),
            ports: Vec::new(),
            state: String::new(),
            status: String::new(),
        };
        assert!(marks(&[found("llama")]).is_empty());
        assert_eq!(marks(&[found("front"), found("llama-1")]), ["front   | ", "llama-1 | "]);
    }
}
