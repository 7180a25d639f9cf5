//! What the engine says of itself and of its machine.

use bollard::models::SystemInfo;

use super::{Engine, EngineError};

/// As far as it matters to us.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    pub version: String,
    pub api: String,
    /// Podman answers in Docker's language, but has no BuildKit.
    pub podman: bool,
    pub rootless: bool,
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    pub cpus: u64,
    pub memory_bytes: u64,
    /// Where images lie, on the engine's machine.
    pub root: String,
    pub storage: String,
    pub runtimes: Vec<String>,
    /// Devices by the Container Device Interface, where the engine lists them (API 1.50).
    pub devices: Vec<String>,
    pub warnings: Vec<String>,
}

impl Facts {
    /// BuildKit came with 18.09 and needs no experimental engine since 20.10.
    pub fn has_buildkit(&self) -> bool {
        !self.podman && self.is_from((20, 10))
    }

    /// What to do where [`Self::gives_gpus`] says no.
    pub const WITHOUT_GPUS: &str = "Podman gives CDI devices through its socket from 5.4 on; `build --target quadlet` writes \
                                    units that an older one starts by itself";

    /// Whether a container gets the GPUs that it is created with. Podman's socket takes the request and forgets it, in
    /// whatever form (4.3.1, tried with CDI devices); from 5.4 on it gives those by CDI
    /// (<https://github.com/containers/podman/pull/25171>).
    pub fn gives_gpus(&self) -> bool {
        !self.podman || self.is_from((5, 4))
    }

    /// A version that cannot be read is taken for a new one.
    fn is_from(&self, first: (u32, u32)) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse::<u32>().ok());
        let (major, minor) = (parts.next().flatten(), parts.next().flatten());
        major.zip(minor).is_none_or(|version| version >= first)
    }

    /// NVIDIA's runtime, by the engine's name for it.
    pub fn nvidia_runtime(&self) -> Option<&str> {
        self.runtimes.iter().map(String::as_str).find(|name| name.contains("nvidia"))
    }

    /// The GPUs that the engine has as CDI devices: `nvidia.com/gpu=0`.
    pub fn cdi_gpus(&self) -> Vec<&str> {
        let gpus = self.devices.iter().map(String::as_str);
        gpus.filter(|name| name.starts_with("nvidia.com/gpu=")).collect()
    }

    /// Engines before 28.2 may have CDI devices, and do not list them; nor does Podman.
    pub fn lists_cdi(&self) -> bool {
        let mut parts = self.api.split('.').map(str::parse::<u32>);
        let api = parts.next().zip(parts.next());
        !self.podman && matches!(api, Some((Ok(major), Ok(minor))) if (major, minor) >= (1, 50))
    }
}

impl Engine {
    pub async fn facts(&self) -> Result<Facts, EngineError> {
        let of = |error| EngineError::of("tell about itself", error);
        let version = self.docker.version().await.map_err(of)?;
        let info = self.docker.info().await.map_err(of)?;
        let components = version.components.unwrap_or_default();
        Ok(Facts {
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            podman: components.iter().any(|part| part.name.contains("Podman")),
            ..of_info(info)
        })
    }
}

fn of_info(info: SystemInfo) -> Facts {
    let number = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let mut runtimes: Vec<String> = info.runtimes.unwrap_or_default().into_keys().collect();
    runtimes.sort();
    let security = info.security_options.unwrap_or_default();
    let devices = info.discovered_devices.unwrap_or_default();
    Facts {
        rootless: security.iter().any(|option| option.contains("rootless")),
        os: info.os_type.unwrap_or_default(),
        architecture: info.architecture.unwrap_or_default(),
        cpus: number(info.ncpu),
        memory_bytes: number(info.mem_total),
        root: info.docker_root_dir.unwrap_or_default(),
        storage: info.driver.unwrap_or_default(),
        runtimes,
        devices: devices.into_iter().filter_map(|device| device.id).collect(),
        warnings: info.warnings.unwrap_or_default(),
        ..Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn buildkit_by_version() {
        let facts =
            |version: &str, podman| Facts { version: version.into(), podman, ..Facts::default() };
        for (version, has) in
            [("20.10.24+dfsg1", true), ("28.5.2", true), ("19.03.1", false), ("20.09.1", false)]
        {
            assert_eq!(facts(version, false).has_buildkit(), has, "{version}");
        }
        assert!(!facts("5.4.2", true).has_buildkit());
    }

    #[test]
    fn podmans_socket_forgot_devices_until_5_4() {
        let gives = |version: &str, podman| {
            Facts { version: version.into(), podman, ..Facts::default() }.gives_gpus()
        };
        assert!(!gives("4.3.1", true) && !gives("5.3.2", true));
        assert!(gives("5.4.0", true) && gives("6.0.0-dev", true) && gives("4.3.1", false));
    }
}
