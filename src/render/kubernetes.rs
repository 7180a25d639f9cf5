//! Manifests, and the kustomizations that hold them together.

use askama::Template;

use super::filter as filters;
use crate::plan::kubernetes::{Manifests, models_gib};
use crate::plan::worker::{CACHE, INTERVAL_S};

#[derive(Template)]
#[template(path = "kubernetes/deployment.yaml", escape = "plain")]
struct Deployment<'a> {
    header: &'a [String],
    m: &'a Manifests<'a>,
}

#[derive(Template)]
#[template(path = "kubernetes/configmap.yaml", escape = "plain")]
struct ConfigMap<'a> {
    header: &'a [String],
    m: &'a Manifests<'a>,
}

#[derive(Template)]
#[template(path = "kubernetes/service.yaml", escape = "plain")]
struct Service<'a> {
    header: &'a [String],
    m: &'a Manifests<'a>,
}

#[derive(Template)]
#[template(path = "kubernetes/workers.yaml", escape = "plain")]
struct Workers<'a> {
    header: &'a [String],
    m: &'a Manifests<'a>,
    ports: Vec<u16>,
    gib: u32,
    interval_s: u32,
    cache: &'static str,
}

#[derive(Template)]
#[template(path = "kubernetes/models.yaml", escape = "plain")]
struct Models<'a> {
    header: &'a [String],
    prefix: &'a str,
    gib: u32,
}

#[derive(Template)]
#[template(path = "kubernetes/kustomization.yaml", escape = "plain")]
struct Kustomization<'a> {
    header: &'a [String],
    resources: &'a [&'a str],
}

/// The manifests of a strategy by name, their kustomization last.
pub(super) fn base(
    header: &[String],
    m: &Manifests<'_>,
) -> Vec<(&'static str, askama::Result<String>)> {
    let mut files = vec![
        ("configmap.yaml", ConfigMap { header, m }.render()),
        ("deployment.yaml", Deployment { header, m }.render()),
        ("service.yaml", Service { header, m }.render()),
    ];
    if !m.service.workers.is_empty() {
        files.push(("workers.yaml", workers(header, m)));
    }
    let resources: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let kustomization = kustomization(header, &resources);
    files.push(("kustomization.yaml", kustomization));
    files
}

fn workers(header: &[String], m: &Manifests<'_>) -> askama::Result<String> {
    let mut ports: Vec<u16> = m.service.workers.iter().map(|worker| worker.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let gib = models_gib(std::slice::from_ref(m.service));
    Workers { header, m, ports, gib, interval_s: INTERVAL_S, cache: CACHE }.render()
}

pub(super) fn models(header: &[String], prefix: &str, gib: u32) -> askama::Result<String> {
    Models { header, prefix, gib }.render()
}

pub(super) fn kustomization(header: &[String], resources: &[&str]) -> askama::Result<String> {
    Kustomization { header, resources }.render()
}
