//! A settled service as the engine's API wants it: what Compose sends for the compose file, field by field.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, EndpointSettings, HealthConfig, HostConfig,
    HostConfigLogConfig, Mount as ApiMount, MountBindOptions, MountType, NetworkingConfig,
    PortBinding, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use super::labels::{self, Identity};
use crate::plan::service::{GpuRequest, HEALTH, NAME, Restart, Service};

/// What differs for a container that is not the service itself.
pub(super) struct OneOff<'a> {
    pub(super) name: &'a str,
    pub(super) command: &'a [String],
}

pub(super) fn body(
    service: &Service,
    identity: &Identity,
    restart: &Restart,
    one_off: Option<&OneOff<'_>>,
) -> ContainerCreateBody {
    let port = format!("{}/tcp", service.port);
    let serves = one_off.is_none();
    let name = one_off.map_or_else(|| service.container(), |one_off| one_off.name.to_owned());
    let endpoint =
        EndpointSettings { aliases: Some(vec![name, NAME.to_owned()]), ..Default::default() };
    ContainerCreateBody {
        image: Some(service.image.clone()),
        user: Some(service.user.clone()),
        env: Some(service.environment.clone()),
        cmd: one_off.map(|one_off| one_off.command.to_vec()),
        labels: Some(labels::container(service, identity, one_off.is_some())),
        exposed_ports: serves.then(|| vec![port.clone()]),
        healthcheck: Some(health(service, serves)),
        stop_timeout: Some(i64::from(service.stop_grace_period_s)),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host(service, restart, serves.then_some(port))),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(service.network(), endpoint)])),
        }),
        ..Default::default()
    }
}

fn health(service: &Service, serves: bool) -> HealthConfig {
    if !serves {
        return HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() };
    }
    let nanoseconds = |seconds: u32| Some(i64::from(seconds) * 1_000_000_000);
    let test = ["CMD", "/usr/local/bin/entrypoint", "health"];
    HealthConfig {
        test: Some(test.map(str::to_owned).to_vec()),
        interval: nanoseconds(HEALTH.interval_s),
        timeout: nanoseconds(HEALTH.timeout_s),
        retries: Some(i64::from(HEALTH.retries)),
        start_period: nanoseconds(service.start_period_s),
        start_interval: None,
    }
}

fn host(service: &Service, restart: &Restart, port: Option<String>) -> HostConfig {
    let bytes = |mib: Option<u32>| mib.map(|mib| i64::from(mib) << 20);
    let binding = PortBinding {
        host_ip: Some(service.publish.clone()),
        host_port: Some(service.port.to_string()),
    };
    let log = [
        ("max-size".to_owned(), format!("{}m", service.log_max_size_mib)),
        ("max-file".to_owned(), service.log_max_file.to_string()),
    ];
    HostConfig {
        network_mode: Some(service.network()),
        port_bindings: port.map(|port| HashMap::from([(port, Some(vec![binding]))])),
        mounts: Some(service.mounts.iter().map(mount).collect()),
        restart_policy: Some(policy(restart)),
        memory: bytes(service.memory_mib),
        shm_size: bytes(service.shm_mib),
        ulimits: service.locks_memory.then(|| {
            let name = Some("memlock".to_owned());
            vec![ResourcesUlimits { name, soft: Some(-1), hard: Some(-1) }]
        }),
        device_requests: service.gpus.as_ref().map(|gpus| vec![devices(gpus)]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from(log)),
        }),
        extra_hosts: Some(Vec::new()),
        init: Some(true),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), String::new())])),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        ..Default::default()
    }
}

fn mount(mount: &crate::plan::service::Mount) -> ApiMount {
    ApiMount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.to_string()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions::default()),
        ..Default::default()
    }
}

fn devices(gpus: &GpuRequest) -> DeviceRequest {
    let all = gpus.ids.is_empty();
    DeviceRequest {
        driver: Some(gpus.driver.to_string()),
        count: all.then_some(-1),
        device_ids: (!all).then(|| gpus.ids.clone()),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        options: None,
    }
}

pub(super) fn policy(restart: &Restart) -> RestartPolicy {
    let (name, times) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(times) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(*times))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: times }
}
