//! `--sweep`: values that requests carry, and values with which servers are started.

use crate::cli::Bench;
use crate::command::Failure;
use crate::preset::sweep::{self, Point, Sweep};
#[cfg(feature = "engine")]
use crate::strategy::Strategy;

/// What is swept.
pub(super) struct Swept {
    /// Of what a request carries: for the answers.
    pub(super) requests: Vec<Point>,
    /// Of llama-server's flags: each is a server of its own. One without any key where none is swept.
    pub(super) starts: Vec<Point>,
}

/// As many servers as have a letter.
const MOST: usize = 26;

pub(super) fn read(args: &Bench) -> Result<Swept, Failure> {
    let usage = |why: String| Failure::Usage { message: format!("`--sweep`: {why}") };
    let all = args.sweep.iter().map(|text| Sweep::of_any(text));
    let all = all.collect::<Result<Vec<_>, String>>().map_err(usage)?;
    let (starts, requests): (Vec<Sweep>, Vec<Sweep>) =
        all.into_iter().partition(|sweep| sweep::flag(sweep.key).is_some());
    let swept = Swept {
        requests: sweep::points(&requests).map_err(usage)?,
        starts: sweep::points(&starts).map_err(usage)?,
    };
    if let Some(sweep) = starts.first()
        && (!args.starts_presets() || args.presets.len() != 1)
    {
        return Err(usage(format!(
            "llama-server takes `{}` when it starts: name one preset, which is then started for each value",
            sweep.key
        )));
    }
    if swept.starts.len() > MOST {
        return Err(usage(format!(
            "that makes {} servers, and {MOST} are the most",
            swept.starts.len()
        )));
    }
    if !requests.is_empty() && args.answers == 0 {
        return Err(usage(
            "what a request carries is for the answers, and `--answers` is 0".to_owned(),
        ));
    }
    Ok(swept)
}

/// Flags and values.
#[cfg(feature = "engine")]
pub(super) fn arguments(point: &Point) -> Vec<String> {
    let words = point.iter().filter_map(|(key, value)| {
        Some([sweep::flag(key)?.to_owned(), sweep::json(*value).to_string()])
    });
    words.flatten().collect()
}

/// The strategy with these flags in place of its own. It is another one, also by name.
#[cfg(feature = "engine")]
pub(super) fn changed(strategy: &Strategy, point: &Point) -> Strategy {
    let mut strategy = strategy.clone();
    if point.is_empty() {
        return strategy;
    }
    let own = |flag: &str| point.keys().any(|key| sweep::flag(key) == Some(flag));
    strategy.settings.retain(|setting| !own(setting.emit.on));
    strategy.extra_args.extend(arguments(point));
    strategy.name = [&strategy.name, " ", &sweep::words(point)].concat();
    strategy
}
