//! Processor and memory, from the texts of `/proc/cpuinfo` and `/proc/meminfo`.

use std::collections::BTreeSet;

use crate::hardware::{Cpu, Isa, Ram};
use crate::units::Bytes;

/// What each level asks of the processor beyond the one below it, as Linux spells it (the psABI's list).
const V2: [&str; 6] = ["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"];
const V3: [&str; 9] = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"];
const V4: [&str; 5] = ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];

/// This machine's; what cannot be read is absent.
pub(super) fn read() -> (Cpu, Ram) {
    let text = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
    (cpu(&text("/proc/cpuinfo")), ram(&text("/proc/meminfo")))
}

/// Reads `/proc/cpuinfo`.
pub fn cpu(text: &str) -> Cpu {
    let mut cpu = Cpu::default();
    let mut cores = BTreeSet::new();
    let mut socket = "";
    let mut threads = 0u32;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    for (key, value) in fields.map(|(key, value)| (key.trim(), value.trim())) {
        match key {
            "processor" => threads = threads.saturating_add(1),
            "model name" if cpu.name.is_none() => cpu.name = Some(value.to_owned()),
            "physical id" => socket = value,
            "core id" => {
                cores.insert((socket, value));
            }
            "flags" if cpu.isa.is_none() => cpu.isa = isa(value),
            _ => {}
        }
    }
    cpu.threads = (threads > 0).then_some(threads);
    cpu.cores = u32::try_from(cores.len()).ok().filter(|cores| *cores > 0);
    cpu
}

fn isa(flags: &str) -> Option<Isa> {
    let flags: BTreeSet<&str> = flags.split_whitespace().collect();
    let all = |wanted: &[&str]| wanted.iter().all(|flag| flags.contains(flag));
    match (all(&V2), all(&V3), all(&V4)) {
        (true, true, true) => Some(Isa::V4),
        (true, true, false) => Some(Isa::V3),
        (true, false, _) => Some(Isa::V2),
        (false, ..) => None,
    }
}

/// Reads `/proc/meminfo`. Its bandwidth is not in there.
pub fn ram(text: &str) -> Ram {
    let kib = text.lines().find_map(|line| {
        let value = line.strip_prefix("MemTotal:")?.trim();
        value.strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    Ram { total: kib.and_then(|kib| kib.checked_mul(1024)).map(Bytes), bandwidth_gbs: None }
}

#[cfg(test)]
mod tests {
    use super::{cpu, ram};
    use crate::hardware::Isa;
    use crate::units::Bytes;

    /// Two sockets of two cores with two threads each would be eight; here one socket, as Linux prints it.
    fn cpuinfo(flags: &str) -> String {
        let thread = |number: u32, core: u32| {
            format!(
                "processor\t: {number}\nmodel name\t: AMD Ryzen 7 5800X 8-Core Processor\nphysical id\t: 0\n\
                 siblings\t: 4\ncore id\t\t: {core}\ncpu cores\t: 2\nflags\t\t: fpu {flags}\n\n"
            )
        };
        [(0, 0), (1, 1), (2, 0), (3, 1)].map(|(number, core)| thread(number, core)).concat()
    }

    const ZEN3: &str =
        "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave";

    #[test]
    fn cores_and_threads_are_told_apart() {
        let cpu = cpu(&cpuinfo(ZEN3));
        assert_eq!(cpu.name.as_deref(), Some("AMD Ryzen 7 5800X 8-Core Processor"));
        assert_eq!((cpu.cores, cpu.threads), (Some(2), Some(4)));
        assert_eq!(cpu.isa, Some(Isa::V3));
    }

    #[test]
    fn sockets_have_cores_of_the_same_numbers() {
        let second = cpuinfo(ZEN3).replace("physical id\t: 0", "physical id\t: 1");
        assert_eq!(cpu(&(cpuinfo(ZEN3) + &second)).cores, Some(4));
    }

    #[test]
    fn levels_need_all_of_their_flags() {
        let isa = |flags: &str| cpu(&cpuinfo(flags)).isa;
        assert_eq!(
            isa(&format!("{ZEN3} avx512f avx512bw avx512cd avx512dq avx512vl")),
            Some(Isa::V4)
        );
        assert_eq!(isa(&format!("{ZEN3} avx512f")), Some(Isa::V3));
        assert_eq!(isa(&ZEN3.replace(" bmi2", "")), Some(Isa::V2));
        assert_eq!(isa("sse2"), None);
    }

    #[test]
    fn what_is_not_said_is_absent() {
        let arm = cpu("processor\t: 0\nFeatures\t: fp asimd\n\nprocessor\t: 1\n");
        assert_eq!((arm.cores, arm.threads, arm.isa), (None, Some(2), None));
        assert_eq!(cpu(""), crate::hardware::Cpu::default());
        let text = "MemTotal:       131981020 kB\nMemFree:        130721920 kB\n";
        assert_eq!(ram(text).total, Some(Bytes(131_981_020 * 1024)));
        assert_eq!(ram("MemTotal: many kB").total, None);
    }
}
