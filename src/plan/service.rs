//! The container that `docker compose --env-file NAME.env up` would start for a strategy, settled: what stands in the
//! compose file, with the variables of the `.env` and of the shell put in. It is made from the same plan as the file,
//! and the engine tests hold it against what the real Compose starts.

mod duration;

use std::net::IpAddr;

use camino::{Utf8Path, Utf8PathBuf};

use super::Plan;
use super::environment::Environment;
use crate::preset::container::GpuDriver;

/// The name of the one service in every compose file of ours.
pub const NAME: &str = "llama";

/// Seconds between two health checks, for one of them, and how many may fail: as the template has them.
pub const HEALTH: Health = Health { interval_s: 30, timeout_s: 5, retries: 3 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub interval_s: u32,
    pub timeout_s: u32,
    pub retries: u32,
}

/// One container and its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of its `.env`.
    pub strategy: String,
    /// What the container's label calls it; the same, unless the shell has a variable `STRATEGY`.
    pub label: String,
    pub project: String,
    /// The output directory, absolute.
    pub directory: Utf8PathBuf,
    pub image: String,
    /// `NAME=value`, in order.
    pub environment: Vec<String>,
    /// How many of them, from the first, the entrypoint is to read.
    pub passed_on: usize,
    /// Address on the host.
    pub publish: String,
    pub port: u16,
    pub mounts: Vec<Mount>,
    /// The first of [`Self::mounts`], on the host.
    pub models: Utf8PathBuf,
    /// The GGUF on the host; absent where the path is one inside of the container.
    pub model: Option<Utf8PathBuf>,
    pub start_period_s: u32,
    pub stop_grace_period_s: u32,
    pub restart: Restart,
    pub user: String,
    pub memory_mib: Option<u32>,
    pub shm_mib: Option<u32>,
    pub locks_memory: bool,
    pub log_max_size_mib: u32,
    pub log_max_file: u32,
    /// Absent where there is nothing to ask for.
    pub gpus: Option<GpuRequest>,
    /// Variables of the shell that took the place of the strategy's: name and value.
    pub overridden: Vec<(String, String)>,
}

/// The GPUs that the engine is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuRequest {
    pub driver: GpuDriver,
    /// All where empty.
    pub ids: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub source: Utf8PathBuf,
    pub target: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restart {
    No,
    Always,
    UnlessStopped,
    OnFailure(u32),
}

/// A variable of the shell that cannot be what it has to be.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("the directory has no strategy `{0}`")]
    NoStrategy(String),
    #[error("`{name}` is `{value}`; write {form}, or unset it in the shell")]
    Variable { name: &'static str, value: String, form: &'static str },
    #[error(
        "`{0}` has no letter or digit to make a project's name of; set `container.project` in the preset"
    )]
    Project(Utf8PathBuf),
}

impl Service {
    /// `directory` is absolute; `shell` looks a variable up in the environment of the user.
    pub fn new(
        plan: &Plan,
        strategy: &str,
        directory: &Utf8Path,
        shell: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ServiceError> {
        let environment = plan.environments.iter().find(|known| known.name == strategy);
        let environment =
            environment.ok_or_else(|| ServiceError::NoStrategy(strategy.to_owned()))?;
        let compose = &plan.compose;
        let container = &compose.container;
        let mut values = Values { environment, shell, overridden: Vec::new() };

        let mut lines = Vec::new();
        for name in &compose.variables {
            lines.push(format!("{name}={}", values.get(name).unwrap_or_default()));
        }
        if compose.cuda {
            lines.push("CUDA_DEVICE_ORDER=PCI_BUS_ID".to_owned());
            lines.extend(
                container.visible_devices.iter().map(|o| format!("CUDA_VISIBLE_DEVICES={o}")),
            );
        }
        lines.extend(container.environment.iter().map(|(name, value)| format!("{name}={value}")));

        let home = shell("HOME");
        let on_host = |path: &str| absolute(directory, path, home.as_deref());
        let models = on_host(&values.get("MODELS_DIR").unwrap_or_else(|| "./models".to_owned()));
        let mut mounts =
            vec![Mount { source: models.clone(), target: "/models".to_owned(), read_only: true }];
        for volume in &container.volumes {
            let mut parts = volume.split(':');
            if let (Some(source), Some(target)) = (parts.next(), parts.next()) {
                let (source, target) = (on_host(source), target.to_owned());
                mounts.push(Mount { source, target, read_only: parts.next() == Some("ro") });
            }
        }
        if container.api_key_file.is_some()
            && let Some(file) = values.get("API_KEY_FILE")
        {
            let target = "/run/secrets/api_key".to_owned();
            mounts.push(Mount { source: on_host(&file), target, read_only: true });
        }
        let model = values.get("MODEL").and_then(|file| match file.strip_prefix('/') {
            None => Some(models.join(file)),
            Some(_) => file.strip_prefix("/models/").map(|inside| models.join(inside)),
        });
        let port = match values.get("PORT") {
            None => compose.default_port,
            Some(value) => value.parse().map_err(|_| ServiceError::Variable {
                name: "PORT",
                value,
                form: "a number up to 65535",
            })?,
        };
        Ok(Self {
            strategy: strategy.to_owned(),
            label: values.get("STRATEGY").unwrap_or_default(),
            project: project(container.project.as_deref(), directory, shell)?,
            directory: directory.to_owned(),
            image: compose.image.clone(),
            environment: lines,
            passed_on: compose.variables.len(),
            publish: container.publish.clone(),
            port,
            mounts,
            models,
            model,
            start_period_s: values.seconds("START_PERIOD", compose.start_period_s)?,
            stop_grace_period_s: values
                .seconds("STOP_GRACE_PERIOD", compose.stop_grace_period_s)?,
            restart: restart(&container.restart),
            user: container.user.clone(),
            memory_mib: container.memory_limit_mib,
            shm_mib: container.shm_size_mib,
            locks_memory: container.locks_memory,
            log_max_size_mib: container.log_max_size_mib,
            log_max_file: container.log_max_file,
            gpus: compose
                .cuda
                .then(|| GpuRequest { driver: container.gpu_driver, ids: container.gpu_ids() }),
            overridden: values.overridden,
        })
    }

    /// The name that Compose gives the container.
    pub fn container(&self) -> String {
        format!("{}-{NAME}-1", self.project)
    }

    /// The name that Compose gives the project's network.
    pub fn network(&self) -> String {
        format!("{}_default", self.project)
    }

    /// The file that is given to `docker compose --env-file`.
    pub fn env_file(&self) -> Utf8PathBuf {
        self.directory.join(format!("{}.env", self.strategy))
    }

    /// Where clients reach the server.
    pub fn url(&self) -> String {
        match self.publish.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => format!("http://127.0.0.1:{}", self.port),
            Ok(IpAddr::V6(address)) => format!("http://[{address}]:{}", self.port),
            _ => format!("http://{}:{}", self.publish, self.port),
        }
    }

    /// Seconds after which a server that never answered is given up, as Docker itself would call it unhealthy.
    pub const fn patience_s(&self) -> u32 {
        self.start_period_s + HEALTH.retries * (HEALTH.interval_s + HEALTH.timeout_s)
    }
}

/// What Compose puts in for `${NAME:-}`: the shell wins, and an empty value counts as not set.
struct Values<'a> {
    environment: &'a Environment,
    shell: &'a dyn Fn(&str) -> Option<String>,
    overridden: Vec<(String, String)>,
}

impl Values<'_> {
    fn get(&mut self, name: &str) -> Option<String> {
        let ours = self.environment.variables.iter().find(|(known, _)| known == name);
        let ours = ours.map(|(_, value)| value.clone());
        let value = match (self.shell)(name) {
            Some(value) => {
                let told = self.overridden.iter().any(|(known, _)| known == name);
                if !told && ours.as_ref() != Some(&value) {
                    self.overridden.push((name.to_owned(), value.clone()));
                }
                Some(value)
            }
            None => ours,
        };
        value.filter(|value| !value.is_empty())
    }

    fn seconds(&mut self, name: &'static str, default: u32) -> Result<u32, ServiceError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        duration::seconds(&value).ok_or(ServiceError::Variable {
            name,
            value,
            form: "a time such as `90s` or `15m`",
        })
    }
}

/// As Compose names a project: the variable, the file's `name`, else the directory, in the letters that it allows.
fn project(
    named: Option<&str>,
    directory: &Utf8Path,
    shell: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ServiceError> {
    let given = shell("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty());
    let name = given.as_deref().or(named).or(directory.file_name()).unwrap_or_default();
    let lower = name.to_lowercase();
    let plain: String =
        lower.chars().filter(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')).collect();
    let plain = plain.trim_start_matches(['_', '-']);
    if plain.is_empty() {
        Err(ServiceError::Project(directory.to_owned()))
    } else {
        Ok(plain.to_owned())
    }
}

/// A path of the compose file on the host.
fn absolute(directory: &Utf8Path, path: &str, home: Option<&str>) -> Utf8PathBuf {
    let path = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => Utf8Path::new(home).join(rest),
        _ => directory.join(path),
    };
    crate::preset::resolve::clean(&path)
}

fn restart(text: &str) -> Restart {
    match text.split_once(':').unwrap_or((text, "0")) {
        ("always", _) => Restart::Always,
        ("unless-stopped", _) => Restart::UnlessStopped,
        ("on-failure", times) => Restart::OnFailure(times.parse().unwrap_or(0)),
        _ => Restart::No,
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::{Restart, absolute, project, restart};

    #[test]
    fn projects_are_named_as_compose_names_them() {
        let none = |_: &str| None;
        for (directory, name) in
            [("/x/Small.1", "small1"), ("/x/ud-q6", "ud-q6"), ("/x/_A b", "ab"), ("/x/-9", "9")]
        {
            assert_eq!(project(None, Utf8Path::new(directory), &none).unwrap(), name);
        }
        let shell = |name: &str| (name == "COMPOSE_PROJECT_NAME").then(|| "Mine".to_owned());
        assert_eq!(project(Some("file"), Utf8Path::new("/x/y"), &shell).unwrap(), "mine");
        assert_eq!(project(Some("file"), Utf8Path::new("/x/y"), &none).unwrap(), "file");
        assert!(project(None, Utf8Path::new("/x/\u{e9}"), &none).is_err());
    }

    #[test]
    fn paths_start_from_the_output_directory() {
        let at = |path: &str| absolute(Utf8Path::new("/a/b"), path, Some("/home/me"));
        assert_eq!(at("./models"), "/a/b/models");
        assert_eq!(at("../models"), "/a/models");
        assert_eq!(at("/srv/models"), "/srv/models");
        assert_eq!(at("~/models"), "/home/me/models");
    }

    #[test]
    fn restart_policies() {
        assert_eq!(restart("on-failure:3"), Restart::OnFailure(3));
        assert_eq!(restart("on-failure"), Restart::OnFailure(0));
        assert_eq!(restart("no"), Restart::No);
        assert_eq!(restart("unless-stopped"), Restart::UnlessStopped);
    }
}
