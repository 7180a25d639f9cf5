//! The container of a strategy.

use serde_json::Value as Json;

use crate::hardware::{Gpu, Host};
use crate::preset::container::GpuDriver;
use crate::preset::image::Backend;
use crate::preset::resolve::{PREFIX, or};
use crate::preset::{Preset, value};

/// The user of the image, where the preset names none.
pub(super) const USER: &str = "10001:10001";

/// The proxy's image, where the preset names none: the official one, of a version with long support.
const FRONT_IMAGE: &str = "haproxy:3.2";

/// What one of several servers has to itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// What the driver is asked for: UUIDs where all are known, else positions in PCI order.
    pub gpus: Vec<String>,
    /// In the order of devices, only where it says more than the driver's own order.
    pub visible_devices: Option<String>,
}

/// The container, settled. What differs between strategies of one directory comes from their `.env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub project: Option<String>,
    pub publish: String,
    pub restart: String,
    pub user: String,
    pub memory_limit_mib: Option<u32>,
    pub shm_size_mib: Option<u32>,
    pub environment: Vec<(String, String)>,
    pub volumes: Vec<String>,
    pub log_max_size_mib: u32,
    pub log_max_file: u32,
    pub locks_memory: bool,
    /// At the least one; [`Self::gpus`] and [`Self::visible_devices`] are those of the first.
    pub replicas: Vec<Replica>,
    pub front_image: String,
    /// What the driver is asked for: UUIDs where all are known, else positions in PCI order.
    pub gpus: Vec<String>,
    pub gpu_driver: GpuDriver,
    /// In the order of devices, only where it says more than the driver's own order.
    pub visible_devices: Option<String>,
    pub models_dir: String,
    /// Whether the server asks for a key, and where its file is on the host.
    pub api_key_file: Option<String>,
    pub start_period_s: u32,
    pub stop_grace_period_s: u32,
}

impl Container {
    pub fn new(preset: &Preset, machine: Option<&Host>) -> Self {
        let c = &preset.container;
        let number = |n: &i64| u32::try_from(*n).unwrap_or(u32::MAX);
        let size_gib = value(&preset.model.size_gib).map_or(0.0, |size| size.value);
        let cuda = value(&preset.image.backend).is_none_or(|b| *b == Backend::Cuda);
        let replicas = replicas(preset, machine.filter(|_| cuda));
        let Replica { gpus, visible_devices } = replicas.first().cloned().unwrap_or_default();
        Self {
            project: value(&c.project).cloned(),
            publish: or(&c.publish, "127.0.0.1").to_owned(),
            restart: or(&c.restart, "on-failure:3").to_owned(),
            user: or(&c.user, USER).to_owned(),
            memory_limit_mib: value(&c.memory_limit).map(number),
            shm_size_mib: value(&c.shm_size).map(number),
            environment: value(&c.environment)
                .map(|map| map.iter().map(|(name, text)| (name.clone(), plain(text))).collect())
                .unwrap_or_default(),
            volumes: value(&c.volumes).cloned().unwrap_or_default(),
            log_max_size_mib: value(&c.log_max_size).map_or(10, number),
            log_max_file: value(&c.log_max_file).map_or(3, number),
            locks_memory: value(&preset.placement.load_mode)
                .is_some_and(|m| m.as_str().contains("mlock")),
            replicas,
            front_image: or(&c.front_image, FRONT_IMAGE).to_owned(),
            gpus,
            gpu_driver: value(&c.gpu_driver).copied().unwrap_or(GpuDriver::Nvidia),
            visible_devices,
            models_dir: or(&c.models_dir, "./models").to_owned(),
            api_key_file: value(&preset.server.api_key_file).cloned(),
            start_period_s: value(&c.start_period).map_or_else(|| start_period(size_gib), number),
            stop_grace_period_s: value(&c.stop_grace_period)
                .map_or_else(|| grace(size_gib), number),
        }
    }

    /// What names of things beyond this directory begin with: of a stack, of units, of objects in a cluster.
    pub fn prefix(&self) -> &str {
        self.project.as_deref().unwrap_or(PREFIX)
    }

    /// The GPUs as the Container Device Interface names them.
    pub fn cdi_names(&self) -> Vec<String> {
        cdi(&self.gpus)
    }

    /// The ids in an engine's request; all GPUs where there are none.
    pub fn gpu_ids(&self) -> Vec<String> {
        self.ids(&self.gpus)
    }

    /// The ids of one server's GPUs in an engine's request.
    pub fn ids(&self, gpus: &[String]) -> Vec<String> {
        match self.gpu_driver {
            GpuDriver::Nvidia => gpus.to_vec(),
            GpuDriver::Cdi => cdi(gpus),
        }
    }

    /// The first thing in which another strategy needs another container, as `key`, ours and theirs.
    pub fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        if self == other {
            return None;
        }
        let pairs = [
            ("project", format!("{:?}", self.project), format!("{:?}", other.project)),
            ("publish", self.publish.clone(), other.publish.clone()),
            ("restart", self.restart.clone(), other.restart.clone()),
            ("user", self.user.clone(), other.user.clone()),
            (
                "memory_limit",
                format!("{:?}", self.memory_limit_mib),
                format!("{:?}", other.memory_limit_mib),
            ),
            ("shm_size", format!("{:?}", self.shm_size_mib), format!("{:?}", other.shm_size_mib)),
            ("environment", format!("{:?}", self.environment), format!("{:?}", other.environment)),
            ("volumes", self.volumes.join(" "), other.volumes.join(" ")),
            ("log_max_size", self.log_max_size_mib.to_string(), other.log_max_size_mib.to_string()),
            ("log_max_file", self.log_max_file.to_string(), other.log_max_file.to_string()),
            ("gpu_driver", self.gpu_driver.to_string(), other.gpu_driver.to_string()),
            (
                "replicas",
                format!("{:?}", self.replicas.len()),
                format!("{:?}", other.replicas.len()),
            ),
            ("front_image", self.front_image.clone(), other.front_image.clone()),
            ("GPUs", self.sets(), other.sets()),
            ("order of GPUs", self.orders(), other.orders()),
            (
                "api_key_file (one has a key, the other none)",
                self.api_key_file.is_some().to_string(),
                other.api_key_file.is_some().to_string(),
            ),
        ];
        pairs.into_iter().find(|(_, ours, theirs)| ours != theirs)
    }

    fn sets(&self) -> String {
        let sets: Vec<String> = self.replicas.iter().map(|one| one.gpus.join(" ")).collect();
        sets.join(" | ")
    }

    fn orders(&self) -> String {
        let orders: Vec<String> =
            self.replicas.iter().map(|one| format!("{:?}", one.visible_devices)).collect();
        orders.join(" | ")
    }
}

/// A minute, and 12 seconds for each GiB: a disk that reads 90 MB/s is still in time.
fn start_period(size_gib: f64) -> u32 {
    if size_gib <= 0.0 { 900 } else { seconds(60.0 + 12.0 * size_gib) }
}

/// Half a minute, and a second for each GiB of memory that has to be given back.
fn grace(size_gib: f64) -> u32 {
    seconds(30.0 + size_gib)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few thousand seconds at the most: sizes end at 4096 GiB"
)]
fn seconds(seconds: f64) -> u32 {
    seconds.ceil() as u32
}

fn cdi(gpus: &[String]) -> Vec<String> {
    if gpus.is_empty() {
        return vec!["nvidia.com/gpu=all".to_owned()];
    }
    gpus.iter().map(|id| format!("nvidia.com/gpu={id}")).collect()
}

fn plain(text: &Json) -> String {
    text.as_str().map_or_else(|| text.to_string(), str::to_owned)
}

/// What each server is given, at the least one.
fn replicas(preset: &Preset, machine: Option<&Host>) -> Vec<Replica> {
    let c = &preset.container;
    if let Some(sets) = value(&c.replica_gpus).filter(|sets| !sets.is_empty()) {
        return sets.iter().map(|set| replica(machine, set)).collect();
    }
    let count = value(&c.replicas).and_then(|n| usize::try_from(*n).ok()).unwrap_or(1);
    vec![machine.map(whole).unwrap_or_default(); count.max(1)]
}

/// The ids to ask the driver for, and the visible devices, of one server that has all GPUs of a machine.
pub fn gpus(machine: &Host) -> (Vec<String>, Option<String>) {
    let Replica { gpus, visible_devices } = whole(machine);
    (gpus, visible_devices)
}

/// All GPUs of the machine itself: those of others are reached over the network.
fn whole(machine: &Host) -> Replica {
    let mut own = machine.clone();
    own.gpus.retain(|gpu| gpu.remote.is_none());
    let all: Vec<u32> = (0..).take(own.gpus.len()).collect();
    replica(Some(&own), &all)
}

/// The ids for the reservation, and the list that makes the first GPU of the set CUDA0.
///
/// CUDA numbers by speed unless told otherwise; `CUDA_DEVICE_ORDER=PCI_BUS_ID` makes it number by bus, among those that
/// the container has. Where the set's order is another one, the visible devices are listed in it: by UUID, or by their
/// place on the bus.
fn replica(machine: Option<&Host>, set: &[u32]) -> Replica {
    let Some((machine, part)) = machine.and_then(|machine| Some((machine, machine.with(set)?)))
    else {
        return Replica::default();
    };
    let uuids: Option<Vec<String>> = part.gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
    if let Some(uuids) = uuids.filter(|uuids| !uuids.is_empty()) {
        let order = uuids.join(",");
        return Replica { gpus: uuids, visible_devices: Some(order) };
    }
    let buses = |gpus: &[Gpu]| -> Option<Vec<String>> {
        gpus.iter().map(|gpu| gpu.pci.as_ref().map(|p| p.to_ascii_lowercase())).collect()
    };
    let Some((all, ours)) = buses(&machine.gpus).zip(buses(&part.gpus)) else {
        // The order of the file is taken for that of the buses.
        let gpus = set.iter().map(ToString::to_string).collect();
        return Replica { gpus, visible_devices: None };
    };
    let sorted = |buses: &[String]| {
        let mut sorted = buses.to_vec();
        sorted.sort();
        sorted
    };
    let places = |buses: &[String], among: &[String]| -> Vec<String> {
        let place = |bus: &String| among.iter().position(|other| other == bus);
        buses.iter().filter_map(place).map(|place| place.to_string()).collect()
    };
    let own = sorted(&ours);
    let gpus = places(&own, &sorted(&all));
    Replica { gpus, visible_devices: (own != ours).then(|| places(&ours, &own).join(",")) }
}
