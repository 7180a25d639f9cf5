//! The GPUs that llama-server sees, from `--list-devices`, held against those that were planned for.

use super::between;

/// `  CUDA0: NVIDIA GeForce RTX 4090 (24564 MiB, 23671 MiB free)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub name: String,
    pub description: String,
    pub total_mib: u64,
}

/// Reads the list; lines of other kinds are passed over.
pub fn read(lines: &[String]) -> Vec<Device> {
    let device = |line: &String| {
        let (name, rest) = line.trim().split_once(": ")?;
        let (description, memory) = rest.rsplit_once(" (")?;
        let total_mib = between(memory, "", " MiB")?.parse().ok()?;
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then(|| Device {
            name: name.to_owned(),
            description: description.to_owned(),
            total_mib,
        })
    };
    lines.iter().filter_map(device).collect()
}

/// The first planned GPU, given by name and MiB in device order, that is not where it was planned; as a sentence.
///
/// A name in a hardware file may be a short one, and memory differs by some MiB from driver to driver: a GPU is taken
/// for another only where both do not fit.
pub fn mismatch(found: &[Device], planned: &[(&str, u64)]) -> Option<String> {
    planned.iter().enumerate().find_map(|(at, (name, mib))| {
        let id = format!("CUDA{at}");
        let Some(device) = found.iter().find(|device| device.name == id) else {
            let count = found.iter().filter(|device| device.name.starts_with("CUDA")).count();
            return Some(format!(
                "{id} ({name}) was planned for, and llama-server sees {count} GPUs"
            ));
        };
        let close = device.total_mib.abs_diff(*mib) <= mib / 32;
        let (planned, seen) = (letters(name), letters(&device.description));
        let same = seen.contains(&planned) || planned.contains(&seen);
        (!close && !same).then(|| {
            format!(
                "{id} is a {} with {} MiB, and a {name} with {mib} MiB was planned for",
                device.description, device.total_mib
            )
        })
    })
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::{mismatch, read};

    /// The form is that of b11434; the cards are those of the presets.
    const LIST: &str = "\
ggml_cuda_init: found 2 CUDA devices (Total VRAM: 40867 MiB):
Available devices:
  CUDA0: NVIDIA GeForce RTX 4090 (24564 MiB, 23671 MiB free)
  CUDA1: NVIDIA GeForce RTX 5070 Ti (16303 MiB, 12761 MiB free)";

    #[test]
    fn planned_gpus_are_found_in_their_order() {
        let lines: Vec<String> = LIST.lines().map(str::to_owned).collect();
        let found = read(&lines);
        assert_eq!(found.len(), 2);
        let (first, second) = (("RTX 4090", 24564), ("GeForce RTX 5070 Ti", 16303));
        assert_eq!(mismatch(&found, &[first, second]), None);
        // A driver that keeps some memory to itself.
        assert_eq!(mismatch(&found, &[("Rtx-4090", 24217), second]), None);
        assert_eq!(
            mismatch(&found, &[second, first]).unwrap(),
            "CUDA0 is a NVIDIA GeForce RTX 4090 with 24564 MiB, and a GeForce RTX 5070 Ti with 16303 MiB was planned for"
        );
        let third = mismatch(&found, &[first, second, first]).unwrap();
        assert_eq!(third, "CUDA2 (RTX 4090) was planned for, and llama-server sees 2 GPUs");
        assert_eq!(read(&["Available devices:".to_owned(), "  (none)".to_owned()]), []);
    }
}
