//! `composegen build --image`: the directory that was written, built by the engine.

use std::io::Write as _;

use camino::Utf8Path;

use super::Failure;
use super::strategy::{engine, shell};
use crate::artifact::Digest;
use crate::compile::Compiled;
use crate::engine::build::progress::{Event, telling};
use crate::engine::build::{Build, Built};
use crate::engine::context::Context;
use crate::engine::facts::Facts;
use crate::engine::interrupt::Interrupt;
use crate::engine::{Engine, run as block_on};
use crate::exit::Exit;
use crate::lock;
use crate::plan::Plan;
use crate::plan::image::{Backend, Commit, CpuKernels};
use crate::terminal::Terminal;
use crate::units::Bytes;

pub(super) fn build(
    made: &Compiled,
    directory: &Utf8Path,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    block_on(async {
        let mut interrupt = Interrupt::new()?;
        tokio::select! {
            () = interrupt.wait() => Err(Failure::Because {
                exit: Exit::Interrupted,
                message: "interrupted; the engine gives the build up, and what was compiled stays in its cache"
                    .to_owned(),
            }),
            built = run(made, directory, terminal) => built,
        }
    })?
}

async fn run(
    made: &Compiled,
    directory: &Utf8Path,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let engine = engine().await?;
    let plan = &made.plan;
    let facts = engine.facts().await?;
    refuse(plan, &facts)?;
    refuse_full(plan, &engine, &facts)?;
    let file = |error: std::io::Error| Failure::File(error.to_string());
    let context = Context::read(directory).map_err(file)?;
    let lock = fs_err::read(directory.join(lock::FILE).as_std_path()).map_err(file)?;
    writeln!(
        terminal.err,
        "building {} on {} ({}), {} files",
        plan.compose.image,
        engine.address,
        facts.version,
        context.files().len()
    )?;
    let wanted = Build {
        context,
        target: "server".to_owned(),
        tag: plan.compose.image.clone(),
        arguments: arguments(plan),
        labels: labels(plan, &Digest::of(&lock)),
    };
    let mut unsaid = None;
    let mut last_words = String::new();
    let built = engine
        .build(wanted, &mut |event| {
            if let Event::Failed { output, .. } = &event {
                last_words = output.join("\n");
            }
            if let Err(error) = tell(&event, terminal) {
                unsaid.get_or_insert(error);
            }
        })
        .await?;
    if let Some(error) = unsaid {
        return Err(Failure::Output(error));
    }
    match built {
        Built::Done { cached, done } => {
            let image = engine.image(&plan.compose.image).await?;
            let image = image.ok_or_else(|| Failure::Because {
                exit: Exit::BuildFailed,
                message: format!("the engine built `{}` and does not have it", plan.compose.image),
            })?;
            writeln!(
                terminal.err,
                "built {} ({}): {done} steps, {cached} more from the cache",
                plan.compose.image,
                Bytes(image.bytes)
            )?;
            writeln!(terminal.out, "{}", image.id)?;
            Ok(())
        }
        Built::Failed { message } => {
            let help = way_out(&format!("{message}\n{last_words}"));
            Err(Failure::Because {
                exit: Exit::BuildFailed,
                message: format!("the image was not built: {message}\nhelp: {help}"),
            })
        }
    }
}

fn tell(event: &Event, terminal: &mut Terminal) -> std::io::Result<()> {
    let err = &mut terminal.err;
    match event {
        Event::Started { name } => writeln!(err, "  {name}"),
        Event::Cached { name } => writeln!(err, "  {name}: cached"),
        Event::Done { name, seconds } => writeln!(err, "  {name}: {seconds:.1} s"),
        Event::Compiled { percent } => writeln!(err, "    compiled {percent} %"),
        Event::Failed { name, output } => {
            writeln!(err, "  {}: failed", name.lines().next().unwrap_or_default())?;
            for line in telling(output) {
                writeln!(err, "  | {line}")?;
            }
            Ok(())
        }
    }
}

/// What cannot work, before anything is sent.
fn refuse(plan: &Plan, facts: &Facts) -> Result<(), Failure> {
    let refused = |message: String| Err(Failure::Because { exit: Exit::Image, message });
    if facts.podman {
        return refused(
            "this engine is Podman, which has no BuildKit\nhelp: `podman build --target server` in the output \
             directory builds the same Dockerfile"
                .to_owned(),
        );
    }
    if !facts.has_buildkit() {
        return refused(format!(
            "engine {} has no BuildKit\nhelp: Docker 20.10 and later have it",
            facts.version
        ));
    }
    if facts.os != "linux" {
        return refused(format!(
            "the engine runs {} containers\nhelp: switch it to Linux containers",
            facts.os
        ));
    }
    let x86 = matches!(facts.architecture.as_str(), "x86_64" | "amd64");
    if let (CpuKernels::Isa(isa), false) = (&plan.image.cpu, x86) {
        return refused(format!(
            "the engine's machine is {}, and the image is for {isa:?} of x86-64\nhelp: leave `cpu.isa` out of the \
             hardware file, or build on such a machine",
            facts.architecture
        ));
    }
    Ok(())
}

/// Room that a build takes at its height, the toolkit's image with it.
const fn room(plan: &Plan) -> u64 {
    match plan.image.backend {
        Backend::Cuda(_) => 20 << 30,
        Backend::Cpu => 2 << 30,
    }
}

/// Where the engine's disk is one of this machine.
fn refuse_full(plan: &Plan, engine: &Engine, facts: &Facts) -> Result<(), Failure> {
    let Some(free) = engine.address.is_local().then(|| free(&facts.root)).flatten() else {
        return Ok(());
    };
    let needed = room(plan);
    if free >= needed {
        return Ok(());
    }
    Err(Failure::Because {
        exit: Exit::Image,
        message: format!(
            "{} has {} left, and the build takes up to {}\nhelp: `docker system df` shows what takes the room, \
             `docker builder prune` gives the cache back",
            facts.root,
            Bytes(free),
            Bytes(needed)
        ),
    })
}

/// Bytes left on the disk of a directory; `None` where it is not to be seen from here.
pub(super) fn free(path: &str) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// The arguments that Compose would pass, so that both builds share a cache.
fn arguments(plan: &Plan) -> Vec<(String, String)> {
    let set = |name: &str| shell(name).filter(|value| !value.is_empty());
    let jobs = set("JOBS").or_else(|| plan.compose.jobs.map(|jobs| jobs.to_string()));
    let mut arguments = vec![("JOBS".to_owned(), jobs.unwrap_or_default())];
    if plan.compose.from_git {
        let commit = set("LLAMA_COMMIT").or_else(|| plan.compose.commit.clone());
        arguments.push(("LLAMA_COMMIT".to_owned(), commit.unwrap_or_default()));
    }
    arguments
}

fn labels(plan: &Plan, lock: &Digest) -> Vec<(String, String)> {
    let names: Vec<&str> = plan.strategies.iter().map(|s| s.name.as_str()).collect();
    let commit = plan.image.source.pinned().map(Commit::as_str);
    let labels = [
        ("dev.composegen.image.strategies", names.join(" ")),
        ("dev.composegen.image.lock", lock.to_string()),
        ("dev.composegen.image.llama-commit", commit.unwrap_or("not pinned").to_owned()),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// From what the engine said, and what the step that failed had printed.
fn way_out(said: &str) -> &'static str {
    let said = said.to_lowercase();
    let has = |part: &str| said.contains(part);
    if has("no space left") || has("enough free space") {
        "the engine's disk is full: `docker system df` shows what takes the room, and `docker builder prune` gives the \
         cache's back; what was compiled is lost with it"
    } else if has("exit code: 137") || has("signal: killed") {
        "the compiler was killed, most likely for want of memory: set `image.jobs` lower"
    } else if [
        "failed to resolve",
        "pull access denied",
        "failed to do request",
        "manifest unknown",
        "i/o timeout",
    ]
    .into_iter()
    .any(has)
    {
        "the base image cannot be had: look at `image.build_base` and `image.runtime_base`, the network and `docker login`"
    } else {
        "the step's output above says why; the same build runs with `docker compose build` in the output directory"
    }
}

#[cfg(test)]
mod tests {
    use super::way_out;

    #[test]
    fn a_full_disk_by_whoever_notices_it() {
        for said in [
            "write /var/lib/docker/tmp/x: no space left on device",
            "E: You don't have enough free space in /var/cache/apt/archives/.",
        ] {
            assert!(way_out(said).contains("disk is full"), "{said}");
        }
        assert!(!way_out("exit code: 137").contains("disk"));
    }
}
