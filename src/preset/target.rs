//! What the artifacts are written for.

use crate::table::choice;

choice! {
    /// The program that runs the container.
    pub enum Target {
        /// Docker Compose on one machine.
        Compose = "compose",
        /// A stack of Docker's Swarm mode.
        Swarm = "swarm",
        Kubernetes = "kubernetes",
        /// Podman under systemd.
        Quadlet = "quadlet",
    }
}

impl Target {
    /// Whether nodes pull the image from a registry instead of using the one that was built beside them.
    pub const fn pulls(self) -> bool {
        matches!(self, Self::Swarm | Self::Kubernetes)
    }
}
