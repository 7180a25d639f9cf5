//! `composegen doctor`: what building and running takes, looked at one by one, each with a remedy where it is missing.

mod look;

use std::io::{Error, Write as _};

use serde::Serialize;

use super::strategy::{engine, is_here};
use super::{Failure, accepted, here, load, preset_path};
use crate::cli::{Doctor, Format};
use crate::compile::{Request, compile};
use crate::engine::compose::Compose;
use crate::engine::interrupt::Interrupt;
use crate::engine::run as block_on;
use crate::exit::Exit;
use crate::gpu;
use crate::lock::Resolved;
use crate::plan::service::Service;
use crate::plan::{Plan, Target};
use crate::preset::resolve::{Library, clean};
use crate::terminal::Terminal;

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    Bad,
    Unknown,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line {
    what: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Line {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Good, found: found.into(), remedy: None }
    }

    fn bad(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Bad, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// A failure that another command would end with.
    fn of(what: &'static str, failure: &Failure) -> Self {
        let text = failure.to_string();
        let (found, remedy) = text.split_once("\nhelp: ").unwrap_or((&text, "mend it"));
        Self::bad(what, found, remedy)
    }

    fn unknown(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Unknown, found: found.into(), remedy: None }
    }
}

/// What the lines are about, beside the engine.
struct Wanted {
    plan: Plan,
    service: Service,
    /// llama-server's flags and their values.
    words: Vec<String>,
}

pub(super) fn run(args: &Doctor, terminal: &mut Terminal) -> Result<(), Failure> {
    let wanted = args.preset.as_ref().map(|preset| wanted(preset)).transpose()?;
    let mut lines = Vec::new();
    block_on(async {
        match engine().await {
            Ok(engine) => {
                let facts = engine.facts().await?;
                lines.push(look::engine(&engine, &facts));
                lines.push(look::buildkit(&facts));
                lines.push(look::compose(Compose::find()));
                lines.push(look::runtime(&facts, wanted.as_ref()));
                lines.push(look::disk(&engine, &facts, wanted.as_ref()));
                lines.push(look::memory(&facts, wanted.as_ref()));
                if let Some(wanted) = &wanted {
                    let image = engine.image(&wanted.service.image).await?;
                    lines.push(look::image(wanted, image.as_ref()));
                    if let Some(image) = image {
                        let mut interrupt = Interrupt::new()?;
                        let out = &wanted.service.directory;
                        let found =
                            accepted::of_image(&engine, &image, out, &mut interrupt).await?;
                        lines.push(look::flags(wanted, found.as_ref()));
                    }
                }
            }
            Err(Failure::Engine(error)) => {
                lines.push(Line::bad("engine", error.to_string(), error.help()));
                lines.push(look::compose(Compose::find()));
            }
            Err(other) => return Err(other),
        }
        Ok(())
    })??;
    lines.push(look::driver(gpu::detect(), wanted.as_ref()));
    if let Some(wanted) = &wanted {
        lines.push(look::models(wanted, is_here()));
    }
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&lines).map_err(Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            for line in &lines {
                let verdict = match line.verdict {
                    Verdict::Good => "good",
                    Verdict::Bad => "BAD",
                    Verdict::Unknown => "?",
                };
                writeln!(terminal.out, "{verdict:<5} {:<9} {}", line.what, line.found)?;
                if let Some(remedy) = &line.remedy {
                    writeln!(terminal.out, "{:15} help: {remedy}", "")?;
                }
            }
        }
    }
    let bad: Vec<&str> =
        lines.iter().filter(|line| line.verdict == Verdict::Bad).map(|line| line.what).collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::Because {
        exit: Exit::Unfit,
        message: format!("not as it should be: {}", bad.join(", ")),
    })
}

/// The preset's plan, with nothing written.
fn wanted(preset: &camino::Utf8Path) -> Result<Wanted, Failure> {
    let preset = preset_path(preset);
    let out = super::strategy::deploy(&preset);
    let mut library = Library::new(&load);
    let here = here()?;
    let placements =
        super::output::read_lock(&out)?.map(|lock| lock.placements).unwrap_or_default();
    let request = Request {
        presets: std::slice::from_ref(&preset),
        out: &out,
        // What is looked at is this machine.
        target: Some(Target::Compose),
        here: &here,
        pinned: &Resolved::default(),
        placements: &placements,
        builds_image: false,
    };
    let made = compile(&mut library, request).map_err(|error| Failure::File(error.to_string()))?;
    let made = made.ok_or_else(|| {
        Failure::Rejected(format!("`{preset}` has errors; `composegen build {preset}` shows them"))
    })?;
    let name = made.plan.strategies.first().map(|s| s.name.clone()).unwrap_or_default();
    let directory = clean(&here.join(&out));
    let service = Service::new(&made.plan, &name, &directory, &super::strategy::shell)
        .map_err(|error| Failure::Usage { message: error.to_string() })?;
    let strategy = made.plan.strategies.first();
    let words = strategy.map(|s| accepted::words_of(s, &service)).unwrap_or_default();
    Ok(Wanted { plan: made.plan, service, words })
}
