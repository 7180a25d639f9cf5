//! The front before several servers of one kind: a proxy that sends each conversation to the server whose cache has it.

use super::compose::ComposePlan;
use super::image::ImageReference;
use super::service::NAME;
use crate::lock::Resolved as Pinned;

/// Its service in the compose file. Inside of the project it also answers to the name of the one server.
pub const FRONT: &str = "front";

/// Its configuration in the output directory.
pub const FILE: &str = "haproxy.cfg";

/// Bytes of a request that it reads before it chooses; two such buffers are held per open request. A context of 256k
/// tokens is about 1 MB of text.
const BUFFER: u32 = 1 << 20;

/// Requests that are open at a time.
const REQUESTS: u32 = 256;

/// One proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    pub image: ImageReference,
    /// Names of the servers in the project's network.
    pub servers: Vec<String>,
    pub buffer: u32,
    pub requests: u32,
    /// Whether the servers have routes below a path.
    pub prefixed: bool,
}

impl Front {
    /// `None` for one server, and for an image whose name is none, which the check reports.
    pub fn new(plan: &ComposePlan, pinned: &Pinned) -> Option<Self> {
        let container = &plan.container;
        let count = container.replicas.len();
        if count < 2 {
            return None;
        }
        let name: ImageReference = container.front_image.parse().ok()?;
        let digest = pinned.digest(name.as_str()).filter(|_| !name.is_pinned());
        let image = digest.and_then(|digest| format!("{name}@{digest}").parse().ok());
        Some(Self {
            image: image.unwrap_or(name),
            servers: (1..=count).map(|number| format!("{NAME}-{number}")).collect(),
            buffer: BUFFER,
            requests: REQUESTS,
            prefixed: plan.variables.iter().any(|name| name == "API_PREFIX"),
        })
    }
}
