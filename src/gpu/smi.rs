//! `nvidia-smi --query-gpu=... --format=csv`: the second source, for WSL and for machines without the library.

use std::process::Command;

use super::Silence;
use super::sighting::{Seen, Sighting};
use crate::units::Bytes;

/// Newest first: a field that a driver does not know makes the whole query fail.
const QUERIES: [&str; 3] = [
    "index,name,uuid,pci.bus_id,memory.total,memory.free,compute_cap,driver_version,mig.mode.current",
    "index,name,uuid,pci.bus_id,memory.total,memory.free,compute_cap,driver_version",
    "index,name,uuid,pci.bus_id,memory.total,memory.free,driver_version",
];

/// On the path, and where WSL keeps it.
const PROGRAMS: [&str; 2] = ["nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"];

/// Why its output is not a table of GPUs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmiError {
    #[error("nvidia-smi printed no table: {0:?}")]
    NoTable(String),
    #[error("nvidia-smi printed a line that is no GPU: {0:?}")]
    Line(String),
}

/// Runs it and reads what it prints.
pub(super) fn ask() -> Result<Seen, Silence> {
    let mut last = Silence::Absent("nvidia-smi was not found".to_owned());
    for program in PROGRAMS {
        for query in QUERIES {
            let run = Command::new(program)
                .arg(format!("--query-gpu={query}"))
                .arg("--format=csv")
                .output();
            let Ok(run) = run else { break };
            let said = String::from_utf8_lossy(&run.stdout);
            if run.status.success() {
                return parse(&said).map_err(|error| Silence::Failed(error.to_string()));
            }
            let both = format!("{said}{}", String::from_utf8_lossy(&run.stderr));
            last = silence(both.trim());
        }
    }
    Err(last)
}

fn silence(said: &str) -> Silence {
    let text = format!("nvidia-smi says: {}", said.lines().next().unwrap_or("nothing"));
    if said.contains("No devices were found") {
        Silence::Absent(text)
    } else {
        Silence::Failed(text)
    }
}

/// Reads the table, whichever columns it has and with or without units. Pure.
///
/// Names with commas are put together again; `[N/A]`, `[Not Supported]` and the like are absent values.
pub fn parse(text: &str) -> Result<Seen, SmiError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let no_table = || SmiError::NoTable(text.lines().next().unwrap_or_default().to_owned());
    // `memory.total [MiB]` is the column `memory.total`.
    let plain = |column: &str| column.split(" [").next().unwrap_or(column).trim().to_owned();
    let head: Vec<String> =
        lines.next().ok_or_else(no_table)?.split(',').map(|c| plain(c.trim())).collect();
    let name_at = head.iter().position(|column| column == "name").ok_or_else(no_table)?;
    let mut seen = Seen::default();
    for line in lines {
        let cells =
            cells(line, head.len(), name_at).ok_or_else(|| SmiError::Line(line.to_owned()))?;
        let cell = |wanted: &str| {
            let at = head.iter().position(|column| column == wanted)?;
            cells.get(at).filter(|cell| !is_absent(cell)).cloned()
        };
        let mib = |wanted: &str| {
            let cell = cell(wanted)?;
            let number = cell.strip_suffix("MiB").unwrap_or(&cell).trim();
            number.parse::<u64>().ok().filter(|mib| *mib < 1 << 30).map(Bytes::from_mib)
        };
        let name = cell("name").ok_or_else(|| SmiError::Line(line.to_owned()))?;
        seen.driver = seen.driver.or(cell("driver_version"));
        seen.gpus.push(Sighting {
            name,
            uuid: cell("uuid"),
            pci: cell("pci.bus_id"),
            memory: mib("memory.total"),
            free: mib("memory.free"),
            compute_capability: cell("compute_cap").and_then(|cell| cell.parse().ok()),
            bandwidth_gbs: None,
            cut: cell("mig.mode.current").is_some_and(|mode| mode == "Enabled"),
        });
    }
    Ok(seen)
}

/// As many cells as there are columns; what is too much belongs to the name.
fn cells(line: &str, columns: usize, name_at: usize) -> Option<Vec<String>> {
    let parts: Vec<&str> = line.split(',').map(str::trim).collect();
    let surplus = parts.len().checked_sub(columns)?;
    let mut cells: Vec<String> = Vec::with_capacity(columns);
    for (at, part) in parts.into_iter().enumerate() {
        match cells.last_mut() {
            Some(name) if at > name_at && at <= name_at + surplus => {
                name.push_str(", ");
                name.push_str(part);
            }
            _ => cells.push(part.to_owned()),
        }
    }
    Some(cells)
}

fn is_absent(cell: &str) -> bool {
    let inner = cell.trim_start_matches('[').trim_end_matches(']');
    inner.is_empty()
        || ["N/A", "Not Supported", "Not Found", "Unknown Error", "Insufficient Permissions"]
            .iter()
            .any(|word| inner.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::{Silence, SmiError, parse, silence};
    use crate::units::Bytes;

    /// As driver 580 printed it on an H100.
    const H100: &str = "\
index, name, uuid, pci.bus_id, memory.total [MiB], memory.free [MiB], memory.used [MiB], memory.reserved [MiB], compute_cap, driver_version, clocks.max.memory [MHz]
0, NVIDIA H100 80GB HBM3, GPU-7ad2f547-add0-3620-4609-5a5ac8bf6f89, 00000000:00:06.0, 81559 MiB, 81079 MiB, 0 MiB, 480 MiB, 9.0, 580.159.04, 2619 MHz
";

    #[test]
    fn real_output_is_read() {
        let seen = parse(H100).unwrap();
        assert_eq!(seen.driver.as_deref(), Some("580.159.04"));
        let [gpu] = &seen.gpus[..] else { panic!("{seen:?}") };
        assert_eq!(gpu.name, "NVIDIA H100 80GB HBM3");
        assert_eq!(gpu.uuid.as_deref(), Some("GPU-7ad2f547-add0-3620-4609-5a5ac8bf6f89"));
        assert_eq!(gpu.memory, Some(Bytes::from_mib(81559)));
        assert_eq!(gpu.free, Some(Bytes::from_mib(81079)));
        assert_eq!(gpu.compute_capability.unwrap().to_string(), "9.0");
        assert!(!gpu.cut);
    }

    #[test]
    fn quirks_are_read_as_they_are_meant() {
        let text = "\
index, name, memory.total [MiB], memory.free [MiB], compute_cap, mig.mode.current
0, NVIDIA RTX A4000, Founders, Edition, 16376, 15900, 8.6, [N/A]
1, NVIDIA GB10, [N/A], [N/A], 12.1, [N/A]
2, NVIDIA A100-SXM4-40GB, 40960 MiB, [Insufficient Permissions], [Not Supported], Enabled

";
        let seen = parse(text).unwrap();
        let names: Vec<&str> = seen.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
        let expected =
            ["NVIDIA RTX A4000, Founders, Edition", "NVIDIA GB10", "NVIDIA A100-SXM4-40GB"];
        assert_eq!(names, expected);
        assert_eq!(seen.gpus[0].free, Some(Bytes::from_mib(15900)), "units may be missing");
        assert_eq!(seen.gpus[1].memory, None);
        assert_eq!((seen.gpus[2].free, seen.gpus[2].compute_capability), (None, None));
        assert!(seen.gpus[2].cut && !seen.gpus[0].cut);
        assert_eq!(seen.driver, None);
        assert_eq!(parse("index, name\r\n0, NVIDIA T4\r\n").unwrap().gpus[0].name, "NVIDIA T4");
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        let broken =
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n";
        assert!(matches!(parse(broken), Err(SmiError::NoTable(_))));
        assert!(matches!(parse(""), Err(SmiError::NoTable(_))));
        let short = parse("index, name, uuid\n0, NVIDIA T4\n");
        assert_eq!(short, Err(SmiError::Line("0, NVIDIA T4".into())));
        assert!(matches!(silence("No devices were found"), Silence::Absent(_)));
        assert!(matches!(silence(broken), Silence::Failed(_)));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_table_or_an_error(text in "(name|index|memory.total|,|\\[|\\]|MiB|[0-9]|\n| ){0,60}") {
            let _ = parse(&text);
        }
    }
}
