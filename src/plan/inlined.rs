//! A strategy for a target that reads no `.env`: every value in its place, nothing to interpolate.

use std::net::IpAddr;

use super::environment::Environment;
use super::worker::Worker;
use crate::lock::Resolved as Pinned;
use crate::strategy::{Container, Strategy};

/// What every target other than Compose starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct Inlined {
    /// The strategy's name.
    pub name: String,
    /// What the strategy is, for opening comments.
    pub about: Vec<String>,
    /// With a digest where one is known.
    pub image: String,
    /// Whether a registry holds the image; otherwise it was built on the machine itself.
    pub from_registry: bool,
    /// Whether the name can never mean another image.
    pub pinned: bool,
    pub cuda: bool,
    pub port: u16,
    /// What the container gets, each name once. Empty values are left out: empty means unset.
    pub environment: Vec<(String, String)>,
    pub container: Container,
    pub mounts: Vec<Mount>,
    /// The machine's name as a label can hold it; absent where any machine will do.
    pub machine: Option<String>,
    /// The names of its GPUs, in device order.
    pub gpu_names: Vec<String>,
    pub model: String,
    pub size_gib: Option<f64>,
    /// Of a model that is split over machines.
    pub workers: Vec<Worker>,
}

/// `host:inside[:ro]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub host: String,
    pub inside: String,
    pub read_only: bool,
}

impl Mount {
    /// `None` for what the check has refused.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (host, inside) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Self { host, inside, read_only: parts.next() == Some("ro") })
    }
}

impl Inlined {
    /// `passed` are the names of the variables that Compose would pass on to the container.
    pub fn new(
        strategy: &Strategy,
        environment: &Environment,
        passed: &[String],
        pinned: &Pinned,
    ) -> Self {
        let container = &strategy.container;
        let cuda = strategy.image.plan.cuda().is_some();
        let mut variables = Variables::default();
        let own = environment.variables.iter();
        own.filter(|(name, _)| passed.contains(name)).for_each(|(n, v)| variables.set(n, v));
        if cuda {
            variables.set("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
            if let Some(order) = &container.visible_devices {
                variables.set("CUDA_VISIBLE_DEVICES", order);
            }
        }
        let cluster = strategy.cluster.as_deref();
        if let Some(cluster) = cluster {
            // What the entrypoint waits for, and what its health check looks after.
            variables.set("WORKERS", &cluster.endpoints(container.prefix()).join(","));
        }
        container.environment.iter().for_each(|(n, v)| variables.set(n, v));
        let name = &strategy.image.name;
        let digest = pinned.digest(name.as_str()).filter(|_| !name.is_pinned());
        let image = digest.map_or_else(|| name.to_string(), |digest| format!("{name}@{digest}"));
        let host = strategy.host.as_deref();
        let server = cluster.map(|cluster| cluster.server.name.clone());
        let bound = host.filter(|host| cuda && !host.gpus.is_empty() || host.cpu.isa.is_some());
        Self {
            name: strategy.name.clone(),
            about: environment.about.clone(),
            image,
            from_registry: name.has_registry(),
            pinned: name.is_pinned() || digest.is_some(),
            cuda,
            port: strategy.port,
            environment: variables.0,
            container: container.clone(),
            mounts: container.volumes.iter().filter_map(|text| Mount::read(text)).collect(),
            machine: server
                .or_else(|| bound.map(|host| label(&host.name)))
                .filter(|label| !label.is_empty()),
            gpu_names: host
                .filter(|_| cuda)
                .map(|host| {
                    let own = host.gpus.iter().filter(|gpu| gpu.remote.is_none());
                    own.map(|gpu| gpu.name.clone()).collect()
                })
                .unwrap_or_default(),
            workers: cluster
                .map(|cluster| Worker::all(cluster, container.prefix(), cuda))
                .unwrap_or_default(),
            model: strategy.model.clone(),
            size_gib: strategy.size_gib,
        }
    }
}

impl Inlined {
    /// The models' directory on a node, where the preset names one that can be on a node.
    pub fn node_models(&self) -> Option<&str> {
        let dir = self.container.models_dir.as_str();
        dir.starts_with('/').then_some(dir)
    }

    /// How many GPUs the server is to have, if any: one where nobody says what the machine has, and none where a cluster
    /// says that only the workers have some.
    pub fn gpus(&self) -> Option<usize> {
        let own = self.container.gpus.len();
        (self.cuda && (own > 0 || self.workers.is_empty())).then(|| own.max(1))
    }

    /// Whether the server is published beyond its machine.
    pub fn for_everybody(&self) -> bool {
        let address = self.container.publish.parse::<IpAddr>();
        address.is_ok_and(|address| address.is_unspecified())
    }
}

/// Names and values; of a name that is set twice the last value stays, as with Compose.
#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// A name as a label of a node can hold it: lower-case letters, digits and single dashes, at most 63.
pub fn label(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut label = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    label.truncate(63);
    label.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Mount, Variables, label};

    #[test]
    fn labels_are_what_every_scheduler_takes() {
        for (name, expected) in [
            ("RTX 4090 + RTX 5070 Ti", "rtx-4090-rtx-5070-ti"),
            ("--é_x--", "x"),
            ("", ""),
            (&"a-".repeat(60), &"a-".repeat(32)[..63]),
        ] {
            assert_eq!(label(name), expected);
        }
    }

    #[test]
    fn the_last_value_of_a_name_stays() {
        let mut variables = Variables::default();
        for (name, value) in [("A", "1"), ("B", "2"), ("A", "3")] {
            variables.set(name, value);
        }
        assert_eq!(variables.0, [("B".into(), "2".into()), ("A".into(), "3".into())]);
    }

    #[test]
    fn mounts_are_writable_unless_they_say_otherwise() {
        assert!(Mount::read("/a:/b:ro").unwrap().read_only);
        assert!(!Mount::read("/a:/b:rw").unwrap().read_only);
        assert!(!Mount::read("/a:/b").unwrap().read_only);
        assert_eq!(Mount::read("/a"), None);
    }
}
