//! What stands in a `.container` unit: times, retries and names that its template only prints.

use super::inlined::Inlined;

/// Seconds between two looks at a server that is starting.
const LOOK_S: u32 = 10;

/// Seconds for what a start takes beside loading the model.
const MARGIN_S: u32 = 60;

/// Seconds on top in which the image may be pulled.
const PULL_S: u32 = 1800;

/// Seconds before a failed server is started again.
pub const RESTART_S: u32 = 5;

/// One unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit<'a> {
    pub service: &'a Inlined,
    /// Beginning of the names of unit, network and secret.
    pub prefix: &'a str,
    /// Services of the same directory, which want the same GPUs and the same port.
    pub others: Vec<String>,
    /// Those of them that stand before this one. Any order between two units makes the stop of one come before the start of
    /// the other, and both orders would be a circle.
    pub before: Vec<String>,
    pub image: String,
    pub uid: &'a str,
    pub gid: &'a str,
    /// CDI names of the GPUs.
    pub devices: Vec<String>,
    /// The models and further mounts, as podman takes them.
    pub volumes: Vec<String>,
    pub publish: String,
    /// Looks at a starting server before it counts as failed.
    pub startup_retries: u32,
    pub start_timeout_s: u32,
    pub stop_timeout_s: u32,
    pub restart: &'static str,
    /// Starts within the interval after which systemd gives up.
    pub starts: Option<(u32, u32)>,
    /// Whether the machine starts it when it boots.
    pub at_boot: bool,
}

impl<'a> Unit<'a> {
    /// The unit of one of the services of a directory, the first of which is the default.
    pub fn new(service: &'a Inlined, all: &[Inlined]) -> Self {
        let container = &service.container;
        let prefix = container.prefix();
        let (uid, gid) = container.user.split_once(':').unwrap_or((&container.user, "0"));
        let pull = if service.from_registry { PULL_S } else { 0 };
        let start_timeout_s = container.start_period_s + MARGIN_S + pull;
        let stop_timeout_s = container.stop_grace_period_s + MARGIN_S;
        let (restart, retries) = match container.restart.as_str() {
            "no" => ("no", None),
            "always" | "unless-stopped" => ("always", None),
            policy => ("on-failure", policy.rsplit_once(':').and_then(|(_, n)| n.parse().ok())),
        };
        let starts = retries.map(|retries: u32| {
            let starts = retries.saturating_add(1);
            // Long enough that none of them is forgotten before the last has failed.
            let one = start_timeout_s + stop_timeout_s + RESTART_S;
            (starts, one.saturating_mul(starts))
        });
        let unit = |other: &Inlined| format!("{prefix}-{}.service", other.name);
        let default = all.first().is_some_and(|first| first.name == service.name);
        Self {
            service,
            prefix,
            others: all.iter().filter(|other| other.name != service.name).map(unit).collect(),
            before: all.iter().take_while(|other| other.name != service.name).map(unit).collect(),
            image: if service.from_registry {
                service.image.clone()
            } else {
                format!("localhost/{}", service.image)
            },
            uid,
            gid,
            devices: devices(service),
            volumes: volumes(service),
            publish: format!(
                "{}:{port}:{port}",
                bracketed(&container.publish),
                port = service.port
            ),
            startup_retries: container.start_period_s.div_ceil(LOOK_S).max(1),
            start_timeout_s,
            stop_timeout_s,
            restart,
            starts,
            at_boot: default && restart == "always",
        }
    }
}

/// An IPv6 address needs brackets before a port.
fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

fn devices(service: &Inlined) -> Vec<String> {
    if service.cuda { service.container.cdi_names() } else { Vec::new() }
}

fn volumes(service: &Inlined) -> Vec<String> {
    let models = format!("{}:/models:ro", path(&service.container.models_dir));
    let more = service.mounts.iter().map(|mount| {
        let mode = if mount.read_only { ":ro" } else { "" };
        format!("{}:{}{mode}", path(&mount.host), mount.inside)
    });
    std::iter::once(models).chain(more).collect()
}

/// A path that Quadlet takes for one: without a slash or a dot in front it would be the name of a volume.
pub fn path(host: &str) -> String {
    if host.starts_with(['/', '.']) { host.to_owned() } else { format!("./{host}") }
}
