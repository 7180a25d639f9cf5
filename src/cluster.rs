//! Several machines and what lies between them: the first one runs llama-server, the others run llama.cpp's RPC workers.

pub mod parse;
pub mod schema;

use crate::hardware::{ComputeCapability, Gpu, Host, Isa, Link, Remote};

/// Machines and links, every value settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    pub name: String,
    /// The machine that llama-server runs on, which holds the model's files.
    pub server: Member,
    pub workers: Vec<Worker>,
    /// Whether the network between them is to be encrypted.
    pub encrypt: bool,
}

/// One machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Lower-case letters, digits and dashes: part of a name in DNS.
    pub name: String,
    pub host: Host,
}

/// A machine that lends its devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    pub member: Member,
    /// Where its worker listens, on a private network.
    pub port: u16,
    /// To the server's machine.
    pub link: Link,
}

impl Worker {
    /// The name under which the server finds the worker, in a stack as in a cluster.
    pub fn service(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.member.name)
    }

    /// As `--rpc` has it.
    pub fn endpoint(&self, prefix: &str) -> String {
        format!("{}:{}", self.service(prefix), self.port)
    }

    /// Whether it offers GPUs; otherwise it offers its processor.
    pub const fn has_gpus(&self, cuda: bool) -> bool {
        cuda && !self.member.host.gpus.is_empty()
    }

    fn devices(&self, endpoint: &str, cuda: bool) -> Vec<Gpu> {
        let host = &self.member.host;
        let gpus = self.has_gpus(cuda);
        let devices = if gpus { host.gpus.clone() } else { vec![processor(host)] };
        let remote = |(index, gpu): (u32, Gpu)| Gpu {
            remote: Some(Remote {
                host: self.member.name.clone(),
                endpoint: endpoint.to_owned(),
                index,
                cpu: !gpus,
                link: self.link,
            }),
            ..gpu
        };
        (0..).zip(devices).map(remote).collect()
    }
}

/// What a machine without a GPU lends. It has no compute capability; nothing asks a processor for one.
fn processor(host: &Host) -> Gpu {
    let memory = host.ram.total.unwrap_or_default();
    Gpu {
        name: host.cpu.name.clone().unwrap_or_else(|| host.name.clone()),
        memory,
        free: memory,
        compute_capability: ComputeCapability { major: 0, minor: 0 },
        bandwidth_gbs: host.ram.bandwidth_gbs,
        pci: None,
        uuid: None,
        remote: None,
    }
}

impl Cluster {
    /// What `--rpc` is to name, in order. `prefix` is what names of services begin with.
    pub fn endpoints(&self, prefix: &str) -> Vec<String> {
        self.workers.iter().map(|worker| worker.endpoint(prefix)).collect()
    }

    /// The machines as llama-server sees them: its own, with the workers' devices before its GPUs, as llama.cpp orders
    /// them. `endpoints` are the workers' in order; without `cuda` nobody's GPUs are used.
    pub fn view(&self, endpoints: &[String], cuda: bool) -> Host {
        let own = &self.server.host;
        let workers = self.workers.iter().zip(endpoints);
        let remote = workers.flat_map(|(worker, endpoint)| worker.devices(endpoint, cuda));
        let local = own.gpus.iter().filter(|_| cuda).cloned();
        let mut cpu = own.cpu.clone();
        cpu.isa = self.isa();
        Host {
            name: self.name.clone(),
            gpus: remote.chain(local).collect(),
            cpu,
            ram: own.ram.clone(),
            driver: self.driver(),
            speed: own.speed,
        }
    }

    /// A machine that would lend its processor, where nothing says how much memory that has.
    pub fn without_memory(&self, cuda: bool) -> Option<&str> {
        let lends =
            |worker: &&Worker| !worker.has_gpus(cuda) && worker.member.host.ram.total.is_none();
        self.workers.iter().find(lends).map(|worker| worker.member.name.as_str())
    }

    fn hosts(&self) -> impl Iterator<Item = &Host> {
        let workers = self.workers.iter().map(|worker| &worker.member.host);
        std::iter::once(&self.server.host).chain(workers)
    }

    /// One image runs everywhere, so it is compiled for what every processor has.
    fn isa(&self) -> Option<Isa> {
        let all: Option<Vec<Isa>> = self.hosts().map(|host| host.cpu.isa).collect();
        all?.into_iter().min()
    }

    /// The oldest driver.
    fn driver(&self) -> Option<String> {
        let version = |driver: &&String| {
            driver.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>()
        };
        self.hosts().filter_map(|host| host.driver.as_ref()).min_by_key(version).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cluster, parse};
    use crate::diagnostic::FileId;
    use crate::units::Bytes;

    fn cluster() -> Cluster {
        let text = "encrypt = false\n[[host]]\nname = \"desk\"\n[host.ram]\ntotal_mib = 65536\n\
             [host.cpu]\nisa = \"x86-64-v4\"\n[[host.gpu]]\nmemory_mib = 24564\ncompute_capability = \"8.9\"\n\
             [[host]]\nname = \"spare\"\nport = 50053\n[host.cpu]\nisa = \"x86-64-v3\"\n\
             [[host.gpu]]\nmemory_mib = 16303\ncompute_capability = \"12.0\"\n\
             [[host.gpu]]\nmemory_mib = 16303\ncompute_capability = \"12.0\"\n\
             [[host]]\nname = \"old\"\n[host.cpu]\nisa = \"x86-64-v3\"\n[host.ram]\ntotal_mib = 32768\n\
             [[link]]\nbetween = [\"desk\", \"spare\"]\ngbit = 10\nrtt_ms = 0.1\n\
             [[link]]\nbetween = [\"old\", \"desk\"]\ngbit = 1\nrtt_ms = 0.4\n";
        let mut findings = Vec::new();
        let described = parse::parse(FileId(0), "lab", text, &mut findings);
        let cluster = described.and_then(|described| described.settle(|_| None));
        assert!(findings.is_empty(), "{findings:?}");
        cluster.unwrap()
    }

    #[test]
    fn workers_devices_come_first_and_count_per_worker() {
        let cluster = cluster();
        assert!(!cluster.encrypt);
        let view = cluster.view(&cluster.endpoints("llama"), true);
        let places = view.gpus.iter().map(|gpu| {
            gpu.remote.as_ref().map(|remote| (remote.index, &remote.endpoint[..], remote.cpu))
        });
        assert_eq!(
            places.collect::<Vec<_>>(),
            [
                Some((0, "llama-spare:50053", false)),
                Some((1, "llama-spare:50053", false)),
                Some((0, "llama-old:50052", true)),
                None
            ]
        );
        assert_eq!(view.gpus.get(2).map(|gpu| gpu.free), Some(Bytes::from_mib(32768)));
        assert_eq!(cluster.workers.last().map(|worker| worker.link.gbit), Some(1.0));
        assert_eq!(view.cpu.isa.map(crate::hardware::Isa::as_str), Some("x86-64-v3"));
        let plain = cluster.view(&cluster.endpoints("llama"), false);
        assert_eq!(plain.gpus.len(), 2);
    }
}
