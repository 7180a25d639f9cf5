//! Whether a port is free, asked before anything is started.

use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};

use super::container::Found;

/// The container that has published the port, but for those that will be replaced.
pub fn publisher<'a>(port: u16, all: &'a [Found], ours: &[Found]) -> Option<&'a Found> {
    all.iter()
        .find(|found| found.ports.contains(&port) && !ours.iter().any(|own| own.id == found.id))
}

/// Whether somebody on this machine listens there. What cannot be told counts as free: the engine has the last word.
pub fn taken(address: &str, port: u16) -> bool {
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    match TcpListener::bind((address, port)) {
        Err(error) => error.kind() == ErrorKind::AddrInUse,
        Ok(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::taken;

    #[test]
    fn a_listener_takes_its_port() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(taken("127.0.0.1", port));
        drop(listener);
        assert!(!taken("127.0.0.1", port));
        assert!(!taken("192.0.2.1", port), "an address that is not here is the engine's to judge");
    }
}
