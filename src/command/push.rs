//! `composegen push`: the image goes to the registry that the preset names, and the digest that it has there is locked.

use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::build::{Made, Wanted, make_with, try_with};
use super::output::{read_lock, target_of};
use super::strategy::{deploy, engine, shell};
use super::{Failure, load, preset_path, report};
use crate::artifact::Digest;
use crate::cli::Push;
use crate::engine::interrupt::Interrupt;
use crate::engine::push::{Login, Pushed, Tagged};
use crate::engine::{EngineError, run as block_on};
use crate::exit::Exit;
use crate::lock::{self, Lock};
use crate::plan::image::ImageReference;
use crate::preset::resolve::{Library, clean};
use crate::registry::credentials::{self, Credentials};
use crate::strategy::Strategy;
use crate::terminal::Terminal;

pub(super) fn run(args: &Push, terminal: &mut Terminal) -> Result<(), Failure> {
    let given = preset_path(&args.preset);
    let (out, given) = if given.join(lock::FILE).is_file() {
        (given, None)
    } else {
        (args.out.clone().unwrap_or_else(|| deploy(&given)), Some(given))
    };
    let before = read_lock(&out)?;
    let presets = presets(&out, before.as_ref(), given);
    let name = name(&presets, terminal)?;
    let (Some(registry), repository, tag) = name.parts() else {
        return Err(Failure::Usage {
            message: format!(
                "`{name}` names no registry: `image.name` is to be written with one, \
                 `registry.example/llama-server:1` (`docker.io/USER/NAME:TAG` for Docker Hub)"
            ),
        });
    };
    if name.is_pinned() {
        return Err(Failure::Usage {
            message: format!(
                "`{name}` has its digest already: write `{repository}:{tag}`, and pushing locks the digest"
            ),
        });
    }
    let target = before.as_ref().map(|lock| target_of(&out, lock)).transpose()?.flatten();
    let wanted = Wanted {
        presets: &presets,
        out: &out,
        target,
        models: args.models.dir.as_deref(),
        builds_image: false,
    };
    // What could not be written afterwards is refused before anything is sent. Which digest it will be changes nothing.
    let some = Digest::of(b"");
    let some = |lock: &mut Lock| {
        lock.resolved.images.insert(name.to_string(), some.clone());
    };
    let tried = try_with(wanted, &some, args.force, terminal)?;
    let login = login(registry)?;
    let pushed = push(args, Tagged { repository, tag }, registry, login, terminal)?;
    let Some(digest) = pushed.digest else {
        return Err(Failure::Because {
            exit: Exit::Engine,
            message: format!(
                "the engine pushed `{name}` and named no digest, so that nothing was locked"
            ),
        });
    };
    writeln!(
        terminal.err,
        "pushed {name}: {} layers sent, {} were there",
        pushed.sent, pushed.there
    )?;
    let lock = |lock: &mut Lock| {
        lock.resolved.images.insert(name.to_string(), digest.clone());
        lock.placements.clone_from(&tried.placements);
    };
    // What there is to say about the presets was said.
    let mut quiet = Terminal { out: Box::new(io::sink()), err: Box::new(io::sink()), color: false };
    let Made { written, .. } = make_with(wanted, &lock, args.force, &mut quiet)?;
    writeln!(terminal.err, "{out}: locked, {} files written", written.files)?;
    writeln!(terminal.out, "{}", pinned(&name, &digest))?;
    Ok(())
}

fn pinned(name: &ImageReference, digest: &Digest) -> String {
    format!("{name}@{digest}")
}

/// Those of the directory, and the one that was asked for.
fn presets(out: &Utf8Path, lock: Option<&Lock>, given: Option<Utf8PathBuf>) -> Vec<Utf8PathBuf> {
    let known = lock.map(|lock| lock.presets.iter().map(|preset| clean(&out.join(preset))));
    let known: Vec<Utf8PathBuf> = known.into_iter().flatten().collect();
    if known.is_empty() { given.into_iter().collect() } else { known }
}

/// The image of the first preset, which is that of all.
fn name(presets: &[Utf8PathBuf], terminal: &mut Terminal) -> Result<ImageReference, Failure> {
    let Some(path) = presets.first() else {
        return Err(Failure::Usage {
            message: "there is no preset to push the image of".to_owned(),
        });
    };
    let mut library = Library::new(&load);
    let resolved = library.resolve(path).map_err(|error| Failure::File(error.to_string()))?;
    report(&library.findings, &library.sources, false, terminal)?;
    let strategy = Strategy::new(&resolved, None)
        .ok_or_else(|| Failure::Rejected("the preset names no model".to_owned()))?;
    Ok(strategy.image.name)
}

/// Who the user's Docker configuration says they are.
fn login(registry: &str) -> Result<Login, Failure> {
    let dir = shell("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(Utf8PathBuf::from);
    let home = || shell("HOME").map(|home| Utf8Path::new(&home).join(".docker"));
    let Some(file) = dir.or_else(home).map(|dir| dir.join("config.json")) else {
        return Ok(Login::Nobody);
    };
    let text = match load(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    let found = credentials::find(file.as_str(), text.as_deref(), registry);
    Ok(match found.map_err(|error| Failure::File(error.to_string()))? {
        None => Login::Nobody,
        Some(Credentials::Password { user, password }) => Login::Password { user, password },
        Some(Credentials::IdentityToken(token)) => Login::IdentityToken(token),
    })
}

fn push(
    args: &Push,
    name: Tagged<'_>,
    registry: &str,
    login: Login,
    terminal: &mut Terminal,
) -> Result<Pushed, Failure> {
    let whole = format!("{}:{}", name.repository, name.tag);
    block_on(async {
        let mut interrupt = Interrupt::new()?;
        let work = async {
            let engine = engine().await?;
            let own = args.image.as_deref().unwrap_or(&whole);
            if engine.image(own).await?.is_none() {
                let help = if args.image.is_some() {
                    "`docker image ls` shows what it has"
                } else {
                    "`composegen build ... --image` builds it; `--image NAME` takes another one"
                };
                return Err(Failure::Because {
                    exit: Exit::Image,
                    message: format!("the engine has no image `{own}`\nhelp: {help}"),
                });
            }
            if own != whole {
                engine.tag(own, name).await?;
            }
            writeln!(terminal.err, "pushing {whole} from {}", engine.address)?;
            let nobody = matches!(login, Login::Nobody);
            engine
                .push(name, registry, login)
                .await
                .map_err(|error| refused(error, registry, nobody))
        };
        tokio::select! {
            () = interrupt.wait() => Err(Failure::Because {
                exit: Exit::Interrupted,
                message: "interrupted; layers that the registry has already stay there, and nothing was locked".to_owned(),
            }),
            pushed = work => pushed,
        }
    })?
}

/// The registry's words with a way out that fits them.
fn refused(error: EngineError, registry: &str, nobody: bool) -> Failure {
    let said = error.message().unwrap_or_default().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let help = if has(&["no basic auth", "unauthorized", "authentication required", "denied"]) {
        if nobody {
            format!("`docker login {registry}`: the Docker configuration has no credentials for it")
        } else {
            format!(
                "the credentials of the Docker configuration are not enough; `docker login {registry}` takes others"
            )
        }
    } else if has(&["http response to https", "x509", "certificate"]) {
        format!(
            "the engine wants TLS: give the registry a certificate, or name it in the engine's `insecure-registries`: {registry}"
        )
    } else if has(&["no such host", "connection refused", "timeout", "no route"]) {
        format!(
            "the engine does not reach {registry}; it is the engine that pushes, from where it runs"
        )
    } else {
        return error.into();
    };
    Failure::Because { exit: Exit::Engine, message: format!("{error}\nhelp: {help}") }
}
