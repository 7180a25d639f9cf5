//! What tuning says while it goes: lines for a person, or one line of JSON for each event.

use std::io::Write as _;

use serde::Serialize;

use crate::cli::Format;
use crate::command::Failure;
use crate::terminal::Terminal;
use crate::tune::{Attempt, Candidate, Observation};

/// What happened.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(super) enum Event<'a> {
    /// What is known before the first try.
    Begin {
        strategy: &'a str,
        devices: &'a [String],
        known: &'a [Attempt],
    },
    Try {
        number: usize,
        candidate: &'a Candidate,
        reason: &'a str,
        args: &'a [String],
    },
    Ended {
        number: usize,
        candidate: &'a Candidate,
        #[serde(flatten)]
        observation: &'a Observation,
        /// Tokens of the prompt that went through.
        #[serde(skip_serializing_if = "Option::is_none")]
        depth: Option<u64>,
        /// What went wrong, in a sentence.
        #[serde(skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
    Done {
        best: &'a Candidate,
        reason: &'a str,
        args: &'a [String],
    },
    /// Nothing fits.
    Spent {
        reason: &'a str,
    },
    /// Something else than memory is wrong.
    Failed {
        reason: &'a str,
    },
}

pub(super) fn tell(
    event: &Event<'_>,
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let text = serde_json::to_string(event).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => write!(terminal.out, "{}", text(event))?,
    }
    // As it happens, through a pipe, too.
    terminal.out.flush()?;
    Ok(())
}

fn text(event: &Event<'_>) -> String {
    match event {
        Event::Begin { strategy, devices, known } => {
            let on = if devices.is_empty() { "the CPU".to_owned() } else { devices.join(" and ") };
            let known = match known.len() {
                0 => String::new(),
                1 => "; one attempt is known".to_owned(),
                count => format!("; {count} attempts are known"),
            };
            format!("{strategy} on {on}{known}\n")
        }
        Event::Try { number, candidate, reason, .. } => {
            format!("{number:>3}  {candidate}: {reason}\n")
        }
        Event::Ended { observation, depth, said, .. } => {
            format!("     {}\n", outcome(observation, *depth, said.as_deref()))
        }
        // The command's error says it.
        Event::Spent { .. } | Event::Failed { .. } => String::new(),
        Event::Done { reason, args, .. } => format!("best: {reason}\n     {}\n", args.join(" ")),
    }
}

fn outcome(observation: &Observation, depth: Option<u64>, said: Option<&str>) -> String {
    let said = said.unwrap_or_default();
    match observation {
        Observation::Good(figures) => {
            let speed =
                |tps: Option<f64>| tps.map_or_else(|| "?".to_owned(), |tps| format!("{tps:.1}"));
            let free: Vec<String> = figures.free_mib.iter().map(ToString::to_string).collect();
            let free = match free.as_slice() {
                [] => String::new(),
                free => format!("; free {} MiB", free.join(" + ")),
            };
            format!(
                "ok: {} tokens went through, prompt {} t/s, decode {} t/s{free}",
                depth.unwrap_or_default(),
                speed(figures.prompt_tps),
                speed(figures.decode_tps)
            )
        }
        Observation::OutOfMemory { .. } | Observation::HostMemory => {
            format!("out of memory: {said}")
        }
        Observation::Failed { why } => format!("failed: {why}"),
    }
}
