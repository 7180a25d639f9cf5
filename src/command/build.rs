//! `composegen build`: presets in, an output directory written as one.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::output::{Directory, Written, compile_into};
use super::{Failure, here, preset_path};
use crate::cli::Build;
use crate::compile::Compiled;
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
    let deny = args.deny.deny.is_some();
    let Made { made, written } = make(&presets, &out, args.force, deny, terminal)?;
    let name = made.plan.strategies.first().map(|s| s.name.as_str()).unwrap_or_default();
    writeln!(
        terminal.err,
        "{out}: {} files, {} written; start it with `docker compose --env-file {name}.env up`",
        made.artifacts.len() + 1,
        written.files,
    )?;
    for line in unpinned(&made.plan) {
        writeln!(terminal.err, "note: {line}")?;
    }
    #[cfg(feature = "engine")]
    if args.image {
        super::image::build(&made, &out, terminal)?;
    }
    drop(written);
    Ok(())
}

/// A directory as it was compiled and written.
pub(super) struct Made {
    pub(super) made: Compiled,
    pub(super) written: Written,
}

/// Compiles presets and writes the directory. What starts a strategy goes the same way.
pub(super) fn make(
    presets: &[Utf8PathBuf],
    out: &Utf8Path,
    force: bool,
    deny: bool,
    terminal: &mut Terminal,
) -> Result<Made, Failure> {
    let directory = Directory::read(out, terminal)?;
    let pinned = directory.lock.as_ref().map(|lock| lock.resolved.clone()).unwrap_or_default();
    let placements =
        directory.lock.as_ref().map(|lock| lock.placements.clone()).unwrap_or_default();
    let made = compile_into(presets, out, &here()?, &pinned, &placements, deny, terminal)?;
    let written = directory.write(&made, &placements, force)?;
    Ok(Made { made, written })
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
