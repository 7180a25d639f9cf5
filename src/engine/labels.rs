//! The labels by which Compose knows what is its own. Without these a container of ours would be a stranger to it.

use std::collections::HashMap;

use crate::artifact::Digest;
use crate::plan::service::{NAME, Service};

pub const PROJECT: &str = "com.docker.compose.project";
pub const SERVICE: &str = "com.docker.compose.service";
pub const DIRECTORY: &str = "com.docker.compose.project.working_dir";
pub const HASH: &str = "com.docker.compose.config-hash";
pub const IMAGE: &str = "com.docker.compose.image";
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// Ours, and in the compose file, too.
pub const STRATEGY: &str = "dev.composegen.strategy";
/// The host of a cluster that a worker is on.
pub const HOST: &str = "dev.composegen.host";

/// Compose 2 and 5 took this for the version of what made a container; it is shown and not compared.
const VERSION: &str = concat!("composegen-", env!("CARGO_PKG_VERSION"));

/// What Compose says of a service, other than by its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `docker compose config --hash`, where there is a Compose to ask.
    pub hash: String,
    /// `sha256:...`
    pub image: String,
}

/// The digest that stands in where no Compose is installed: it changes whenever the service does.
pub fn own_hash(service: &Service) -> String {
    let digest = Digest::of(format!("{service:?}").as_bytes());
    digest.as_str().trim_start_matches("sha256:").to_owned()
}

pub(super) fn container(
    service: &Service,
    identity: &Identity,
    one_off: bool,
) -> HashMap<String, String> {
    let one_off = if one_off { "True" } else { "False" };
    let file = service.directory.join("docker-compose.yml");
    [
        (PROJECT, service.project.as_str()),
        (SERVICE, NAME),
        (HASH, &identity.hash),
        (ONE_OFF, one_off),
        ("com.docker.compose.container-number", "1"),
        ("com.docker.compose.depends_on", ""),
        ("com.docker.compose.project.config_files", file.as_str()),
        ("com.docker.compose.project.environment_file", service.env_file().as_str()),
        (DIRECTORY, service.directory.as_str()),
        (IMAGE, &identity.image),
        ("com.docker.compose.version", VERSION),
        (STRATEGY, &service.label),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

pub(super) fn network(service: &Service) -> HashMap<String, String> {
    [
        (PROJECT, service.project.as_str()),
        ("com.docker.compose.network", "default"),
        ("com.docker.compose.version", VERSION),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
