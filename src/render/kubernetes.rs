//! Manifests, and the kustomizations that hold them together.

use askama::Template;

use super::filter as filters;
use crate::plan::kubernetes::Manifests;

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
) -> [(&'static str, askama::Result<String>); 4] {
    let resources = ["configmap.yaml", "deployment.yaml", "service.yaml"];
    [
        ("configmap.yaml", ConfigMap { header, m }.render()),
        ("deployment.yaml", Deployment { header, m }.render()),
        ("service.yaml", Service { header, m }.render()),
        ("kustomization.yaml", kustomization(header, &resources)),
    ]
}

pub(super) fn models(header: &[String], prefix: &str, gib: u32) -> askama::Result<String> {
    Models { header, prefix, gib }.render()
}

pub(super) fn kustomization(header: &[String], resources: &[&str]) -> askama::Result<String> {
    Kustomization { header, resources }.render()
}
