//! `composegen build`: presets in, an output directory written as one.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::auto::{Planning, When};
use super::output::{Directory, Written, compile_into};
use super::{Failure, here, preset_path};
use crate::cli::{self, Build};
use crate::compile::{Compiled, Request};
#[cfg(feature = "engine")]
use crate::lock::Lock;
use crate::plan::image::{ImageReference, Reference, Source};
use crate::plan::{Plan, Target};
use crate::terminal::Terminal;

pub(super) fn run(args: &Build, terminal: &mut Terminal) -> Result<(), Failure> {
    let presets: Vec<Utf8PathBuf> = args.presets.iter().map(|given| preset_path(given)).collect();
    let out = match (&args.out, presets.first()) {
        (Some(out), _) => out.clone(),
        (None, Some(first)) => Utf8Path::new("deploy").join(first.file_stem().unwrap_or("preset")),
        (None, None) => return Ok(()),
    };
    let deny = args.deny.deny.is_some();
    #[cfg(feature = "engine")]
    let builds_image = args.image;
    #[cfg(not(feature = "engine"))]
    let builds_image = false;
    let wanted = Wanted {
        presets: &presets,
        out: &out,
        target: args.target.map(target),
        models: args.models.dir.as_deref(),
        builds_image,
    };
    let Made { made, written } = make(wanted, &|_| Ok(()), args.force, deny, terminal)?;
    writeln!(
        terminal.err,
        "{out}: {} files, {} written; {}",
        made.artifacts.len() + 1,
        written.files,
        if made.image_only {
            format!("then `composegen push {out}` pushes the image and writes the rest")
        } else {
            start(&made.plan)
        }
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

const fn target(named: cli::Target) -> Target {
    match named {
        cli::Target::Compose => Target::Compose,
        cli::Target::Swarm => Target::Swarm,
        cli::Target::Kubernetes => Target::Kubernetes,
        cli::Target::Quadlet => Target::Quadlet,
    }
}

/// What to do next with what was written.
fn start(plan: &Plan) -> String {
    let name = plan.strategies.first().map(|s| s.name.as_str()).unwrap_or_default();
    let prefix = plan.compose.container.prefix();
    match plan.target {
        Target::Compose => format!("start it with `docker compose --env-file {name}.env up`"),
        Target::Swarm => {
            format!("start it with `docker stack deploy --compose-file {name}.stack.yml {prefix}`")
        }
        Target::Kubernetes => "start it with `kubectl apply --kustomize .`".to_owned(),
        Target::Quadlet => format!(
            "copy the units to where Quadlet looks and start it with `systemctl start {prefix}-{name}`"
        ),
    }
}

/// A directory as it was compiled and written.
pub(super) struct Made {
    pub(super) made: Compiled,
    pub(super) written: Written,
}

/// What a directory is to hold.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) presets: &'a [Utf8PathBuf],
    pub(super) out: &'a Utf8Path,
    /// What the command line asks for, now or when the directory was built.
    pub(super) target: Option<Target>,
    /// Where the models are, if the command line says so.
    pub(super) models: Option<&'a Utf8Path>,
    pub(super) builds_image: bool,
}

/// Compiles presets and, where the plan is accepted, writes the directory. What starts a strategy goes the same way.
pub(super) fn make(
    wanted: Wanted<'_>,
    accept: &dyn Fn(&Plan) -> Result<(), Failure>,
    force: bool,
    deny: bool,
    terminal: &mut Terminal,
) -> Result<Made, Failure> {
    let directory = Directory::read(wanted.out, terminal)?;
    written(&directory, wanted, accept, force, deny, terminal)
}

/// The same with a change of what is locked.
#[cfg(feature = "engine")]
pub(super) fn make_with(
    wanted: Wanted<'_>,
    change: &dyn Fn(&mut Lock),
    force: bool,
    terminal: &mut Terminal,
) -> Result<Made, Failure> {
    let mut directory = Directory::read(wanted.out, terminal)?;
    change(directory.lock.get_or_insert_default());
    written(&directory, wanted, &|_| Ok(()), force, false, terminal)
}

/// As far as [`make_with`] goes before it writes: what it would refuse, this refuses.
#[cfg(feature = "engine")]
pub(super) fn try_with(
    wanted: Wanted<'_>,
    change: &dyn Fn(&mut Lock),
    force: bool,
    terminal: &mut Terminal,
) -> Result<Compiled, Failure> {
    let mut directory = Directory::read(wanted.out, terminal)?;
    change(directory.lock.get_or_insert_default());
    let made = compiled(&directory, wanted, false, terminal)?;
    directory.unedited(&made, force)?;
    Ok(made)
}

fn written(
    directory: &Directory<'_>,
    wanted: Wanted<'_>,
    accept: &dyn Fn(&Plan) -> Result<(), Failure>,
    force: bool,
    deny: bool,
    terminal: &mut Terminal,
) -> Result<Made, Failure> {
    let made = compiled(directory, wanted, deny, terminal)?;
    accept(&made.plan)?;
    let written = directory.write(&made, wanted.target, force)?;
    Ok(Made { made, written })
}

fn compiled(
    directory: &Directory<'_>,
    wanted: Wanted<'_>,
    deny: bool,
    terminal: &mut Terminal,
) -> Result<Compiled, Failure> {
    let Wanted { presets, out, target, models, builds_image } = wanted;
    let pinned = directory.lock.as_ref().map(|lock| lock.resolved.clone()).unwrap_or_default();
    let placements =
        directory.lock.as_ref().map(|lock| lock.placements.clone()).unwrap_or_default();
    let request = Request {
        presets,
        out,
        target,
        here: &here()?,
        pinned: &pinned,
        placements: &placements,
        builds_image,
    };
    compile_into(request, Planning { models, when: When::Changed }, deny, terminal)
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
    let front = plan.compose.front.as_ref().map(|front| &front.image);
    let bases = [Some(&plan.image.build_base), Some(&plan.image.runtime_base), front];
    let mut loose: Vec<&str> = bases
        .into_iter()
        .flatten()
        .filter(|base| !base.is_pinned())
        .map(ImageReference::as_str)
        .collect();
    loose.dedup();
    if !loose.is_empty() {
        lines.push(format!(
            "not pinned to a digest: {}; `composegen update` resolves them",
            loose.join(", ")
        ));
    }
    lines
}
