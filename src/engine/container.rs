//! Containers: made, found by Compose's labels, looked at, stopped, removed.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, ContainerUpdateBody, HealthStatusEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RestartContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};

use super::create::{OneOff, body, policy};
use super::labels::{self, Identity};
use super::{Engine, EngineError};
use crate::plan::service::{Restart, Service};

/// A container of ours, whoever started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub id: String,
    pub name: String,
    pub labels: HashMap<String, String>,
    /// Ports on the host.
    pub ports: Vec<u16>,
    /// `running`, `exited`, `restarting`, ...
    pub state: String,
    /// In the engine's words: `Up 3 minutes (healthy)`.
    pub status: String,
}

impl Found {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// What the engine knows of a container's run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub running: bool,
    pub restarting: bool,
    pub exit_code: i64,
    pub oom_killed: bool,
    /// Where it could not be started.
    pub error: String,
    pub restarts: i64,
    pub health: Health,
    pub started_at: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    None,
    Starting,
    Healthy,
    Unhealthy,
}

impl Engine {
    /// Makes the service's container, not yet started.
    pub async fn create(
        &self,
        service: &Service,
        identity: &Identity,
        restart: &Restart,
    ) -> Result<String, EngineError> {
        let body = body(service, identity, restart, None);
        self.create_named(&service.container(), body).await
    }

    /// Makes the service's container with more arguments for llama-server, which go before what the service says.
    pub async fn create_with(
        &self,
        service: &Service,
        identity: &Identity,
        arguments: &[String],
    ) -> Result<String, EngineError> {
        let mut body = body(service, identity, &Restart::No, None);
        body.cmd = Some(arguments.to_vec());
        self.create_named(&service.container(), body).await
    }

    /// Gives a running container another restart policy. `false` where the engine does not know how: Podman 4 has no
    /// such request.
    pub async fn set_restart(&self, id: &str, restart: &Restart) -> Result<bool, EngineError> {
        let restart_policy = Some(policy(restart));
        let body = ContainerUpdateBody { restart_policy, ..Default::default() };
        let updated = self.docker.update_container(id, body).await;
        match updated.map_err(|error| EngineError::of("set the restart policy", error)) {
            Ok(()) => Ok(true),
            Err(EngineError::Refused { status: 404, message, .. })
                if !message.to_lowercase().contains("no such container") =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// A container of the same image, mounts and GPUs for one command.
    pub async fn create_one_off(
        &self,
        service: &Service,
        identity: &Identity,
        name: &str,
        command: &[String],
    ) -> Result<String, EngineError> {
        let one_off = OneOff { name, command };
        self.create_named(name, body(service, identity, &Restart::No, Some(&one_off))).await
    }

    async fn create_named(
        &self,
        name: &str,
        body: bollard::models::ContainerCreateBody,
    ) -> Result<String, EngineError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let made = self.docker.create_container(Some(options), body).await;
        Ok(made.map_err(|error| EngineError::of(format!("make container {name}"), error))?.id)
    }

    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let started = self.docker.start_container(id, None::<StartContainerOptions>).await;
        started.map_err(|error| EngineError::of("start the container", error))
    }

    /// Asks it to end, and kills it after so many seconds. One that is gone or has ended is fine.
    pub async fn stop(&self, id: &str, seconds: Option<u32>) -> Result<(), EngineError> {
        let mut options = StopContainerOptionsBuilder::new();
        if let Some(seconds) = seconds {
            options = options.t(i32::try_from(seconds).unwrap_or(i32::MAX));
        }
        // The engine answers when it has ended, which may take longer than other answers.
        let mut docker = self.docker.clone();
        docker.set_timeout(std::time::Duration::from_secs(4000));
        let stopped = docker.stop_container(id, Some(options.build())).await;
        unless_missing(stopped, "stop the container")
    }

    pub async fn restart(&self, id: &str) -> Result<(), EngineError> {
        let mut docker = self.docker.clone();
        docker.set_timeout(std::time::Duration::from_secs(4000));
        let options = RestartContainerOptionsBuilder::new().build();
        let restarted = docker.restart_container(id, Some(options)).await;
        restarted.map_err(|error| EngineError::of("restart the container", error))
    }

    /// Kills and removes it with its anonymous volumes.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let removed = self.docker.remove_container(id, Some(options)).await;
        unless_missing(removed, "remove the container")
    }

    /// All containers with these labels, running or not.
    pub async fn find(&self, labels: &[String]) -> Result<Vec<Found>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), labels.to_vec())]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let list = self.docker.list_containers(Some(options)).await;
        let list = list.map_err(|error| EngineError::of("list containers", error))?;
        let mut found: Vec<Found> = list
            .into_iter()
            .map(|summary| {
                let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
                let mut ports: Vec<u16> = summary
                    .ports
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|p| p.public_port)
                    .collect();
                ports.dedup();
                Found {
                    id: summary.id.unwrap_or_default(),
                    name: name.trim_start_matches('/').to_owned(),
                    labels: summary.labels.unwrap_or_default(),
                    ports,
                    state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
                    status: summary.status.unwrap_or_default(),
                }
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// All containers of an output directory: what serves, and commands that run or were left.
    pub async fn find_all_in(&self, directory: &str) -> Result<Vec<Found>, EngineError> {
        self.find(&[format!("{}={directory}", labels::DIRECTORY)]).await
    }

    /// The service's containers in an output directory, one-off ones not among them.
    pub async fn find_in(&self, directory: &str) -> Result<Vec<Found>, EngineError> {
        let label = |name: &str, value: &str| format!("{name}={value}");
        let wanted = [label(labels::DIRECTORY, directory), label(labels::ONE_OFF, "False")];
        self.find(&wanted).await
    }

    pub async fn find_service(&self, service: &Service) -> Result<Vec<Found>, EngineError> {
        let label = |name: &str, value: &str| format!("{name}={value}");
        let wanted = [
            label(labels::PROJECT, &service.project),
            label(labels::SERVICE, crate::plan::service::NAME),
            label(labels::ONE_OFF, "False"),
        ];
        self.find(&wanted).await
    }

    pub async fn state(&self, id: &str) -> Result<State, EngineError> {
        let found = self.docker.inspect_container(id, None::<InspectContainerOptions>).await;
        Ok(state(found.map_err(|error| EngineError::of("look at the container", error))?))
    }
}

fn unless_missing(
    result: Result<(), bollard::errors::Error>,
    doing: &str,
) -> Result<(), EngineError> {
    match result.map_err(|error| EngineError::of(doing, error)) {
        Err(EngineError::Refused { status: 304 | 404, .. }) => Ok(()),
        // Another remove is on its way.
        Err(EngineError::Refused { status: 409, message, .. })
            if message.contains("already in progress") =>
        {
            Ok(())
        }
        other => other,
    }
}

fn state(found: ContainerInspectResponse) -> State {
    let restarts = found.restart_count.unwrap_or(0);
    let state = found.state.unwrap_or_default();
    let health = match state.health.and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        _ => Health::None,
    };
    State {
        running: state.running.unwrap_or(false),
        restarting: state.restarting.unwrap_or(false),
        exit_code: state.exit_code.unwrap_or(0),
        oom_killed: state.oom_killed.unwrap_or(false),
        error: state.error.unwrap_or_default(),
        restarts,
        health,
        started_at: state.started_at.unwrap_or_default(),
    }
}
