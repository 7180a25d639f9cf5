//! What stands in a stack file and in the configuration of its nodes.

use super::inlined::Inlined;
use super::worker::Worker;

/// Seconds that a start takes beside loading the model.
const MARGIN_S: u32 = 60;

/// What GPUs are called among a node's resources.
pub const RESOURCE: &str = "NVIDIA-GPU";

/// One stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack<'a> {
    pub service: &'a Inlined,
    /// The name to deploy it under.
    pub prefix: &'a str,
    pub environment: Vec<(String, String)>,
    /// The models' directory on the node; absent where they are in a volume.
    pub models_dir: Option<&'a str>,
    pub publish: bool,
    /// How many GPUs a node must have left, if any.
    pub gpus: Option<usize>,
    pub restart: &'static str,
    pub max_attempts: Option<u32>,
    /// Seconds after which a start counts as one that worked.
    pub settled_s: u32,
    /// Shared memory beyond Docker's 64 MiB.
    pub shm_bytes: Option<u64>,
    pub uid: &'a str,
    pub gid: &'a str,
}

impl<'a> Stack<'a> {
    pub fn new(service: &'a Inlined) -> Self {
        let container = &service.container;
        let (uid, gid) = container.user.split_once(':').unwrap_or((&container.user, "0"));
        let (restart, max_attempts) = match container.restart.as_str() {
            "no" => ("none", None),
            "always" | "unless-stopped" => ("any", None),
            // A server ends with its worker, however often that is, and both come back.
            _ if !service.workers.is_empty() => ("any", None),
            policy => ("on-failure", policy.rsplit_once(':').and_then(|(_, n)| n.parse().ok())),
        };
        let mut environment = service.environment.clone();
        visible(&mut environment, &container.gpus);
        Self {
            service,
            prefix: container.prefix(),
            environment,
            models_dir: service.node_models(),
            publish: service.for_everybody(),
            gpus: service.gpus(),
            restart,
            max_attempts,
            settled_s: container.start_period_s + MARGIN_S,
            shm_bytes: container.shm_size_mib.map(|mib| u64::from(mib) << 20),
            uid,
            gid,
        }
    }

    /// Whether the network to the workers is to be.
    pub fn encrypted(&self) -> bool {
        self.service.workers.iter().any(|worker| worker.encrypt)
    }

    /// What a worker gets.
    pub fn worker(worker: &Worker) -> Vec<(String, String)> {
        let mut environment = worker.environment.clone();
        visible(&mut environment, worker.gpus.as_deref().unwrap_or_default());
        environment
    }

    /// The nodes that it runs on, the server's first.
    pub fn nodes(&self) -> Vec<Node> {
        let workers = &self.service.workers;
        let server = self.service.machine.clone().filter(|_| !workers.is_empty());
        let ids = &self.service.container.gpus;
        let mut nodes = vec![Node { host: server, resources: resources(ids, self.gpus) }];
        nodes.extend(workers.iter().map(|worker| {
            let ids = worker.gpus.as_deref().unwrap_or_default();
            let resources = resources(ids, worker.gpus.as_ref().map(Vec::len));
            Node { host: Some(worker.host.clone()), resources }
        }));
        nodes
    }
}

/// What a node's daemon is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name where there are several.
    pub host: Option<String>,
    /// The items of its `node-generic-resources`.
    pub resources: Vec<String>,
}

impl Node {
    /// The name of the file with its configuration.
    pub fn file(&self) -> String {
        self.host
            .as_ref()
            .map_or_else(|| "daemon.json".to_owned(), |host| format!("daemon-{host}.json"))
    }
}

fn resources(ids: &[String], count: Option<usize>) -> Vec<String> {
    let Some(count) = count else { return Vec::new() };
    // A number would be read as how many there are.
    if !ids.is_empty() && ids.iter().all(|id| id.parse::<u64>().is_err()) {
        ids.iter().map(|id| format!("{RESOURCE}={id}")).collect()
    } else {
        vec![format!("{RESOURCE}={count}")]
    }
}

/// The node's runtime hands out what this names; the reservation only counts.
fn visible(environment: &mut Vec<(String, String)>, gpus: &[String]) {
    let name = "NVIDIA_VISIBLE_DEVICES";
    if !gpus.is_empty() && environment.iter().all(|(known, _)| known != name) {
        environment.push((name.to_owned(), gpus.join(",")));
    }
}
