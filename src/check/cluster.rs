//! A model split over machines. llama.cpp's RPC workers take tensors and graphs from whoever connects: no key, no
//! encryption, and memory that is written where the other side says. So their port must never be open to strangers.

use std::net::IpAddr;

use super::Subject;
use crate::diagnostic::{Code, Diagnostic};
use crate::preset::target::Target;
use crate::preset::value;

pub(super) fn check(subject: &mut Subject<'_>, target: Target) {
    addresses(subject);
    if subject.preset.head.cluster.is_none() {
        return;
    }
    if subject.preset.placement.rpc.is_some() {
        subject.say(
            Code::PlacementConflict,
            &subject.preset.placement.rpc,
            "`rpc` names workers, and the cluster names its own",
            "take one of them out",
        );
    }
    if let Some(host) =
        subject.cluster.and_then(|cluster| cluster.without_memory(subject.is_cuda()))
    {
        let message =
            format!("`{host}` lends its processor, and nothing says how much memory it has");
        let help = "add `total_mib` to its `[host.ram]`, or to the hardware file that it names";
        subject.say(Code::MissingKey, &subject.preset.head.cluster, message, help);
    }
    let why = match target {
        Target::Compose => "Compose's networks end at one engine",
        Target::Quadlet => "Podman's networks end at one machine",
        Target::Swarm | Target::Kubernetes => return,
    };
    subject.say(
        Code::ExposedWorker,
        &subject.preset.head.cluster,
        format!("{why}, so that workers on other hosts would have to publish their ports"),
        "`target = \"swarm\"` or \"kubernetes\" gives them a private network over all hosts",
    );
}

/// An address that the whole Internet can reach.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let carrier = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || carrier)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

fn addresses(subject: &mut Subject<'_>) {
    let Some(set) = &subject.preset.placement.rpc else { return };
    let mut found = Vec::new();
    for (i, worker) in value(&subject.preset.placement.rpc).into_iter().flatten().enumerate() {
        let host = worker.rsplit_once(':').map_or(worker.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.parse().is_ok_and(is_public) {
            found.push(
                Diagnostic::new(
                    Code::ExposedWorker,
                    format!("`{worker}` is an address of the Internet, and a worker asks nobody who they are"),
                )
                .at(set.item(i))
                .help("reach it through a private network or a tunnel (WireGuard, `ssh -L`), and name that address"),
            );
        }
    }
    subject.extend(found);
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn private_networks_are_not_public() {
        for (address, public) in [
            ("10.0.0.2", false),
            ("192.168.1.9", false),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("100.64.0.7", false),
            ("127.0.0.1", false),
            ("203.0.113.5", true),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}
