//! What stands in the manifests of a strategy.

use super::inlined::Inlined;
use crate::artifact::Digest;

/// Seconds between two looks at a server that is starting.
const LOOK_S: u32 = 10;

/// Seconds in which the image may be pulled, before a roll-out counts as failed.
const PULL_S: u32 = 1800;

/// GiB for the models where their sizes are not known.
const MODELS_GIB: u32 = 100;

/// One base.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifests<'a> {
    pub service: &'a Inlined,
    /// Name of the objects, or what their names begin with.
    pub prefix: &'a str,
    /// What the `ConfigMap` holds.
    pub config: Vec<(String, String)>,
    /// The preset's own variables, which stand in the Deployment.
    pub environment: Vec<(String, String)>,
    /// Changes when the `ConfigMap` does, so that a change starts new pods.
    pub config_digest: Digest,
    pub uid: u32,
    pub gid: u32,
    pub non_root: bool,
    pub gpus: Option<usize>,
    /// Label and value that a node must have.
    pub node: Option<(&'static str, String)>,
    pub startup_failures: u32,
    pub progress_deadline_s: u32,
    /// The models' directory on the node; absent where a claim stands for them.
    pub models_dir: Option<&'a str>,
    pub for_everybody: bool,
}

impl<'a> Manifests<'a> {
    pub fn new(service: &'a Inlined) -> Self {
        let container = &service.container;
        let (uid, gid) = container.user.split_once(':').unwrap_or((&container.user, "0"));
        // As numbers: YAML would take `010` for eight.
        let [uid, gid] = [uid, gid].map(|id| id.parse().unwrap_or(0));
        let own = |pair: &&(String, String)| {
            container.environment.iter().any(|(name, _)| *name == pair.0)
        };
        let (environment, config): (Vec<_>, Vec<_>) = service.environment.iter().partition(own);
        let clone = |pairs: Vec<&(String, String)>| -> Vec<(String, String)> {
            pairs.into_iter().cloned().collect()
        };
        let (environment, config) = (clone(environment), clone(config));
        let text: Vec<&str> =
            config.iter().flat_map(|(name, value)| [name, "=", value, "\0"]).collect();
        Self {
            service,
            prefix: container.prefix(),
            config_digest: Digest::of(text.concat().as_bytes()),
            config,
            environment,
            uid,
            gid,
            non_root: uid != 0,
            gpus: service.gpus(),
            node: node(service),
            startup_failures: container.start_period_s.div_ceil(LOOK_S).max(1),
            progress_deadline_s: container.start_period_s + PULL_S,
            models_dir: service.node_models(),
            for_everybody: service.for_everybody(),
        }
    }
}

/// GPUs of one product can be on any node that has it. A machine with unlike ones, or one whose GPUs are known by their
/// UUIDs, is itself alone.
fn node(service: &Inlined) -> Option<(&'static str, String)> {
    let machine = service.machine.clone()?;
    // Of a split model each part has its own machine.
    let one = service.workers.is_empty();
    let product = service.gpu_names.first().filter(|_| one).filter(|name| {
        let same = service.gpu_names.iter().all(|other| other == *name);
        same && name.starts_with("NVIDIA ") && service.container.visible_devices.is_none()
    });
    let product = product.map(|name| name.replace(' ', "-")).filter(|label| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        label.len() <= 63 && label.chars().all(plain) && !label.ends_with(['-', '_', '.'])
    });
    Some(match product {
        Some(product) => ("nvidia.com/gpu.product", product),
        None => ("composegen.dev/machine", machine),
    })
}

/// How much the claim for the models asks for: each model of the directory once.
pub fn models_gib(services: &[Inlined]) -> u32 {
    let mut models: Vec<(&str, Option<f64>)> =
        services.iter().map(|service| (service.model.as_str(), service.size_gib)).collect();
    models.sort_by(|a, b| a.0.cmp(b.0));
    models.dedup_by(|a, b| a.0 == b.0);
    let sizes: Option<Vec<f64>> = models.into_iter().map(|(_, size)| size).collect();
    sizes.map_or(MODELS_GIB, |sizes| whole(sizes.iter().sum::<f64>()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes end at 4096 GiB and are not negative"
)]
fn whole(gib: f64) -> u32 {
    // A file system keeps some of a volume for itself.
    (gib * 1.1).ceil().max(1.0) as u32
}
