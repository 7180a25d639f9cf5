//! A worker of a model that is split over machines: what every target starts it with.

use crate::cluster::{Cluster, Worker as Lent};
use crate::strategy::gpus;

/// Where it keeps the tensors that it was sent, under the volume's name for it.
pub const CACHE: &str = "/cache";

/// Seconds between two checks, for one of them, and how many may fail. A worker that serves a server which is gone has to
/// end, for the new one waits behind it.
pub const INTERVAL_S: u32 = 10;

/// One worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Its service, which is its name in DNS, too.
    pub service: String,
    /// The machine, as the cluster and a node's label have it.
    pub host: String,
    pub port: u16,
    /// The ids to ask the driver for; absent where the machine lends its processor.
    pub gpus: Option<Vec<String>>,
    /// Whether the network to it is to be encrypted.
    pub encrypt: bool,
    /// What the container gets.
    pub environment: Vec<(String, String)>,
}

impl Worker {
    pub(super) fn all(cluster: &Cluster, prefix: &str, cuda: bool) -> Vec<Self> {
        let new = |worker| Self { encrypt: cluster.encrypt, ..Self::new(worker, prefix, cuda) };
        cluster.workers.iter().map(new).collect()
    }

    fn new(lent: &Lent, prefix: &str, cuda: bool) -> Self {
        let host = &lent.member.host;
        let mut environment = vec![
            ("WORKER_PORT".to_owned(), lent.port.to_string()),
            ("LLAMA_CACHE".to_owned(), CACHE.to_owned()),
        ];
        let mut asked = None;
        if lent.has_gpus(cuda) {
            let (ids, visible) = gpus(host);
            environment.push(("CUDA_DEVICE_ORDER".to_owned(), "PCI_BUS_ID".to_owned()));
            environment.extend(visible.map(|order| ("CUDA_VISIBLE_DEVICES".to_owned(), order)));
            asked = Some(ids);
        } else if let Some(cores) = host.cpu.cores {
            environment.push(("WORKER_THREADS".to_owned(), cores.to_string()));
        }
        Self {
            service: lent.service(prefix),
            host: lent.member.name.clone(),
            port: lent.port,
            gpus: asked,
            encrypt: true,
            environment,
        }
    }
}
