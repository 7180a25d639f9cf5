//! `[container]`: how it runs.

use serde_json::{Map, Value as Json};

use crate::table::{choice, table};

choice! {
    /// How an engine is asked for GPUs.
    pub enum GpuDriver {
        /// Through the runtime of NVIDIA's container toolkit.
        Nvidia = "nvidia",
        /// As devices of the Container Device Interface, which `nvidia-ctk cdi generate` describes.
        Cdi = "cdi",
    }
}

table! {
    /// The container around llama-server.
    pub struct Container {
        /// Compose project name.
        project: String;
        /// Directory with the models on the host.
        models_dir: String;
        /// Address on the host that the port is published on.
        publish: String;
        /// Restart policy: `no`, `on-failure:N`, `unless-stopped` or `always`.
        restart: String;
        /// Seconds to wait for llama-server to end before it is killed.
        stop_grace_period: i64, 1 ..= 3600;
        /// Seconds after start in which a failing health check does not count; computed from the model's size if absent.
        start_period: i64, 1 ..= 86400;
        /// Memory limit in MiB; none by default, since mapped model files count against it.
        memory_limit: i64, 64 ..= 16_777_216;
        /// Shared memory in MiB, for NCCL.
        shm_size: i64, 1 ..= 1_048_576;
        /// User and group the server runs as, `uid:gid`.
        user: String;
        /// How the engine is asked for the GPUs: `nvidia`, its runtime; `cdi`, for Engine 28.3 and Podman 5.4 or later.
        gpu_driver: GpuDriver;
        /// How many servers of this kind run behind one address, each on its own GPUs.
        replicas: i64, 1 ..= 64;
        /// The GPUs of each server, numbered from 0 as the hardware lists them: `[[0, 1], [2, 3]]`.
        replica_gpus: Vec<Vec<u32>>;
        /// Image of the proxy before several servers: HAProxy 2.6 or later.
        front_image: String;
        /// More environment variables.
        environment: Map<String, Json>;
        /// More mounts, each `host:container` or `host:container:ro`.
        volumes: Vec<String>;
        /// Size at which a log file is rotated, MiB.
        log_max_size: i64, 1 ..= 1_048_576;
        /// Log files to keep.
        log_max_file: i64, 1 ..= 1000;
    }
}
