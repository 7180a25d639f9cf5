//! What a source says about one GPU, and what we make of it. Pure.

use crate::hardware::{ComputeCapability, Gpu, known};
use crate::units::Bytes;

/// What a CUDA context takes before llama.cpp asks what is free, MiB: measured on an H100 with driver 580 (527). Smaller
/// cards lose less, so that nothing is promised that is not there.
const CONTEXT_MIB: u64 = 530;

/// What one source says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub gpus: Vec<Sighting>,
    pub driver: Option<String>,
    pub notes: Vec<String>,
}

/// One GPU as a source describes it; what it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sighting {
    pub name: String,
    pub uuid: Option<String>,
    pub pci: Option<String>,
    pub memory: Option<Bytes>,
    /// Before there is a CUDA context.
    pub free: Option<Bytes>,
    pub compute_capability: Option<ComputeCapability>,
    /// In GB/s, from clock and bus width.
    pub bandwidth_gbs: Option<f64>,
    /// Whether the card is cut into instances (MIG), of which CUDA sees one instead of the card.
    pub cut: bool,
}

/// Fills in what is known about the card by name. A GPU without memory or compute capability is left out with a note.
pub fn settle(seen: &[Sighting], notes: &mut Vec<String>) -> Vec<Gpu> {
    seen.iter().filter_map(|gpu| one(gpu, notes)).collect()
}

fn one(gpu: &Sighting, notes: &mut Vec<String>) -> Option<Gpu> {
    let name = gpu.name.trim();
    if gpu.cut {
        notes.push(format!(
            "{name} is cut into instances (MIG): its figures are those of the whole card, CUDA sees one instance"
        ));
    }
    let Some(memory) = gpu.memory.filter(|memory| *memory > Bytes::ZERO) else {
        notes.push(format!(
            "{name} does not say how much memory it has (it may share the system's): left out, describe it by hand"
        ));
        return None;
    };
    let table = known::known_with_memory(name, memory);
    let capability = gpu.compute_capability.or(table.map(|known| known.compute_capability));
    let Some(compute_capability) = capability else {
        notes.push(format!(
            "the compute capability of {name} is not known: left out, describe it by hand"
        ));
        return None;
    };
    let context = Bytes::from_mib(CONTEXT_MIB);
    let free = gpu.free.unwrap_or(memory).min(memory).saturating_sub(context);
    let bandwidth_gbs = table.map(|known| known.bandwidth_gbs).or(gpu.bandwidth_gbs);
    if bandwidth_gbs.is_none() {
        notes.push(format!(
            "the memory bandwidth of {name} is not known: add `bandwidth_gbs` for predictions of speed"
        ));
    }
    Some(Gpu {
        name: name.to_owned(),
        memory,
        free,
        compute_capability,
        bandwidth_gbs,
        pci: gpu.pci.as_deref().map(bus_id),
        uuid: gpu.uuid.clone(),
        remote: None,
    })
}

/// `00000000:01:00.0`, as drivers write it, is `0000:01:00.0` everywhere else.
fn bus_id(pci: &str) -> String {
    let pci = pci.to_lowercase();
    match pci.split_once(':') {
        Some((domain, rest)) if domain.len() == 8 => match domain.strip_prefix("0000") {
            Some(short) => format!("{short}:{rest}"),
            None => pci,
        },
        _ => pci,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sighting, bus_id, settle};
    use crate::units::Bytes;

    fn sighting(name: &str) -> Sighting {
        Sighting {
            name: name.to_owned(),
            memory: Some(Bytes::from_mib(24564)),
            free: Some(Bytes::from_mib(24100)),
            ..Sighting::default()
        }
    }

    #[test]
    fn the_table_fills_in_what_the_driver_does_not_say() {
        let mut notes = Vec::new();
        let gpus = settle(&[sighting("NVIDIA GeForce RTX 4090")], &mut notes);
        assert_eq!(gpus[0].compute_capability.to_string(), "8.9");
        assert_eq!(gpus[0].bandwidth_gbs, Some(1008.0));
        assert_eq!(gpus[0].free, Bytes::from_mib(24100 - 530));
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn what_cannot_be_planned_for_is_left_out_with_a_note() {
        let mut notes = Vec::new();
        let shared = Sighting { memory: None, ..sighting("NVIDIA GB10") };
        let strange = sighting("NVIDIA Something New");
        assert!(settle(&[shared, strange], &mut notes).is_empty());
        assert!(
            notes[0].contains("memory") && notes[1].contains("compute capability"),
            "{notes:?}"
        );

        let cut = Sighting { cut: true, ..sighting("NVIDIA A100-SXM4-80GB") };
        notes.clear();
        assert_eq!(settle(&[cut], &mut notes).len(), 1);
        assert!(notes[0].contains("MIG"), "{notes:?}");
    }

    #[test]
    fn a_new_card_keeps_the_bandwidth_that_its_clocks_give() {
        let mut notes = Vec::new();
        let new = Sighting {
            compute_capability: "13.0".parse().ok(),
            bandwidth_gbs: Some(2000.0),
            ..sighting("NVIDIA GeForce RTX 6090")
        };
        assert_eq!(settle(&[new], &mut notes)[0].bandwidth_gbs, Some(2000.0));
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn bus_ids_are_written_as_elsewhere() {
        assert_eq!(bus_id("00000000:0A:00.0"), "0000:0a:00.0");
        assert_eq!(bus_id("0000:01:00.0"), "0000:01:00.0");
        assert_eq!(bus_id("00010000:01:00.0"), "00010000:01:00.0");
    }
}
