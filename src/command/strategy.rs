//! A strategy that is to run: its directory written as `build` writes it, and the service that its files describe.

use std::io::Write as _;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};

use super::accepted::words_of;
use super::build::{Made, Wanted, make};
use super::output::{read_lock, target_of};
use super::{Failure, here, preset_path};
use crate::cli::Chosen;
use crate::engine::{Address, Engine, EngineError, address, connect};
use crate::hardware::Host;
use crate::lock;
use crate::plan::service::Service;
use crate::plan::{Plan, Target};
use crate::preset::resolve::clean;
use crate::store;
use crate::strategy::Strategy;
use crate::terminal::Terminal;

/// Ready to be started; the directory is locked while this lives, so that no two runs are at it.
pub(super) struct Ready {
    pub(super) service: Service,
    /// With the placement that was planned for it, where it has one planned.
    pub(super) strategy: Strategy,
    /// The strategy's flags and their values.
    pub(super) flags: Vec<String>,
    /// All that llama-server gets, as the shell's variables leave it.
    pub(super) words: Vec<String>,
    /// The machine that the strategy was planned for.
    pub(super) host: Option<Rc<Host>>,
    pub(super) held: store::Directory,
}

pub(super) fn ready(chosen: &Chosen, terminal: &mut Terminal) -> Result<Ready, Failure> {
    let given = preset_path(&chosen.preset);
    let (out, wanted) = if given.join(lock::FILE).is_file() {
        (given, None)
    } else {
        let out = chosen.out.clone().unwrap_or_else(|| deploy(&given));
        (out, Some(given))
    };
    let here = here()?;
    let absolute = |path: &Utf8Path| clean(&here.join(path));
    let lock = read_lock(&out)?;
    let target = lock.as_ref().map(|lock| target_of(&out, lock)).transpose()?.flatten();
    let known: Vec<Utf8PathBuf> = lock
        .map(|lock| lock.presets.iter().map(|preset| clean(&out.join(preset))).collect())
        .unwrap_or_default();
    let at = wanted
        .as_ref()
        .map(|wanted| known.iter().position(|preset| absolute(preset) == absolute(wanted)));
    let (presets, index) = match (at, wanted) {
        (None, _) => (known, 0),
        (Some(Some(at)), _) => (known, at),
        (Some(None), Some(wanted)) if known.is_empty() => (vec![wanted], 0),
        (Some(None), wanted) => {
            let list = known.iter().map(|preset| preset.as_str()).collect::<Vec<_>>().join(" ");
            let wanted = wanted.unwrap_or_default();
            return Err(Failure::Usage {
                message: format!(
                    "`{out}` holds other strategies: {list}\nhelp: add this one with `composegen build {list} \
                     {wanted} --out {out}`, or choose another directory with --out"
                ),
            });
        }
    };
    let deny = chosen.deny.deny.is_some();
    let compose = |plan: &Plan| match plan.target {
        Target::Compose if plan.compose.front.is_some() => Err(Failure::Usage {
            message: format!(
                "`{out}` is for several servers behind a front, and this starts one container\nhelp: `composegen build \
                 ... --out {out}`, then in it `docker compose --env-file NAME.env up --detach --wait`; `composegen` \
                 `status`, `logs`, `restart` and `down` know them all"
            ),
        }),
        Target::Compose => Ok(()),
        other => Err(Failure::Usage {
            message: format!(
                "`{out}` is for {other}, and this starts what Compose would start\nhelp: `composegen build ... \
                 --target compose --out DIR` writes a directory for it"
            ),
        }),
    };
    let models = chosen.models.dir.as_deref();
    let wanted = Wanted { presets: &presets, out: &out, target, models, builds_image: false };
    let Made { made, written } = make(wanted, &compose, chosen.force, deny, terminal)?;
    let strategy = made.plan.strategies.get(index);
    let name = strategy.map(|strategy| strategy.name.clone()).unwrap_or_default();
    let host = strategy.and_then(|strategy| strategy.host.clone());
    let service = Service::new(&made.plan, &name, &absolute(&out), &shell)
        .map_err(|error| Failure::Usage { message: error.to_string() })?;
    for (name, value) in &service.overridden {
        let value = if value.is_empty() { "(empty)" } else { value };
        writeln!(
            terminal.err,
            "note: {name} comes from the shell, as Compose would take it: {value}"
        )?;
    }
    let Some(strategy) = strategy.cloned() else {
        return Err(Failure::Rejected(format!("`{out}` holds no strategy")));
    };
    let words = words_of(&strategy, &service);
    let flags = strategy.args_without(&[]);
    Ok(Ready { service, strategy, flags, words, host, held: written.held })
}

/// Where `build` writes a preset by default.
pub(super) fn deploy(preset: &Utf8Path) -> Utf8PathBuf {
    Utf8Path::new("deploy").join(preset.file_stem().unwrap_or("preset"))
}

/// A variable of the user's environment. Compose reads the same ones when it fills in the compose file.
#[expect(
    clippy::disallowed_methods,
    reason = "what Compose would take from the shell, we take, too"
)]
pub(super) fn shell(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(super) async fn engine() -> Result<Engine, Failure> {
    Ok(connect(address()?).await?)
}

fn address() -> Result<Address, EngineError> {
    Address::find(&address::Surroundings {
        variable: &shell,
        exists: &|path| path.exists(),
        read: &|path| super::load(path).ok(),
    })
}

/// Whether directories are those of this machine. Another machine's engine mounts its own, which are not to be seen from
/// here; where there is no engine, that is said later.
pub(super) fn is_here() -> bool {
    address().map_or(true, |address| address.is_local())
}
