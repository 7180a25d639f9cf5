//! What another build of llama.cpp reserves beyond the estimate, by what probes of it said: a profile for `--profile FILE`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use camino::Utf8Path;

use super::runs::Models;
use crate::cli::Calibrate;
use crate::command::{Failure, ledger};
use crate::ledger::{Device, Entry, Run, What};
use crate::plan::memory::Request;
use crate::profile::Profile;
use crate::store;
use crate::terminal::{Align, Terminal, table};

/// MiB of compute buffers for a batch of so many tokens, on the first GPU and on the worst other one: what a probe was told
/// beyond what is computed, and what is therefore added.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Beyond {
    ubatch: u64,
    first: i64,
    other: i64,
}

pub(super) fn run(args: &Calibrate, to: &Utf8Path, terminal: &mut Terminal) -> Result<(), Failure> {
    let ledger = ledger::read(&args.file.ledger, terminal)?;
    let probes = ledger.entries.iter().filter(|entry| entry.run.what == What::Probe);
    let newest = probes.clone().filter_map(|entry| entry.run.key.llama.build).max();
    let build = args.build.or(newest);
    let of_build: Vec<&Entry> = probes.filter(|entry| entry.run.key.llama.build == build).collect();
    let mut models = Models::new(&args.models);
    let mut kinds: BTreeMap<String, Vec<Beyond>> = BTreeMap::new();
    for entry in &of_build {
        match models
            .get(&entry.run)
            .and_then(|model| Ok((model.architecture.clone(), missing(&entry.run)?)))
        {
            Ok((architecture, missing)) => kinds.entry(architecture).or_default().push(missing),
            Err(why) => writeln!(terminal.err, "note: probe {} is left out: {why}", entry.id)?,
        }
    }
    let said = build.map_or_else(|| "an unknown build".to_owned(), |build| format!("b{build}"));
    if kinds.is_empty() {
        return Err(Failure::Rejected(format!(
            "`{}` has no probe of {said} that can be used; `composegen probe PRESET` keeps what the image's llama.cpp says",
            args.file.ledger
        )));
    }
    write!(terminal.out, "{}", rows(&kinds))?;
    let name = to.file_stem().unwrap_or("profile");
    let Some(text) = profile(name, &said, &kinds) else {
        writeln!(
            terminal.out,
            "no device of {} probes of {said} needs more than is computed: there is nothing to add",
            of_build.len()
        )?;
        return Ok(());
    };
    // What is written is what --profile reads.
    Profile::parse(&text).map_err(|why| Failure::Rejected(format!("{to}: {why}")))?;
    store::single(to, &text, args.force)?;
    writeln!(terminal.err, "{to}: written; use it with `--profile {to}`")?;
    Ok(())
}

fn missing(run: &Run) -> Result<Beyond, String> {
    let request = Request::from_args(&run.args).map_err(|error| error.to_string())?;
    let more = |device: &Device| {
        let (probed, predicted) = (device.probed?.compute, device.predicted?.compute);
        Some(i64::try_from(probed).ok()? - i64::try_from(predicted).ok()?)
    };
    let gpus = run.memory.devices.iter().filter(|device| device.name != "Host");
    let mut gpus = gpus.filter_map(more);
    Ok(Beyond {
        ubatch: request.ubatch_size.max(1),
        first: gpus.next().ok_or("it names no GPU")?,
        other: gpus.max().unwrap_or(0),
    })
}

fn all(probes: &[Beyond]) -> Vec<&Beyond> {
    probes.iter().collect()
}

/// As much for each token of a batch as the worst probe lacked.
fn addition(probes: &[&Beyond]) -> Option<Beyond> {
    let ubatch = probes.iter().map(|probe| probe.ubatch).max()?;
    #[expect(clippy::cast_possible_truncation, reason = "MiB of a card")]
    let most = |of: fn(&Beyond) -> i64| {
        let scaled =
            probes.iter().map(|probe| of(probe) as f64 * ubatch as f64 / probe.ubatch as f64);
        scaled.fold(0.0, f64::max).ceil() as i64
    };
    Some(Beyond { ubatch, first: most(|probe| probe.first), other: most(|probe| probe.other) })
}

/// By how many MiB the worst device of a probe is still too low.
#[expect(clippy::cast_possible_truncation, reason = "MiB of a card")]
fn short(probe: &Beyond, added: Option<Beyond>) -> i64 {
    let part = |mib: i64, of: u64| (mib as f64 * probe.ubatch as f64 / of as f64) as i64;
    let (first, other) = added
        .map_or((0, 0), |added| (part(added.first, added.ubatch), part(added.other, added.ubatch)));
    (probe.first - first).max(probe.other - other).max(0)
}

fn rows(kinds: &BTreeMap<String, Vec<Beyond>>) -> String {
    let head = [
        ("ARCHITECTURE", Align::Left),
        ("PROBES", Align::Right),
        ("ADDED MIB", Align::Right),
        ("TOO LOW BY", Align::Right),
        ("HELD OUT", Align::Right),
    ];
    let row = |(architecture, probes): (&String, &Vec<Beyond>)| {
        let worst = |left: i64| format!("{left} MiB");
        let held_out = (0..probes.len()).map(|at| {
            let rest: Vec<&Beyond> = probes
                .iter()
                .enumerate()
                .filter(move |(i, _)| *i != at)
                .map(|(_, probe)| probe)
                .collect();
            probes.get(at).map_or(0, |probe| short(probe, addition(&rest)))
        });
        let added = addition(&all(probes));
        vec![
            architecture.clone(),
            probes.len().to_string(),
            added
                .map_or_else(String::new, |a| format!("{} + {} at {}", a.first, a.other, a.ubatch)),
            worst(probes.iter().map(|probe| short(probe, None)).max().unwrap_or(0)),
            if probes.len() > 1 { worst(held_out.max().unwrap_or(0)) } else { "-".to_owned() },
        ]
    };
    table(&head, kinds.iter().map(row).collect())
}

/// The file; `None` where nothing is to be added.
fn profile(name: &str, build: &str, kinds: &BTreeMap<String, Vec<Beyond>>) -> Option<String> {
    let mut text = format!(
        "# By `composegen calibrate`: what {build} reserves beyond the estimate, in MiB for a batch of `ubatch` tokens.\n\
         [[profile]]\nname = {name:?}\nabout = \"llama.cpp {build}, as it was probed\"\n"
    );
    let mut any = false;
    for (architecture, probes) in kinds {
        let Some(Beyond { ubatch, first, other }) = addition(&all(probes)) else { continue };
        any |= first > 0 || other > 0;
        // A profile speaks of the models that it names alone, so those without an addition are named, too. Nothing can
        // fail that is written into a text.
        let _ = write!(
            text,
            "\n# {} probes.\n[[profile.compute]]\narchitecture = {architecture:?}\nubatch = {ubatch}\nfirst_mib = {first}\n\
             other_mib = {other}\n",
            probes.len()
        );
    }
    any.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{Beyond, addition, all, profile, short};
    use crate::profile::Profile;

    const PROBES: [Beyond; 3] = [
        Beyond { ubatch: 512, first: 100, other: 20 },
        Beyond { ubatch: 2048, first: 350, other: 90 },
        Beyond { ubatch: 2048, first: -5, other: 0 },
    ];

    #[test]
    fn the_worst_probe_decides_for_each_token() {
        let added = addition(&all(&PROBES)).unwrap();
        assert_eq!(added, Beyond { ubatch: 2048, first: 400, other: 90 });
        assert_eq!(PROBES.map(|probe| short(&probe, Some(added))), [0, 0, 0]);
        assert_eq!(PROBES.map(|probe| short(&probe, None)), [100, 350, 0]);
        // Without the first, the second decides, and the first is 13 MiB short.
        assert_eq!(short(&PROBES[0], addition(&all(&PROBES[1..]))), 13);
    }

    #[test]
    fn what_is_written_is_a_profile() {
        let kinds = [("qwen3next".to_owned(), PROBES.to_vec())].into();
        let text = profile("b12000", "b12000", &kinds).unwrap();
        let read = Profile::parse(&text).unwrap();
        assert_eq!((read.name.as_str(), read.architectures()), ("b12000", vec!["qwen3next"]));
        let none = [("llama".to_owned(), vec![PROBES[2]])].into();
        assert_eq!(profile("b", "b", &none), None);
    }
}
