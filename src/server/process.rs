//! The process of a server on this machine: which one listens at a port, and the most memory it has had.

use std::collections::BTreeSet;
use std::path::Path;

use crate::units::Bytes;

/// The most memory that the llama-server at this port of this machine has had resident since its start. `None` where
/// another program listens there, as Docker's proxy does for a container, or where its process is not ours to look at.
pub fn peak_at(port: u16) -> Option<Bytes> {
    let text = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| listening(&text(path), port));
    let sockets: BTreeSet<String> =
        sockets.into_iter().flatten().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs_err::read_dir("/proc").ok()?;
    let holds = |process: &Path| {
        let open = fs_err::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let mut targets = open.filter_map(|fd| fs_err::read_link(fd.path()).ok());
        targets.any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
    };
    let of = |process: &Path| {
        let status = fs_err::read_to_string(process.join("status")).ok()?;
        peak(&status).filter(|_| holds(process))
    };
    processes.flatten().find_map(|process| of(&process.path()))
}

/// The inodes of the sockets that listen at a port, from the text of `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let end = format!(":{port:04X}");
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let here = fields.get(1).is_some_and(|local| local.ends_with(&end));
        let listens = fields.get(3) == Some(&LISTEN);
        fields.get(9).filter(|_| here && listens).map(|inode| (*inode).to_owned())
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// The most memory that llama-server has had resident, from its `/proc/PID/status`, or from those of several processes
/// after each other: its own memory, and what it has mapped of the model's file, whoever read that into the page cache.
pub fn peak(status: &str) -> Option<Bytes> {
    let mut found = false;
    for line in status.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name {
            "Name" => found = value.trim() == "llama-server",
            "VmHWM" if found => {
                let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
                return Some(Bytes(kib * 1024));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{listening, peak, peak_at};
    use crate::units::Bytes;

    /// As a container with the CPU image has it.
    const STATUS: &str = "Name:\tdocker-init\nVmHWM:\t     692 kB\nName:\tllama-server\nUmask:\t0022\n\
        VmHWM:\t  222996 kB\nVmRSS:\t  222000 kB\nName:\tgrep\nVmHWM:\t    1680 kB\n";

    #[test]
    fn the_server_among_its_processes() {
        assert_eq!(peak(STATUS), Some(Bytes(222_996 * 1024)));
        assert_eq!(peak("Name:\tpython3\nVmHWM:\t  9 kB\n"), None);
        assert_eq!(peak(""), None);
    }

    #[test]
    fn who_listens() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 20 4 30 10 -1\n\
            2: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0 100 0 0 10 0\n";
        assert_eq!(listening(table, 8080), ["4242"]);
        assert_eq!(listening(table, 22), ["4244"]);
        assert!(listening(table, 1).is_empty());
    }

    #[test]
    fn another_program_is_no_server() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert_eq!(peak_at(listener.local_addr().unwrap().port()), None);
    }
}
