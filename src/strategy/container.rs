//! The container of a strategy.

use serde_json::Value as Json;

use crate::hardware::{Gpu, Host};
use crate::preset::container::GpuDriver;
use crate::preset::image::Backend;
use crate::preset::resolve::{PREFIX, or};
use crate::preset::{Preset, value};

/// The user of the image, where the preset names none.
pub(super) const USER: &str = "10001:10001";

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
    pub fn new(preset: &Preset, host: Option<&Host>) -> Self {
        let c = &preset.container;
        let number = |n: &i64| u32::try_from(*n).unwrap_or(u32::MAX);
        let size_gib = value(&preset.model.size_gib).map_or(0.0, |size| size.value);
        let cuda = value(&preset.image.backend).is_none_or(|b| *b == Backend::Cuda);
        let (gpus, visible_devices) = match host {
            Some(host) if cuda => gpus(host),
            _ => (Vec::new(), None),
        };
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
        if self.gpus.is_empty() {
            return vec!["nvidia.com/gpu=all".to_owned()];
        }
        self.gpus.iter().map(|id| format!("nvidia.com/gpu={id}")).collect()
    }

    /// The ids in an engine's request; all GPUs where there are none.
    pub fn gpu_ids(&self) -> Vec<String> {
        match self.gpu_driver {
            GpuDriver::Nvidia => self.gpus.clone(),
            GpuDriver::Cdi => self.cdi_names(),
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
            ("GPUs", self.gpus.join(" "), other.gpus.join(" ")),
            ("gpu_driver", self.gpu_driver.to_string(), other.gpu_driver.to_string()),
            (
                "order of GPUs",
                format!("{:?}", self.visible_devices),
                format!("{:?}", other.visible_devices),
            ),
            (
                "api_key_file (one has a key, the other none)",
                self.api_key_file.is_some().to_string(),
                other.api_key_file.is_some().to_string(),
            ),
        ];
        pairs.into_iter().find(|(_, ours, theirs)| ours != theirs)
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

fn plain(text: &Json) -> String {
    text.as_str().map_or_else(|| text.to_string(), str::to_owned)
}

/// The ids for the reservation, and the list that makes the first GPU of the file CUDA0.
///
/// CUDA numbers by speed unless told otherwise; `CUDA_DEVICE_ORDER=PCI_BUS_ID` makes it number by bus. Where the
/// file's order is another one, the visible devices are listed in it: by UUID, or by their place on the bus.
pub fn gpus(host: &Host) -> (Vec<String>, Option<String>) {
    let own: Vec<&Gpu> = host.gpus.iter().filter(|gpu| gpu.remote.is_none()).collect();
    let uuids: Option<Vec<String>> = own.iter().map(|gpu| gpu.uuid.clone()).collect();
    if let Some(uuids) = uuids.filter(|uuids| !uuids.is_empty()) {
        let order = uuids.join(",");
        return (uuids, Some(order));
    }
    let positions = (0..own.len()).map(|i| i.to_string()).collect();
    let buses: Option<Vec<String>> =
        own.iter().map(|gpu| gpu.pci.as_ref().map(|p| p.to_ascii_lowercase())).collect();
    let order = buses.and_then(|buses| {
        let mut sorted = buses.clone();
        sorted.sort();
        let places: Vec<String> = buses
            .iter()
            .filter_map(|bus| sorted.iter().position(|other| other == bus))
            .map(|place| place.to_string())
            .collect();
        (sorted != buses).then(|| places.join(","))
    });
    (positions, order)
}
