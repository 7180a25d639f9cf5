//! `composegen eval`: a coding benchmark against running servers. Questions and verdicts are written down one by one, so
//! that an interrupted run goes on where it was.

mod record;
mod suite;
mod target;
mod text;
mod work;

use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::{Failure, down, ledger, load, strategy, up};
use crate::cli::{self, Chosen, Deny, Format, LedgerFile, Models, Running};
use crate::engine::run as block_on;
use crate::eval::prompt::HOLE;
use crate::eval::{Limits, filter};
use crate::ledger::Run;
use crate::preset::sweep::Point;
use crate::terminal::Terminal;

use target::{Place, Target};
use work::{Outcome, Setting};

pub(super) fn run(args: &cli::Eval, terminal: &mut Terminal) -> Result<(), Failure> {
    let points = points(args)?;
    let instructions = instructions(args)?;
    let suite = Arc::new(suite::open(&args.suite, &filter(args)?)?);
    writeln!(
        terminal.err,
        "{}: {} of {} problems ({})",
        suite.name,
        suite.entries.len(),
        suite.all,
        suite.format
    )?;
    let places = target::places(args, terminal)?;
    let image = image(&args.image)?;
    let limits = Limits {
        seconds: f64::from(args.test_seconds),
        memory_mib: args.test_memory,
        ..Limits::default()
    };
    let mut all = Vec::new();
    for place in &places {
        if args.up {
            up::run(&starting(args, place), terminal)?;
        }
        let setting = |point: &Point| Setting {
            suite: Arc::clone(&suite),
            point: point.clone(),
            instructions: instructions.clone(),
            samples: args.samples,
            seed: args.seed,
            max_tokens: args.max_tokens,
            image: args.image.clone(),
            image_id: image.clone(),
            limits,
            journal: args.journal.clone(),
        };
        let result = at(args, place, &points, &setting, &mut all, terminal);
        if args.up {
            let running = Running { preset: place.preset.clone(), out: None };
            down::down(&running, terminal)?;
        }
        result?;
    }
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&all).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => write!(terminal.out, "{}", text::runs(&all))?,
    }
    if !args.no_ledger {
        writeln!(terminal.err, "written to `{}`", args.file.ledger)?;
    }
    Ok(())
}

/// One setting of one server.
#[derive(Serialize)]
struct Done {
    run: Run,
    answers: Vec<Outcome>,
}

/// All settings of one server. What is finished goes into the ledger at once.
fn at(
    args: &cli::Eval,
    place: &Place,
    points: &[Point],
    setting: &dyn Fn(&Point) -> Setting,
    all: &mut Vec<Done>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let target = Arc::new(Target::new(args, place)?);
    for note in target.notes() {
        writeln!(terminal.err, "note: {}: {note}", place.url)?;
    }
    for point in points {
        let setting = Arc::new(setting(point));
        let answers = work::all(args, &target, &setting, terminal)?;
        let run = record::run(args, &target, &setting, &answers)?;
        if !args.no_ledger {
            ledger::append(&args.file.ledger, std::slice::from_ref(&run))?;
        }
        all.push(Done { run, answers });
    }
    Ok(())
}

fn starting(args: &cli::Eval, place: &Place) -> cli::Up {
    cli::Up {
        chosen: Chosen {
            preset: place.preset.clone().unwrap_or_default(),
            out: None,
            force: false,
            deny: Deny { deny: None },
            models: Models { dir: args.models.dir.clone() },
        },
        timeout: None,
        no_wait: false,
        file: LedgerFile { ledger: args.file.ledger.clone() },
    }
}

fn points(args: &cli::Eval) -> Result<Vec<Point>, Failure> {
    let points = super::sweep_points(&args.sweep)?;
    if points.iter().any(|point| point.contains_key("seed")) {
        return Err(Failure::Usage {
            message: "`--sweep`: the seed is counted up from `--seed`: ask for more `--samples`"
                .to_owned(),
        });
    }
    Ok(points)
}

fn instructions(args: &cli::Eval) -> Result<Option<String>, Failure> {
    let Some(path) = &args.instructions else { return Ok(None) };
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    if text.contains(HOLE) {
        Ok(Some(text))
    } else {
        Err(Failure::Usage {
            message: format!("`{path}` nowhere says `{HOLE}`: put it where the problem goes"),
        })
    }
}

fn filter(args: &cli::Eval) -> Result<filter::Filter, Failure> {
    let day = |name: &str, text: &Option<String>| match text {
        Some(text) => filter::day(text)
            .map(Some)
            .map_err(|why| Failure::Usage { message: format!("`--{name} {text}`: {why}") }),
        None => Ok(None),
    };
    Ok(filter::Filter {
        from: day("from", &args.from)?,
        to: day("to", &args.to)?,
        difficulty: args.difficulty.clone(),
        ids: args.only.clone(),
        limit: args.limit,
    })
}

/// The id of the image in which answers run, before anything is asked.
fn image(name: &str) -> Result<String, Failure> {
    block_on(async {
        let engine = strategy::engine().await?;
        match engine.image(name).await? {
            Some(image) => Ok(image.id),
            None => Err(Failure::Usage {
                message: format!(
                    "the engine at {} has no image `{name}`, in which answers are to run\nhelp: `docker pull {name}`, or \
                     name another with python3 in it in --image",
                    engine.address
                ),
            }),
        }
    })?
}
