//! The entrypoint: environment to argv, in POSIX sh.

use askama::Template;

use super::filter as filters;
use crate::plan::knob::{Knob, KnobKind};

#[derive(Template)]
#[template(path = "entrypoint.sh", escape = "plain")]
struct Entrypoint<'a> {
    header: &'a [String],
    port: u16,
    rpc: bool,
    values: Vec<Value<'a>>,
    switches: Vec<Switch<'a>>,
    adding: Vec<Adding<'a>>,
}

struct Value<'a> {
    env: &'a str,
    flag: &'a str,
}

struct Switch<'a> {
    env: &'a str,
    on: Option<&'a str>,
    off: Option<&'a str>,
}

/// A knob that is left out where the arguments have one of its flag's spellings.
struct Adding<'a> {
    env: &'a str,
    first: String,
    others: Vec<String>,
}

/// The whole script. `port` is what the server listens on where PORT says nothing; with `rpc` it can start workers and
/// knows how to wait for them.
///
/// # Errors
/// Where a knob's name or flag is no plain word.
pub fn entrypoint(
    header: &[String],
    knobs: &[Knob],
    port: u16,
    rpc: bool,
) -> askama::Result<String> {
    let mut values = Vec::new();
    let mut switches = Vec::new();
    for Knob { env, kind } in knobs {
        match kind {
            // The address is always given, with a default of its own.
            KnobKind::Value { flag } if flag == "--host" => {}
            KnobKind::Value { flag } => values.push(Value { env, flag }),
            KnobKind::Switch { on, off } => {
                switches.push(Switch { env, on: on.as_deref(), off: off.as_deref() });
            }
            KnobKind::Words | KnobKind::Model => {}
        }
    }
    let adding = knobs.iter().filter_map(|knob| {
        let mut spellings = knob.adding().into_iter();
        Some(Adding { env: &knob.env, first: spellings.next()?, others: spellings.collect() })
    });
    Entrypoint { header, port, rpc, values, switches, adding: adding.collect() }.render()
}
