//! `composegen report`: one page about all strategies, its charts, or what a change did.

mod base;
mod compute;
mod gather;
mod write;

use std::io::Write as _;

use camino::Utf8Path;
use serde::Serialize;

use super::{Failure, ledger, load, machine};
use crate::artifact::Artifact;
use crate::artifact::seal::{Comment, seal};
use crate::cli::{self, ReportFormat};
use crate::diagnostic::Sources;
use crate::ledger::{Ledger, pick};
use crate::render::{RenderError, report as print};
use crate::report::{Changes, Input, Published, Report, published};
use crate::terminal::Terminal;
use gather::{Gathered, Place, gather};

pub(super) fn run(args: &cli::Report, terminal: &mut Terminal) -> Result<(), Failure> {
    if !args.between.is_empty() {
        return between(args, terminal);
    }
    let profile = machine::profile(&args.buffers)?;
    let ledger = args.file.ledger.as_path();
    let place = Place { models: args.models.dir.as_deref(), ledger, profile: profile.as_ref() };
    let files = super::list::presets(&args.presets)?;
    let found = gather(&place, &files, &load, terminal)?;
    let known = known(&args.file.ledger, &found, terminal)?;
    if let Some(base) = &args.base {
        let changes = base::changes(base, args, &place, &found, &known.0, terminal)?;
        return changed(args, &changes, terminal);
    }
    let published = match &args.published {
        Some(path) => read_published(path, terminal)?,
        None => Vec::new(),
    };
    let (ledger, from_file) = known;
    let reported = ledger.entries.len() - from_file;
    let source = match (from_file, reported) {
        (0, _) => "what presets report".to_owned(),
        (_, 0) => args.file.ledger.to_string(),
        _ => format!("{} and what presets report", args.file.ledger),
    };
    let report = Report::new(&Input {
        title: &args.title,
        subjects: &found.subjects,
        ledger: Some(&ledger),
        source: &source,
        published: &published,
    });
    if let Some(dir) = &args.svg {
        let charts: Vec<Artifact> = print::svgs(&report)
            .map_err(refused)?
            .into_iter()
            .map(|file| Artifact::new(file.path, seal(&file.text, Comment::Markup)))
            .collect();
        write::charts(dir, &charts, args.force)?;
        writeln!(terminal.err, "{dir}: {} charts", charts.len())?;
        if args.out.is_none() && args.format == ReportFormat::Html {
            return Ok(());
        }
    }
    match args.format {
        ReportFormat::Html => {
            let text = print::html(&report).map_err(refused)?.text;
            let path = args.out.as_deref().unwrap_or(Utf8Path::new("report.html"));
            out(args, Some(path), &seal(&text, Comment::Markup), terminal)?;
            if path != "-" {
                let (rows, charts) = (report.overview.len(), report.charts.len());
                writeln!(terminal.err, "{path}: {rows} strategies, {charts} charts")?;
            }
            Ok(())
        }
        ReportFormat::Markdown => {
            let text = print::markdown(&report).map_err(refused)?.text;
            document(args, &text, terminal)
        }
        ReportFormat::Json => json(args, &report, terminal),
    }
}

/// The ledger with what presets report and it does not have, and how many runs are from the file.
fn known(
    path: &Utf8Path,
    found: &Gathered,
    terminal: &mut Terminal,
) -> Result<(Ledger, usize), Failure> {
    // Without a ledger there is still what the presets say. One that was named, and is not there, is a mistake.
    let own = if path == crate::ledger::FILE && !path.exists() {
        Ledger::default()
    } else {
        ledger::read(path, terminal)?
    };
    let lines: Vec<String> = found
        .reported
        .iter()
        .filter(|run| !own.has_reported(run))
        .map(|run| format!("{run}\n"))
        .collect();
    // In front: newer runs of the file come after what was written down once.
    let mut all = Ledger::parse(&lines.concat());
    let count = own.entries.len();
    all.entries.extend(own.entries);
    all.skipped = own.skipped;
    Ok((all, count))
}

fn between(args: &cli::Report, terminal: &mut Terminal) -> Result<(), Failure> {
    let ledger = ledger::read(&args.file.ledger, terminal)?;
    let find = |name: &String| {
        pick(&ledger.entries, name).map_err(|error| Failure::Usage { message: error.to_string() })
    };
    let [first, second] = args.between.as_slice() else {
        return Err(Failure::Usage { message: "--between takes two runs".to_owned() });
    };
    changed(args, &Changes::of_runs(find(first)?, find(second)?), terminal)
}

fn changed(args: &cli::Report, changes: &Changes, terminal: &mut Terminal) -> Result<(), Failure> {
    match args.format {
        ReportFormat::Json => json(args, changes, terminal),
        // There is no page about a change; its table is Markdown.
        ReportFormat::Markdown | ReportFormat::Html => {
            let text = print::changes(changes).map_err(refused)?.text;
            document(args, &text, terminal)
        }
    }
}

/// Markdown: to be pasted from the screen, sealed in a file.
fn document(args: &cli::Report, text: &str, terminal: &mut Terminal) -> Result<(), Failure> {
    match args.out.as_deref().filter(|path| *path != "-") {
        None => Ok(write!(terminal.out, "{text}")?),
        path => out(args, path, &seal(text, Comment::Markup), terminal),
    }
}

fn json<T: Serialize>(
    args: &cli::Report,
    value: &T,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    match &args.out {
        Some(path) if path != "-" => Err(Failure::Usage {
            message: format!(
                "JSON has no place to say who wrote it, so it goes to standard output: `--format json > {path}`"
            ),
        }),
        _ => Ok(writeln!(terminal.out, "{text}")?),
    }
}

fn out(
    args: &cli::Report,
    path: Option<&Utf8Path>,
    text: &str,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    match path {
        Some(path) if path != "-" => write::file(path, text, args.force),
        _ => Ok(write!(terminal.out, "{text}")?),
    }
}

pub(super) fn read_published(
    path: &Utf8Path,
    terminal: &mut Terminal,
) -> Result<Vec<Published>, Failure> {
    let text = load(path).map_err(|error| Failure::File(error.to_string()))?;
    let mut sources = Sources::default();
    let mut findings = Vec::new();
    let file = sources.add(path, text.clone());
    let rows = published::parse(file, &text, &mut findings);
    super::report(&findings, &sources, false, terminal)?;
    Ok(rows)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where a function of the error is wanted"
)]
fn refused(error: RenderError) -> Failure {
    Failure::Rejected(error.to_string())
}
