//! `composegen client`: what a program needs to use the running server, from the preset that starts it.

#[cfg(feature = "bench")]
mod check;
mod written;

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::checked::{Checked, checked};
use super::{Failure, here};
use crate::artifact::Artifact;
use crate::cli::{self, ClientAction, Format};
use crate::client::{Client, ClientError, Connection};
use crate::compile::relative;
use crate::preset::resolve::clean;
use crate::render;
use crate::terminal::{Align, Terminal, table};

pub(super) fn run(args: &cli::Client, terminal: &mut Terminal) -> Result<(), Failure> {
    if let Some(ClientAction::List(args)) = &args.action {
        return list(args.output.format, terminal);
    }
    let (Some(name), Some(preset)) = (&args.name, &args.preset) else { return Ok(()) };
    let client = Client::find(name).ok_or_else(|| unknown(name))?;
    let read = checked(preset, None, terminal)?;
    let (url, key) = (args.url.as_deref(), args.key_env.as_deref());
    let connection = Connection::new(&read.strategy, &read.resolved.preset, url, key)
        .map_err(|error| failure(&error))?;
    let default = || Utf8Path::new("clients").join(&connection.name).join(name);
    let out = args.out.clone().unwrap_or_else(default);
    let inputs = inputs(&read, &out, &here()?);
    let paths: Vec<Utf8PathBuf> = inputs.iter().map(|input| input.path.clone()).collect();
    let files = artifacts(client, &connection, &paths)?;
    #[cfg(feature = "bench")]
    if args.check {
        return check::run(client, &connection, &files, &out, args.output.format, terminal);
    }
    let refused = |error: crate::quote::Refused| Failure::Rejected(error.to_string());
    let made = Made {
        client: client.name(),
        about: client.about(),
        route: client.route(),
        strategy: &connection.name,
        server: &connection.base,
        model: &connection.model,
        key_variable: connection.key.as_deref(),
        slots: connection.slots,
        tokens_per_slot: connection.slot,
        tokens_of_input: connection.input,
        tokens_of_output: connection.output,
        timeout_seconds: connection.timeout_s,
        directory: out.as_str(),
        written: !args.dry_run,
        files: files.iter().map(|f| File { path: f.path.as_str(), text: &f.text }).collect(),
        steps: client.steps(&connection, out.as_str()).map_err(refused)?,
        notes: client.notes(&connection),
    };
    let changed = if args.dry_run {
        None
    } else {
        Some(written::write(client, &out, &files, &inputs, terminal)?)
    };
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&made).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => text(&made, changed, terminal)?,
    }
    Ok(())
}

fn failure(error: &ClientError) -> Failure {
    let message = format!("{error}\n{}", error.help());
    match error {
        ClientError::Url { .. } | ClientError::KeyName => Failure::Usage { message },
        _ => Failure::Rejected(message),
    }
}

/// The one way to make the files of a client: the command writes them, the tests keep them.
pub fn artifacts(
    client: Client,
    connection: &Connection,
    inputs: &[Utf8PathBuf],
) -> Result<Vec<Artifact>, Failure> {
    client.check(connection).map_err(|error| failure(&error))?;
    let mut header = vec![format!("Made by composegen {} from", env!("CARGO_PKG_VERSION"))];
    header.extend(inputs.iter().map(|input| format!("  {input}")));
    header.push(format!(
        "Not to be edited: change those files and run `composegen client {client} {}`.",
        connection.name
    ));
    render::client::client(client, connection, &header)
        .map_err(|error| Failure::Rejected(error.to_string()))
}

/// What had a say, relative to where the files go.
fn inputs(read: &Checked, out: &Utf8Path, here: &Utf8Path) -> Vec<written::Input> {
    let absolute = |path: &Utf8Path| clean(&here.join(path));
    let out = absolute(out);
    let sources = read.resolved.inputs.iter().filter_map(|file| read.sources.get(*file));
    let input = |source: &crate::diagnostic::Source| written::Input {
        path: relative(&out, &absolute(&source.path)),
        digest: crate::artifact::Digest::of(source.text.as_bytes()),
    };
    sources.map(input).collect()
}

fn unknown(name: &str) -> Failure {
    let near = Client::ALL
        .iter()
        .map(|client| (strsim::jaro_winkler(client.name(), name), client.name()))
        .filter(|(near, _)| *near > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let help = near.map_or_else(
        || "`composegen client list` names them".to_owned(),
        |(_, near)| format!("did you mean `{near}`?"),
    );
    Failure::Usage { message: format!("`{name}` is no client that is known here; {help}") }
}

fn list(format: Format, terminal: &mut Terminal) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let rows: Vec<Row> = Client::ALL.iter().map(|client| Row::new(*client)).collect();
            let text = serde_json::to_string_pretty(&rows).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => {
            let head = [("CLIENT", Align::Left), ("ROUTE", Align::Left), ("WHAT", Align::Left)];
            let rows = Client::ALL.iter().map(|client| {
                [client.name(), client.route(), client.about()].map(str::to_owned).to_vec()
            });
            write!(terminal.out, "{}", table(&head, rows.collect()))?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    route: &'static str,
    about: &'static str,
}

impl Row {
    const fn new(client: Client) -> Self {
        Self { name: client.name(), route: client.route(), about: client.about() }
    }
}

/// All that there is to say, for a person or a program.
#[derive(Serialize)]
struct Made<'a> {
    client: &'static str,
    about: &'static str,
    route: &'static str,
    strategy: &'a str,
    server: &'a str,
    model: &'a str,
    /// The key itself is nowhere.
    key_variable: Option<&'a str>,
    slots: u64,
    tokens_per_slot: u64,
    tokens_of_input: u64,
    tokens_of_output: u64,
    timeout_seconds: u64,
    directory: &'a str,
    written: bool,
    files: Vec<File<'a>>,
    steps: Vec<String>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    text: &'a str,
}

/// The files go to standard output where they are not written; everything else to standard error.
fn text(made: &Made<'_>, changed: Option<usize>, terminal: &mut Terminal) -> Result<(), Failure> {
    match changed {
        None => {
            for (i, file) in made.files.iter().enumerate() {
                let gap = if i > 0 { "\n" } else { "" };
                writeln!(
                    terminal.out,
                    "{gap}==> {} <==",
                    Utf8PathBuf::from(made.directory).join(file.path)
                )?;
                write!(terminal.out, "{}", file.text)?;
            }
        }
        Some(changed) => {
            let names: Vec<&str> = made.files.iter().map(|file| file.path).collect();
            writeln!(terminal.err, "{}: {}; {changed} written", made.directory, names.join(", "))?;
        }
    }
    writeln!(
        terminal.err,
        "{} at {}: a slot of {} tokens, of which {} are for the answer",
        made.model, made.server, made.tokens_per_slot, made.tokens_of_output
    )?;
    for step in &made.steps {
        writeln!(terminal.err, "  {step}")?;
    }
    for note in &made.notes {
        writeln!(terminal.err, "note: {note}")?;
    }
    Ok(())
}
