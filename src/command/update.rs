//! `composegen update`: asks the outside what names point to now, locks that, and builds again.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::auto::{Planning, When};
use super::build::unpinned;
use super::check::directories;
use super::output::{Directory, compile_into, target_of};
use super::{Failure, here};
use crate::cli::Update;
use crate::compile::Request;
use crate::lock::{Resolved, Source as LockedSource};
use crate::plan::Plan;
use crate::plan::image::{ImageReference, Reference, Source};
use crate::preset::resolve::clean;
use crate::terminal::Terminal;
use crate::{git, registry};

pub(super) fn run(args: &Update, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut failed = false;
    for dir in directories(&args.dirs)? {
        failed |= !update(&dir, args, terminal)?;
    }
    if failed {
        return Err(Failure::Unresolved(
            "something could not be resolved; what was locked before stays as it was".to_owned(),
        ));
    }
    Ok(())
}

/// Whether everything could be resolved.
fn update(dir: &Utf8Path, args: &Update, terminal: &mut Terminal) -> Result<bool, Failure> {
    let mut directory = Directory::read(dir, terminal)?;
    let Some(lock) = &mut directory.lock else { return Ok(true) };
    let placements = lock.placements.clone();
    let presets: Vec<Utf8PathBuf> = lock.presets.iter().map(|p| clean(&dir.join(p))).collect();
    let target = target_of(dir, lock)?;
    let request = Request {
        presets: &presets,
        out: dir,
        target,
        here: &here()?,
        pinned: &Resolved::default(),
        placements: &placements,
        // Without the digests it goes as far as their names; with them, as `build` goes.
        builds_image: true,
    };
    let planning = Planning { models: args.models.dir.as_deref(), when: When::Asked };
    let loose = compile_into(request, planning, false, terminal)?;
    let (resolved, problems) = resolve(&loose.plan, &lock.resolved);
    lock.resolved = resolved;
    let pinned = lock.resolved.clone();
    let placements = &loose.placements;
    let request = Request { pinned: &pinned, placements, builds_image: false, ..request };
    let made = compile_into(request, Planning { when: When::Never, ..planning }, false, terminal)?;
    let written = directory.write(&made, target, args.force)?;
    writeln!(terminal.err, "{dir}: {} files written", written.files)?;
    for problem in &problems {
        writeln!(terminal.err, "{dir}: {problem}")?;
    }
    for line in unpinned(&made.plan) {
        writeln!(terminal.err, "note: {line}")?;
    }
    Ok(problems.is_empty())
}

/// What is new, with what was known before where the outside did not answer.
fn resolve(plan: &Plan, before: &Resolved) -> (Resolved, Vec<String>) {
    let mut resolved = Resolved::default();
    let mut problems = Vec::new();
    if let Source::Git { repository, reference, .. } = &plan.image.source {
        let kind = match reference {
            Reference::Branch(_) => Some("branch"),
            Reference::Tag(_) => Some("tag"),
            Reference::Commit(_) => None,
        };
        if let Some(kind) = kind {
            match git::resolve(repository.as_str(), kind, reference.as_str()) {
                Ok(commit) => {
                    resolved.source = Some(LockedSource {
                        repository: repository.as_str().to_owned(),
                        reference: reference.as_str().to_owned(),
                        commit,
                    });
                }
                Err(error) => {
                    problems.push(error.to_string());
                    resolved.source.clone_from(&before.source);
                }
            }
        }
    }
    for base in moving(plan) {
        if base.is_pinned() || resolved.images.contains_key(base.as_str()) {
            continue;
        }
        match registry::digest(base.as_str()) {
            Ok(digest) => drop(resolved.images.insert(base.as_str().to_owned(), digest)),
            Err(error) => {
                problems.push(error.to_string());
                if let Some(known) = before.digest(base.as_str()) {
                    resolved.images.insert(base.as_str().to_owned(), known.clone());
                }
            }
        }
    }
    (resolved, problems)
}

/// Names of images that something else may stand behind tomorrow: the bases, and what nodes pull from a registry.
fn moving(plan: &Plan) -> Vec<&ImageReference> {
    let mut names = vec![&plan.image.build_base, &plan.image.runtime_base];
    let own = plan.strategies.first().map(|strategy| &strategy.image.name);
    names.extend(plan.compose.front.as_ref().map(|front| &front.image));
    names.extend(own.filter(|name| plan.target.pulls() && name.has_registry()));
    names
}
