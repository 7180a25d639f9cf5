//! Podman's units.

use askama::Template;

use super::filter as filters;
use crate::plan::quadlet::{RESTART_S, Unit};

#[derive(Template)]
#[template(path = "quadlet.container", escape = "plain")]
struct Container<'a> {
    header: &'a [String],
    unit: &'a Unit<'a>,
    label: String,
    restart_s: u32,
}

#[derive(Template)]
#[template(path = "quadlet.network", escape = "plain")]
struct Network<'a> {
    header: &'a [String],
    prefix: &'a str,
}

pub(super) fn container(header: &[String], unit: &Unit<'_>) -> askama::Result<String> {
    let label = format!("dev.composegen.strategy={}", unit.service.name);
    Container { header, unit, label, restart_s: RESTART_S }.render()
}

pub(super) fn network(header: &[String], prefix: &str) -> askama::Result<String> {
    Network { header, prefix }.render()
}
