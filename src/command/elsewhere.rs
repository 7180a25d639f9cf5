//! What another program runs: the command of a target that stops, starts again or shows what was deployed from a directory,
//! where composegen has none of its own.

use camino::{Utf8Path, Utf8PathBuf};

use super::output::read_lock;
use super::{Failure, load, preset_path};
use crate::cli::Running;
use crate::lock::Lock;
use crate::plan::Target;
use crate::preset::resolve::{Library, PREFIX, clean, or};

/// What is asked of what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Stop,
    Restart,
    Logs,
    Status,
}

/// What to say where no container of the engine is from `directory`, if it is written for another program than Compose.
pub(super) fn of(directory: &Utf8Path, wanted: Wanted) -> Result<Option<Failure>, Failure> {
    let Some(lock) = read_lock(directory)? else { return Ok(None) };
    let target = target(&lock);
    let names: Vec<&str> = lock.presets.iter().filter_map(|preset| preset.file_stem()).collect();
    let Some(command) = command(target, wanted, &prefix(directory, &lock), &names) else {
        return Ok(None);
    };
    let does = match wanted {
        Wanted::Stop => "stops what runs from it",
        Wanted::Restart => "starts it again",
        Wanted::Logs => "shows its log",
        Wanted::Status => "shows what runs from it",
    };
    Ok(Some(Failure::Usage {
        message: format!(
            "`{directory}` is for {target}, and no container of this engine is from it\nhelp: `{command}` {does}"
        ),
    }))
}

/// An error where neither the directory nor the preset that was named is there.
pub(super) fn known(given: &Running, directory: &Utf8Path) -> Result<(), Failure> {
    let preset = given.preset.as_ref().map(|preset| preset_path(preset));
    if directory.exists() || preset.as_ref().is_some_and(|preset| preset.exists()) {
        return Ok(());
    }
    let preset = preset.map(|preset| format!("no preset `{preset}` and ")).unwrap_or_default();
    Err(Failure::Usage {
        message: format!(
            "there is {preset}no output directory `{directory}`, and no container is from it\nhelp: `composegen status` \
             in a directory without `composegen.lock` shows all that runs"
        ),
    })
}

/// By what was written; of an image without anything to start, what Compose would run.
fn target(lock: &Lock) -> Target {
    let any = |is: &dyn Fn(&Utf8Path) -> bool| lock.outputs.keys().any(|file| is(file));
    if any(&|file| file.as_str().ends_with(".stack.yml")) {
        Target::Swarm
    } else if any(&|file| file.file_name() == Some("kustomization.yaml")) {
        Target::Kubernetes
    } else if any(&|file| file.extension() == Some("container")) {
        Target::Quadlet
    } else {
        Target::Compose
    }
}

/// What names in a stack, in a cluster and of units begin with, by the first preset.
pub(super) fn prefix(directory: &Utf8Path, lock: &Lock) -> String {
    let presets: Vec<Utf8PathBuf> =
        lock.presets.iter().map(|preset| clean(&directory.join(preset))).collect();
    let mut library = Library::new(&load);
    let resolved = presets.first().and_then(|path| library.resolve(path).ok());
    let name = resolved.map(|resolved| or(&resolved.preset.container.project, PREFIX).to_owned());
    name.unwrap_or_else(|| PREFIX.to_owned())
}

/// `None` where composegen does it itself.
fn command(target: Target, wanted: Wanted, prefix: &str, names: &[&str]) -> Option<String> {
    let unit = || match names {
        [name] => format!("{prefix}-{name}"),
        _ => format!("'{prefix}-*'"),
    };
    let command = match (target, wanted) {
        (Target::Compose, _) | (Target::Swarm, Wanted::Status) => return None,
        (Target::Swarm, Wanted::Stop) => format!("docker stack rm {prefix}"),
        (Target::Swarm, Wanted::Restart) => {
            format!("docker service update --force {prefix}_llama")
        }
        (Target::Swarm, Wanted::Logs) => format!("docker service logs --follow {prefix}_llama"),
        // Deleting what the kustomization names would delete the claim with the models as well.
        (Target::Kubernetes, Wanted::Stop) => {
            format!("kubectl scale deployment/{prefix} --replicas=0")
        }
        (Target::Kubernetes, Wanted::Restart) => {
            format!("kubectl rollout restart deployment/{prefix}")
        }
        (Target::Kubernetes, Wanted::Logs) => format!("kubectl logs --follow deployment/{prefix}"),
        (Target::Kubernetes, Wanted::Status) => {
            format!("kubectl get pods --selector app.kubernetes.io/instance={prefix}")
        }
        (Target::Quadlet, Wanted::Stop) => format!("systemctl --user stop {}", unit()),
        (Target::Quadlet, Wanted::Restart) => format!("systemctl --user restart {}", unit()),
        (Target::Quadlet, Wanted::Logs) => {
            format!("journalctl --user --follow --unit {}", unit())
        }
        (Target::Quadlet, Wanted::Status) => format!("systemctl --user status {}", unit()),
    };
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::{Target, Wanted, command};

    #[test]
    fn each_target_has_its_own_words() {
        let all = [Wanted::Stop, Wanted::Restart, Wanted::Logs, Wanted::Status];
        let said = |target: Target| all.map(|wanted| command(target, wanted, "own", &["a"]));
        assert_eq!(said(Target::Compose), [None, None, None, None]);
        assert_eq!(said(Target::Swarm)[3], None, "`composegen status` knows stacks");
        for target in [Target::Kubernetes, Target::Quadlet] {
            assert!(said(target).iter().all(|said| said.as_ref().unwrap().contains("own")));
        }
        let several = command(Target::Quadlet, Wanted::Stop, "own", &["a", "b"]);
        assert_eq!(several.as_deref(), Some("systemctl --user stop 'own-*'"));
    }
}
