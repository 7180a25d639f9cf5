//! docker-compose.yml.

use std::net::IpAddr;

use askama::Template;

use super::filter as filters;
use crate::plan::compose::ComposePlan;
use crate::plan::inlined::Mount;

#[derive(Template)]
#[template(path = "docker-compose.yml", escape = "plain")]
struct Compose<'a> {
    header: &'a [String],
    plan: &'a ComposePlan,
    commit: &'a str,
    publish: String,
    volumes: Vec<Mount>,
    /// The digest of the front's configuration.
    config: &'a str,
}

/// `config` is the digest of the front's configuration, where there is a front.
pub(super) fn compose(
    header: &[String],
    plan: &ComposePlan,
    config: &str,
) -> askama::Result<String> {
    // An IPv6 address needs brackets before a port.
    let publish = match plan.container.publish.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => plan.container.publish.clone(),
    };
    let volumes = plan.container.volumes.iter().filter_map(|v| Mount::read(v)).collect();
    let commit = plan.commit.as_deref().unwrap_or_default();
    Compose { header, plan, commit, publish, volumes, config }.render()
}
