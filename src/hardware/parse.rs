//! From a hardware file to a [`Host`].

use toml::de::DeTable;

use super::{ComputeCapability, Cpu, Gpu, Host, Isa, Ram, Speed};
use crate::diagnostic::{Code, Diagnostic, FileId, Location};
use crate::table::{Field, Number, Reader, Table, document, table};
use crate::units::Bytes;

/// CUDA keeps this much of a card for itself before a program asks; used where the free memory is not given.
const UNAVAILABLE_MIB: u64 = 500;

table! {
    /// The machine.
    pub struct Head {
        /// What to call the machine.
        name: String;
        /// Version of the NVIDIA driver, as `nvidia-smi` prints it.
        driver: String;
    }
}

table! {
    /// One GPU. Their order is the order of devices: the first is CUDA0.
    pub struct GpuTable {
        /// The card's name.
        name: String;
        /// Total memory in MiB, as `nvidia-smi` prints it.
        memory_mib: i64, 256 ..= 16_777_216;
        /// Memory that is free before anything is loaded, MiB.
        free_mib: i64, 0 ..= 16_777_216;
        /// CUDA compute capability, `8.9`.
        compute_capability: String;
        /// Memory bandwidth in GB/s.
        bandwidth_gbs: Number, 1.0 ..= 100_000.0;
        /// PCI bus id.
        pci: String;
        /// `GPU-` and the UUID, as `nvidia-smi -L` prints it.
        uuid: String;
    }
}

table! {
    /// The processor.
    pub struct CpuTable {
        /// The processor's name.
        name: String;
        /// Physical cores.
        cores: i64, 1 ..= 4096;
        /// Threads.
        threads: i64, 1 ..= 8192;
        /// Instruction set to compile for; without it all variants are compiled.
        isa: Isa;
    }
}

table! {
    /// System memory.
    pub struct RamTable {
        /// Total in MiB.
        total_mib: i64, 256 ..= 67_108_864;
        /// Bandwidth in GB/s.
        bandwidth_gbs: Number, 1.0 ..= 100_000.0;
    }
}

table! {
    /// How fast the machine was found to be, beside its bandwidths: written by `composegen calibrate`.
    pub struct SpeedTable {
        /// The share of a GPU's bandwidth that a token's reads reach.
        gpu_efficiency: Number, 0.01 ..= 2.0;
        /// The same for system memory.
        cpu_efficiency: Number, 0.01 ..= 2.0;
        /// One block's kernels on a GPU, microseconds.
        block_us: Number, 0.0 ..= 1_000_000.0;
        /// The same of a block that keeps a state instead of a cache.
        recurrent_us: Number, 0.0 ..= 1_000_000.0;
        /// One block's experts on the CPU: the way there and back, microseconds.
        visit_us: Number, 0.0 ..= 1_000_000.0;
        /// The relative error that is to be expected, 0.1 for 10 %.
        error: Number, 0.0 ..= 100.0;
    }
}

/// Reads a hardware file. `None` where a finding makes the description unusable.
pub fn parse(
    file: FileId,
    fallback_name: &str,
    text: &str,
    findings: &mut Vec<Diagnostic>,
) -> Option<Host> {
    let before = findings.len();
    let root = document(file, text, findings);
    let root = root.get_ref();
    let mut reader = Reader { file, findings, stray: |_| None };
    let known = Head::KEYS.iter().map(|key| key.name);
    reader.unknown(root, "", &known.chain(PARTS));
    let head = Head::read(&mut reader, root);
    let host = parts(&mut reader, root, fallback_name);
    (findings.len() == before).then(|| Host {
        name: take(head.name).unwrap_or(host.name),
        driver: take(head.driver),
        ..host
    })
}

/// The tables of a machine's parts.
pub const PARTS: [&str; 4] = ["gpu", "cpu", "ram", "speed"];

/// A machine's parts, in whatever table they stand. What is wrong with them are findings.
pub fn parts(reader: &mut Reader<'_>, table: &DeTable<'_>, name: &str) -> Host {
    let cpu: CpuTable = reader.table(table, "cpu");
    let ram: RamTable = reader.table(table, "ram");
    let entries = reader.entries(table, "gpu");
    let read = |entry: &&DeTable<'_>| {
        reader.unknown(entry, "gpu", &GpuTable::KEYS.iter().map(|key| key.name));
        GpuTable::read(reader, entry)
    };
    let gpus: Vec<GpuTable> = entries.iter().map(read).collect();
    let speed = speed(reader, table);
    let (file, findings) = (reader.file, &mut *reader.findings);
    let gpus = gpus.into_iter().zip(entries).enumerate();
    let gpus = gpus.filter_map(|(i, (gpu, table))| settle(i, gpu, table, file, findings));
    Host {
        name: name.to_owned(),
        driver: None,
        gpus: gpus.collect(),
        cpu: Cpu {
            name: take(cpu.name),
            cores: take(cpu.cores).and_then(|n| u32::try_from(n).ok()),
            threads: take(cpu.threads).and_then(|n| u32::try_from(n).ok()),
            isa: take(cpu.isa),
        },
        ram: Ram {
            total: take(ram.total_mib).map(mib),
            bandwidth_gbs: take(ram.bandwidth_gbs).map(|n| n.value),
        },
        speed,
    }
}

/// All of it or nothing: some of the constants would not go with those that ship.
fn speed(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Speed> {
    let (at, _) = table.get_key_value("speed")?;
    let at = Location::new(reader.file, &at.span());
    let found: SpeedTable = reader.table(table, "speed");
    let given = table.get("speed").and_then(|speed| speed.get_ref().as_table());
    let mut number = |key: &str, field: Field<Number>| {
        if field.is_none() && given.is_some_and(|given| given.get(key).is_none()) {
            reader.findings.push(
                Diagnostic::new(Code::MissingKey, format!("`[speed]` has no `{key}`"))
                    .at(at.clone())
                    .help("`composegen calibrate` writes all of its keys; without the table the shipped constants count"),
            );
        }
        take(field).map(|number| number.value)
    };
    let (gpu, cpu) = (
        number("gpu_efficiency", found.gpu_efficiency),
        number("cpu_efficiency", found.cpu_efficiency),
    );
    let (block, recurrent) =
        (number("block_us", found.block_us), number("recurrent_us", found.recurrent_us));
    let (visit, error) = (number("visit_us", found.visit_us), number("error", found.error));
    Some(Speed {
        gpu_efficiency: gpu?,
        cpu_efficiency: cpu?,
        block_us: block?,
        recurrent_us: recurrent?,
        visit_us: visit?,
        error: error?,
    })
}

fn settle(
    index: usize,
    gpu: GpuTable,
    table: &DeTable<'_>,
    file: FileId,
    findings: &mut Vec<Diagnostic>,
) -> Option<Gpu> {
    let place = gpu.name.as_ref().map_or(Location::new(file, &(0..0)), |set| set.at.clone());
    let mut missing = |key: &str| {
        findings.push(
            Diagnostic::new(Code::MissingKey, format!("GPU {index} has no `{key}`"))
                .at(place.clone())
                .help(format!("add `{key} = ...` below its `[[gpu]]`")),
        );
    };
    // One that is there and cannot be read was said to be wrong.
    if table.get("memory_mib").is_none() {
        missing("memory_mib");
    }
    if table.get("compute_capability").is_none() {
        missing("compute_capability");
    }
    let capability = gpu.compute_capability?;
    let compute_capability = match capability.value.parse::<ComputeCapability>() {
        Ok(parsed) => parsed,
        Err(message) => {
            findings.push(Diagnostic::new(Code::WrongType, message).at(capability.at));
            return None;
        }
    };
    let memory = mib(gpu.memory_mib?.value);
    let free = match gpu.free_mib {
        Some(free) if mib(free.value) > memory => {
            findings.push(
                Diagnostic::new(Code::OutOfRange, format!("GPU {index} has more free than it has"))
                    .at(free.at)
                    .help("`free_mib` is what is left of `memory_mib` before a model is loaded"),
            );
            return None;
        }
        Some(free) => mib(free.value),
        None => memory.saturating_sub(Bytes::from_mib(UNAVAILABLE_MIB)),
    };
    Some(Gpu {
        name: take(gpu.name).unwrap_or_else(|| format!("GPU {index}")),
        memory,
        free,
        compute_capability,
        bandwidth_gbs: take(gpu.bandwidth_gbs).map(|n| n.value),
        pci: take(gpu.pci),
        uuid: take(gpu.uuid),
        remote: None,
    })
}

fn mib(value: i64) -> Bytes {
    Bytes::from_mib(u64::try_from(value).unwrap_or(0))
}

fn take<T>(field: Field<T>) -> Option<T> {
    field.map(|set| set.value)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::diagnostic::{Code, FileId};

    /// What is there and wrong is not missing as well.
    #[test]
    fn one_fault_is_said_once() {
        let gpu = "[[gpu]]\nmemory_mib = 24564\ncompute_capability = \"8.9\"\n";
        let speed = "[speed]\ngpu_efficiency = 1\ncpu_efficiency = 1\nblock_us = 1\nrecurrent_us = 1\n\
                     visit_us = 1\nerror = 0.1\n";
        let whole = format!("{gpu}{speed}");
        for (from, to, code) in [
            ("24564", "0", Code::OutOfRange),
            ("\"8.9\"", "8.9", Code::WrongType),
            ("visit_us = 1", "visit_us = -1", Code::OutOfRange),
            ("memory_mib = 24564\n", "", Code::MissingKey),
            ("visit_us = 1\n", "", Code::MissingKey),
            ("[[gpu]]", "[gpu]", Code::WrongType),
        ] {
            let mut findings = Vec::new();
            let text = whole.replace(from, to);
            assert!(parse(FileId(0), "x", &text, &mut findings).is_none());
            let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, [code], "{text}\n{findings:?}");
        }
    }
}
