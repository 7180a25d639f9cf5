//! Placements for presets that have them planned: from the model's header where it is at hand, else from the lock file.

use std::collections::BTreeMap;
use std::io::Write as _;

use camino::Utf8Path;

use super::Failure;
use super::header::{self, Missing};
use super::plan::{Case, Own};
use crate::check::check;
use crate::compile::Request;
use crate::diagnostic::{Code, Diagnostic, Location, Severity, Sources};
use crate::gguf;
use crate::hardware::Host;
use crate::lock::Placed;
use crate::plan::placement::{Placement, Task, place};
use crate::preset::resolve::{Library, Resolved};
use crate::preset::target::Target;
use crate::strategy::Strategy;
use crate::terminal::Terminal;

/// When to plan what is already locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The header is another one, or the preset asks for something else.
    Changed,
    /// The same, to see what would come of it: nothing is written.
    Looking,
    /// Somebody asked for what is best today.
    Asked,
    /// It was done a moment ago.
    Never,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Planning<'a> {
    /// Where the models are, if the command line says so.
    pub(super) models: Option<&'a Utf8Path>,
    pub(super) when: When,
}

/// The placements to compile with. What is wrong goes to the library's findings; what was decided, to standard error.
pub(super) fn placements(
    library: &mut Library<'_>,
    request: Request<'_>,
    planning: Planning<'_>,
    terminal: &mut Terminal,
) -> Result<BTreeMap<String, Placed>, Failure> {
    let mut placements = request.placements.clone();
    if planning.when == When::Never {
        return Ok(placements);
    }
    for path in request.presets {
        // Compiling reports what cannot be read.
        let Ok(resolved) = library.resolve(path) else { continue };
        let Some(wanted) = wanted(library, &resolved, request.target) else { continue };
        let desk = Desk {
            sources: &library.sources,
            resolved: &resolved,
            wanted: &wanted,
            locked: request.placements.get(&resolved.name),
        };
        match desk.decide(request.out, planning) {
            Ok(Decision::Keep(note)) => {
                if let Some(note) = note {
                    writeln!(terminal.err, "note: {}: {note}", resolved.name)?;
                }
            }
            Ok(Decision::New { placed, why, memory }) => {
                let flags: Vec<String> =
                    placed.flags.iter().map(|(flag, word)| format!("{flag} {word}")).collect();
                let name = &resolved.name;
                writeln!(terminal.err, "note: {name}: {why}: {}", flags.join(" "))?;
                for warning in memory {
                    writeln!(terminal.err, "note: {name}: {warning}")?;
                }
                placements.insert(resolved.name.clone(), placed);
            }
            Err(finding) => library.findings.push(*finding),
        }
    }
    Ok(placements)
}

/// A preset whose placement is to be planned, and that is sound enough for it.
struct Wanted {
    at: Location,
    strategy: Strategy,
    host: Host,
}

fn wanted(library: &Library<'_>, resolved: &Resolved, target: Option<Target>) -> Option<Wanted> {
    let auto = resolved.preset.placement.auto.as_ref().filter(|set| set.value)?;
    // Compiling checks again, and reports.
    let mut findings = library.findings.clone();
    check(resolved, target, &mut findings);
    if findings.iter().any(|finding| finding.severity() == Severity::Error) {
        return None;
    }
    let strategy = Strategy::new(resolved, None)?;
    let host = strategy.host.as_deref()?.clone();
    Some(Wanted { at: auto.at.clone(), strategy, host })
}

enum Decision {
    /// What is locked stays; what a person should know of that.
    Keep(Option<String>),
    New {
        placed: Placed,
        why: String,
        /// What the machine's own memory cannot hold.
        memory: Vec<String>,
    },
}

/// One preset, and what there is to decide with.
struct Desk<'a> {
    sources: &'a Sources,
    resolved: &'a Resolved,
    wanted: &'a Wanted,
    locked: Option<&'a Placed>,
}

impl Desk<'_> {
    fn decide(&self, out: &Utf8Path, planning: Planning<'_>) -> Result<Decision, Box<Diagnostic>> {
        let strategy = &self.wanted.strategy;
        let paths = header::places(self.resolved, strategy, self.sources, out, planning.models);
        let (path, model) = match (header::first(&paths), self.locked) {
            (Ok(found), _) => found,
            (Err(missing @ (Missing::Nowhere(_) | Missing::Part(_))), Some(locked)) => {
                return self.without(&missing, locked);
            }
            (Err(missing), _) => return Err(self.unplanned(&missing).into()),
        };
        let broken = |message: String| Box::new(self.finding(Code::Unplanned, message));
        let digest =
            gguf::digest(&path, &model.parts).map_err(|error| broken(error.to_string()))?;
        let own = self.own()?;
        let words = own.words(&self.wanted.host);
        let anew =
            if planning.when == When::Looking { "would be planned anew" } else { "planned anew" };
        let why = match self.locked {
            None if planning.when == When::Looking => "would be planned".to_owned(),
            None => "planned".to_owned(),
            Some(locked) if locked.header != digest => {
                format!("{anew}, since the model's header is another one")
            }
            Some(locked) if locked.task != words => {
                format!("{anew}, since {}", differences(&locked.task, &words))
            }
            Some(_) if planning.when != When::Asked => return Ok(Decision::Keep(None)),
            Some(_) => anew.to_owned(),
        };
        let case = Case::of(own, model, self.wanted.host.clone());
        let task = case.own_task();
        let placement = place(&task).map_err(|error| {
            self.finding(Code::Unplanned, error.to_string())
                .help("place by hand with `layers` or `override_tensor`, without `auto`")
        })?;
        if !placement.fits {
            return Err(self.too_large(&task, &placement).into());
        }
        let host = &placement.estimate.host;
        let memory =
            self.wanted.host.ram.total.map(|ram| host.warnings(ram, task.request.load_mode));
        let memory = memory.unwrap_or_default();
        let flags = placement.flags();
        let flags = flags.into_iter().map(|(flag, word)| (flag.long().to_owned(), word));
        let placed = Placed { header: digest, task: words, flags: flags.collect() };
        match self.locked {
            // As far as the plan goes nothing came of it.
            Some(locked) if *locked == placed => Ok(Decision::Keep(None)),
            _ => Ok(Decision::New { placed, why, memory }),
        }
    }

    fn own(&self) -> Result<Own, Box<Diagnostic>> {
        Own::of(&self.wanted.strategy, &self.resolved.preset)
            .map_err(|error| self.finding(Code::Unplanned, error.to_string()).into())
    }

    /// What is locked, where there is nothing to plan with: it may have been planned for something else.
    fn without(&self, missing: &Missing, locked: &Placed) -> Result<Decision, Box<Diagnostic>> {
        let words = self.own()?.words(&self.wanted.host);
        if words == locked.task {
            return Ok(Decision::Keep(Some(format!("{missing}; the locked placement is used"))));
        }
        let message =
            format!("the locked placement is an old one: {}", differences(&locked.task, &words));
        let help = format!(
            "{missing}: build where it is, or name one in `model.header`; its first megabytes are enough"
        );
        Err(self.finding(Code::StalePlacement, message).help(help).into())
    }

    fn finding(&self, code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, message).at(self.wanted.at.clone())
    }

    fn unplanned(&self, missing: &Missing) -> Diagnostic {
        let header = self.resolved.preset.model.header.as_ref();
        let at = header.map_or(&self.wanted.at, |set| &set.at).clone();
        Diagnostic::new(Code::Unplanned, missing.to_string()).at(at).help(
            "name the GGUF's header in `model.header`, or put the model into the models directory, \
             and build; the placement is then locked",
        )
    }

    fn too_large(&self, task: &Task<'_>, placement: &Placement) -> Diagnostic {
        let lacks = placement.estimate.devices.iter().enumerate().filter_map(|(i, device)| {
            let over = (device.total() + task.margin(i)).saturating_sub(device.free);
            (over.0 > 0).then(|| format!("{} lacks {:.0} MiB", device.name, over.mib().ceil()))
        });
        let lacks = lacks.collect::<Vec<_>>().join(", ");
        let name = &self.resolved.name;
        self.finding(Code::NoPlacement, format!("no placement fits; in the best one {lacks}")).help(
            format!(
                "a smaller `ctx_size`, `ubatch_size` or `margin`, or a quantized cache; `composegen plan {name}` shows \
                 what comes of each"
            ),
        )
    }
}

/// `ctx-size is 131072 and was 262144`.
fn differences(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> String {
    let mut keys: Vec<&String> = was.keys().chain(is.keys()).collect();
    keys.sort();
    keys.dedup();
    let word = |words: &BTreeMap<String, String>, key: &String| {
        words.get(key).map_or("not set", String::as_str).to_owned()
    };
    let differ = keys.into_iter().filter(|key| was.get(*key) != is.get(*key));
    let said = differ.map(|key| format!("{key} is {} and was {}", word(is, key), word(was, key)));
    said.collect::<Vec<_>>().join(", ")
}
