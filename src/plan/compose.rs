//! What stands in docker-compose.yml.

use super::front::Front;
use super::image::Source;
use super::service::NAME;
use crate::diagnostic::{Code, Diagnostic, Location};
use crate::strategy::{Container, PORT, Replica, Strategy};

/// The service, or several of the kind, as the template prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposePlan {
    pub container: Container,
    pub image: String,
    pub cuda: bool,
    pub default_port: u16,
    /// Longest of all strategies, where the `.env` does not say.
    pub start_period_s: u32,
    pub stop_grace_period_s: u32,
    /// Compose can override the commit; not where the source lies beside the Dockerfile.
    pub from_git: bool,
    /// Compile jobs, where the preset fixes them.
    pub jobs: Option<u32>,
    /// The commit that `composegen update` resolved, if it did.
    pub commit: Option<String>,
    /// What the container's environment passes on, in order: names of variables of the `.env` files.
    pub variables: Vec<String>,
    /// What stands before several servers.
    pub front: Option<Front>,
}

/// One server of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served<'a> {
    /// `llama`, or with a number where there are several.
    pub name: &'a str,
    pub first: bool,
    pub replica: &'a Replica,
}

impl ComposePlan {
    /// One compose file for all strategies; those that need different ones are findings.
    pub fn new(
        strategies: &[Strategy],
        variables: Vec<String>,
        commit: Option<String>,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let first = strategies.first()?;
        for other in strategies.iter().skip(1) {
            if let Some((key, ours, theirs)) = first.container.difference(&other.container) {
                findings.push(mismatch(
                    Code::ContainerMismatch,
                    "container",
                    first,
                    other,
                    key,
                    &ours,
                    &theirs,
                ));
            }
        }
        let longest = |of: fn(&Container) -> u32| strategies.iter().map(|s| of(&s.container)).max();
        Some(Self {
            container: first.container.clone(),
            image: first.image.name.as_str().to_owned(),
            cuda: first.image.plan.cuda().is_some(),
            default_port: PORT,
            start_period_s: longest(|c| c.start_period_s)?,
            stop_grace_period_s: longest(|c| c.stop_grace_period_s)?,
            from_git: matches!(first.image.plan.source, Source::Git { .. }),
            jobs: first.image.jobs,
            commit,
            variables,
            front: None,
        })
    }

    pub fn served(&self) -> Vec<Served<'_>> {
        let replicas = self.container.replicas.iter().enumerate();
        let name = |i: usize| match &self.front {
            Some(front) => front.servers.get(i).map(String::as_str).unwrap_or_default(),
            None => NAME,
        };
        replicas.map(|(i, replica)| Served { name: name(i), first: i == 0, replica }).collect()
    }
}

/// Two presets that cannot live in one output directory.
pub(super) fn mismatch(
    code: Code,
    what: &str,
    first: &Strategy,
    other: &Strategy,
    key: &str,
    ours: &str,
    theirs: &str,
) -> Diagnostic {
    let start = |strategy: &Strategy| Location::new(strategy.file, &(0..0));
    Diagnostic::new(code, format!("`{}` and `{}` need different {what}s", first.name, other.name))
        .at(start(other))
        .label(format!("{key} is {theirs}"))
        .related(start(first), format!("{key} is {ours}"))
        .help("build them into two directories: `composegen build ... --out DIR` for each")
}
