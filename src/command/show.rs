//! `composegen show`: one strategy, every value with its origin.

use std::io::Write as _;

use serde::Serialize;

use super::Failure;
use super::checked::{Checked, checked};
use crate::cli::{Format, Show};
use crate::diagnostic::{Location, Sources};
use crate::plan::image::{Reference, Source};
use crate::strategy::{Origin, Strategy, env_name};
use crate::table::Table;
use crate::terminal::{Align, Terminal, table};

pub(super) fn run(args: &Show, terminal: &mut Terminal) -> Result<(), Failure> {
    let Checked { resolved, strategy, sources, .. } = checked(&args.preset, None, terminal)?;
    let mut rows = Vec::new();
    resolved.preset.each(&mut |entry| {
        let set = entry.set.as_ref().map(|(word, at)| (word.clone(), origin(at, &sources)));
        let settled = strategy.settings.iter().find(|s| s.path == entry.path());
        let (value, from) = match (set, settled) {
            (Some((value, from)), _) => (Some(value), from),
            (None, Some(setting)) => {
                let from = match &setting.origin {
                    Origin::File(at) => format!("from `layers`, {}", origin(at, &sources)),
                    Origin::Default(why) => format!("default: {why}"),
                };
                (Some(setting.word.clone()), from)
            }
            (None, None) => match own_default(&entry.path(), &strategy) {
                Some(value) => (Some(value), "default".to_owned()),
                None if entry.key.emit.is_some() => (None, "llama-server's default".to_owned()),
                None => (None, "not set".to_owned()),
            },
        };
        rows.push(Row {
            key: entry.path(),
            value,
            from,
            flag: entry.key.emit.map(|emit| emit.on),
            env: entry.key.emit.map(|_| env_name(entry.key.name)),
        });
    });
    rows.retain(|row| args.all || row.value.is_some());
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&Shown { name: &strategy.name, values: rows })
                .map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => write!(terminal.out, "{}", text(&strategy, rows))?,
    }
    Ok(())
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    values: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    key: String,
    value: Option<String>,
    from: String,
    flag: Option<&'static str>,
    env: Option<String>,
}

/// `presets/ud-q6.toml:12`.
fn origin(at: &Location, sources: &Sources) -> String {
    let Some(source) = sources.get(at.file) else { return String::new() };
    let before = source.text.get(..at.span.0).unwrap_or_default();
    format!("{}:{}", source.path, before.matches('\n').count() + 1)
}

/// What composegen decides where nobody did.
fn own_default(path: &str, strategy: &Strategy) -> Option<String> {
    let (image, container) = (&strategy.image, &strategy.container);
    Some(match path {
        "server.port" => strategy.port.to_string(),
        "image.name" => image.name.as_str().to_owned(),
        "image.backend" => image.plan.backend.name().to_owned(),
        "image.cuda" => image.plan.cuda()?.version.to_string(),
        "image.compute_capabilities" => {
            let list = &image.plan.cuda()?.architectures;
            list.iter().map(|arch| arch.0.to_string()).collect::<Vec<_>>().join(",")
        }
        "image.build_base" => image.plan.build_base.to_string(),
        "image.runtime_base" => image.plan.runtime_base.to_string(),
        "image.repository" => match &image.plan.source {
            Source::Git { repository, .. } => repository.as_str().to_owned(),
            Source::Local { .. } => return None,
        },
        "image.branch" => match &image.plan.source {
            Source::Git { reference: Reference::Branch(branch), .. } => branch.clone(),
            _ => return None,
        },
        "container.models_dir" => container.models_dir.clone(),
        "container.publish" => container.publish.clone(),
        "container.restart" => container.restart.clone(),
        "container.user" => container.user.clone(),
        "container.start_period" => container.start_period_s.to_string(),
        "container.stop_grace_period" => container.stop_grace_period_s.to_string(),
        "container.log_max_size" => container.log_max_size_mib.to_string(),
        "container.log_max_file" => container.log_max_file.to_string(),
        _ => return None,
    })
}

fn text(strategy: &Strategy, rows: Vec<Row>) -> String {
    let title = strategy.title.as_deref().unwrap_or(&strategy.name);
    let reason = strategy.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
    let mut text = format!("{}: {title}\n{}{reason}\n\n", strategy.name, strategy.status);
    let head = [("KEY", Align::Left), ("VALUE", Align::Left), ("FROM", Align::Left)];
    let rows = rows
        .into_iter()
        .map(|row| vec![row.key, row.value.unwrap_or_else(|| "-".to_owned()), row.from])
        .collect();
    text.push_str(&table(&head, rows));
    for measured in &strategy.measured {
        record("measured", measured, &mut text);
    }
    for attempt in &strategy.attempts {
        record("attempt", attempt, &mut text);
    }
    text
}

/// What a record says, one key on a line.
fn record(what: &str, record: &impl Table, text: &mut String) {
    text.push_str(&["\n", what, "\n"].concat());
    record.each("", &mut |entry| {
        if let Some((word, _)) = entry.set {
            text.push_str(&["  ", entry.key.name, ": ", &word, "\n"].concat());
        }
    });
}
