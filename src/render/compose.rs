//! docker-compose.yml.

use std::net::IpAddr;

use askama::Template;

use super::filter as filters;
use crate::plan::compose::ComposePlan;

#[derive(Template)]
#[template(path = "docker-compose.yml", escape = "plain")]
struct Compose<'a> {
    header: &'a [String],
    plan: &'a ComposePlan,
    commit: &'a str,
    publish: String,
    volumes: Vec<Volume<'a>>,
}

struct Volume<'a> {
    host: &'a str,
    inside: &'a str,
    read_only: bool,
}

pub(super) fn compose(header: &[String], plan: &ComposePlan) -> askama::Result<String> {
    // An IPv6 address needs brackets before a port.
    let publish = match plan.container.publish.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => plan.container.publish.clone(),
    };
    let volumes = plan.container.volumes.iter().filter_map(|v| volume(v)).collect();
    let commit = plan.commit.as_deref().unwrap_or_default();
    Compose { header, plan, commit, publish, volumes }.render()
}

/// `host:container[:ro]`, as the check has seen that it is.
fn volume(text: &str) -> Option<Volume<'_>> {
    let mut parts = text.split(':');
    let (host, inside) = (parts.next()?, parts.next()?);
    Some(Volume { host, inside, read_only: parts.next() == Some("ro") })
}
