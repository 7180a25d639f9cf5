//! `composegen build`: presets in, an output directory written as one.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::auto::{Planning, When};
use super::output::{Directory, compile_into};
use super::{Failure, here, preset_path};
use crate::cli::Build;
use crate::compile::Request;
use crate::plan::Plan;
use crate::plan::image::{ImageReference, Reference, Source};
use crate::terminal::Terminal;

pub(super) fn run(args: &Build, terminal: &mut Terminal) -> Result<(), Failure> {
    let presets: Vec<Utf8PathBuf> = args.presets.iter().map(|given| preset_path(given)).collect();
    let out = match (&args.out, presets.first()) {
        (Some(out), _) => out.clone(),
        (None, Some(first)) => Utf8Path::new("deploy").join(first.file_stem().unwrap_or("preset")),
        (None, None) => return Ok(()),
    };
    let directory = Directory::read(&out, terminal)?;
    let pinned = directory.lock.as_ref().map(|lock| lock.resolved.clone()).unwrap_or_default();
    let deny = args.deny.deny.is_some();
    let placements =
        directory.lock.as_ref().map(|lock| lock.placements.clone()).unwrap_or_default();
    let request = Request {
        presets: &presets,
        out: &out,
        here: &here()?,
        pinned: &pinned,
        placements: &placements,
    };
    let planning = Planning { models: args.models.dir.as_deref(), when: When::Changed };
    let made = compile_into(request, planning, deny, terminal)?;
    let written = directory.write(&made, args.force)?;
    writeln!(
        terminal.err,
        "{out}: {} files, {written} written; start it with `docker compose --env-file {}.env up`",
        made.artifacts.len() + 1,
        made.plan.strategies.first().map(|s| s.name.as_str()).unwrap_or_default(),
    )?;
    for line in unpinned(&made.plan) {
        writeln!(terminal.err, "note: {line}")?;
    }
    Ok(())
}

/// What is not the same for ever: names that can move to something else.
pub(super) fn unpinned(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    if let Source::Git { reference: Reference::Branch(branch), commit: None, .. } =
        &plan.image.source
    {
        lines.push(format!(
            "llama.cpp is built from the newest `{branch}`; `composegen update` pins it to a commit"
        ));
    }
    let bases = [&plan.image.build_base, &plan.image.runtime_base];
    let mut loose: Vec<&str> =
        bases.into_iter().filter(|base| !base.is_pinned()).map(ImageReference::as_str).collect();
    loose.dedup();
    if !loose.is_empty() {
        lines.push(format!(
            "not pinned to a digest: {}; `composegen update` resolves them",
            loose.join(", ")
        ));
    }
    lines
}
