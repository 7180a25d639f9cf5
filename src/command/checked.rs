//! A preset read up to its strategy: what it extends merged, checked, and what is wrong with it reported.

use camino::Utf8Path;

use super::output::read_lock;
use super::{Failure, load, preset_path, report};
use crate::check::check;
use crate::diagnostic::Sources;
use crate::preset::resolve::{Library, Resolved};
use crate::strategy::Strategy;
use crate::terminal::Terminal;

/// A preset without errors.
pub(super) struct Checked {
    pub(super) resolved: Resolved,
    pub(super) strategy: Strategy,
    /// The files that were read.
    pub(super) sources: Sources,
    /// Whether the strategy has the placement that a lock file holds for it.
    #[cfg_attr(not(feature = "engine"), expect(dead_code, reason = "only an image asks"))]
    pub(super) placed: bool,
}

/// `given` is a preset's file or its name. An error in it ends the command.
///
/// With `out`, the placement that was planned when this output directory was built is part of the strategy.
pub(super) fn checked(
    given: &Utf8Path,
    out: Option<&Utf8Path>,
    terminal: &mut Terminal,
) -> Result<Checked, Failure> {
    let path = preset_path(given);
    let mut library = Library::new(&load);
    let resolved = library.resolve(&path).map_err(|error| Failure::File(error.to_string()))?;
    check(&resolved, None, &mut library.findings);
    report(&library.findings, &library.sources, false, terminal)?;
    let locked = match out {
        Some(out) => read_lock(out)?.and_then(|lock| lock.placements.get(&resolved.name).cloned()),
        None => None,
    };
    let strategy = Strategy::new(&resolved, locked.as_ref())
        .ok_or_else(|| Failure::Rejected(format!("`{path}` names no model")))?;
    Ok(Checked { resolved, strategy, sources: library.sources, placed: locked.is_some() })
}
