//! Cards by name: memory, bandwidth and compute capability of common GPUs, so that a name is enough to plan for one.

use std::fmt;

use super::{ComputeCapability, Gpu};
use crate::units::Bytes;

/// The table; its head says where the figures come from.
const TABLE: &str = include_str!("gpus.tsv");

/// Words of a name that tell no card from another.
const NOISE: [&str; 13] = [
    "nvidia",
    "geforce",
    "quadro",
    "tesla",
    "rtx",
    "gtx",
    "graphics",
    "gpu",
    "generation",
    "edition",
    "workstation",
    "blackwell",
    "hbm3",
];

/// One card of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownGpu {
    pub name: &'static str,
    /// As the driver reports it.
    pub memory: Bytes,
    /// What llama.cpp finds on a card that does nothing else.
    pub free: Bytes,
    /// In GB/s (10^9 bytes).
    pub bandwidth_gbs: f64,
    pub compute_capability: ComputeCapability,
}

/// Why a name is no card of the table, and which ones may have been meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotKnown {
    pub name: String,
    /// Several if the name fits them all; else the most similar names.
    pub candidates: Vec<&'static str>,
    pub ambiguous: bool,
}

impl fmt::Display for NotKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, candidates, ambiguous } = self;
        let candidates = candidates.join("`, `");
        match (ambiguous, candidates.as_str()) {
            (true, _) => write!(f, "there are several `{name}`: `{candidates}`"),
            (false, "") => write!(f, "`{name}` is no GPU that is known here"),
            (false, _) => {
                write!(f, "`{name}` is no GPU that is known here; the nearest: `{candidates}`")
            }
        }
    }
}

impl std::error::Error for NotKnown {}

impl KnownGpu {
    /// The card as part of a machine.
    pub fn gpu(&self) -> Gpu {
        Gpu {
            name: self.name.to_owned(),
            memory: self.memory,
            free: self.free,
            compute_capability: self.compute_capability,
            bandwidth_gbs: Some(self.bandwidth_gbs),
            pci: None,
            uuid: None,
            remote: None,
        }
    }
}

/// All cards, oldest first.
pub fn all() -> impl Iterator<Item = KnownGpu> {
    rows().map(|(gpu, _)| gpu)
}

/// The card of that name, however it is written: `4090`, `RTX 4090`, `rtx-4090`, `NVIDIA GeForce RTX 4090`,
/// `RTX 3090 24GB`. Where a card came with several memory sizes the name must say which.
pub fn known(name: &str) -> Result<KnownGpu, NotKnown> {
    find(name, None)
}

/// The card of that name, told from others of the same name by the memory that the driver reports.
pub fn known_with_memory(name: &str, memory: Bytes) -> Option<KnownGpu> {
    find(name, Some(memory)).ok()
}

fn find(name: &str, memory: Option<Bytes>) -> Result<KnownGpu, NotKnown> {
    let wanted = words(name);
    if let Some((gpu, _)) = rows().find(|(_, names)| names.iter().any(|name| words(name) == wanted))
    {
        return Ok(gpu);
    }
    let said = size(&wanted).or(memory.map(gibibytes));
    let same = |name: &&str| without_size(&words(name)) == without_size(&wanted);
    let fits: Vec<KnownGpu> = rows()
        .filter(|(gpu, names)| names.iter().any(same) && said.is_none_or(|size| sold_as(gpu, size)))
        .map(|(gpu, _)| gpu)
        .collect();
    match fits.as_slice() {
        [] => Err(NotKnown { name: name.to_owned(), candidates: near(name), ambiguous: false }),
        [one] => Ok(*one),
        several => Err(NotKnown {
            name: name.to_owned(),
            candidates: several.iter().map(|gpu| gpu.name).collect(),
            ambiguous: true,
        }),
    }
}

/// The words of a name that matter, sorted: `RTX 4060 Ti 16 GB` is `16gb`, `4060`, `ti`.
fn words(name: &str) -> Vec<String> {
    let name = name.to_lowercase().replace("rtx", " rtx ").replace("gtx", " gtx ");
    let name = name.replace("(r)", " ").replace("(tm)", " ");
    let split = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<String> = Vec::new();
    for word in split {
        match words.last_mut() {
            Some(last) if word == "gb" && last.bytes().all(|digit| digit.is_ascii_digit()) => {
                last.push_str("gb");
            }
            _ => words.push(word.to_owned()),
        }
    }
    words.retain(|word| !NOISE.contains(&word.as_str()));
    words.sort_unstable();
    words
}

fn size(words: &[String]) -> Option<u64> {
    words.iter().find_map(|word| word.strip_suffix("gb")?.parse().ok())
}

fn without_size(words: &[String]) -> Vec<&String> {
    words.iter().filter(|word| size(std::slice::from_ref(*word)).is_none()).collect()
}

fn gibibytes(memory: Bytes) -> u64 {
    memory.0.div_ceil(1 << 30)
}

/// Whether a card of that many GB may be this one: with error correction an L4 of 24 GB shows 23034 MiB.
fn sold_as(gpu: &KnownGpu, size: u64) -> bool {
    let has = gibibytes(gpu.memory);
    has.abs_diff(size) <= (has / 15).max(1)
}

fn near(name: &str) -> Vec<&'static str> {
    let wanted = words(name).join(" ");
    let mut near: Vec<(f64, &str)> = all()
        .map(|gpu| (strsim::jaro_winkler(&wanted, &words(gpu.name).join(" ")), gpu.name))
        .filter(|(similarity, _)| *similarity > 0.8)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Each line with its names. A line that cannot be read is left out; a test reads them all.
fn rows() -> impl Iterator<Item = (KnownGpu, Vec<&'static str>)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.filter_map(|line| {
        let mut columns = line.split('\t');
        let names: Vec<&str> = columns.next()?.split(" | ").collect();
        let mut mib = || columns.next()?.parse().ok().map(Bytes::from_mib);
        let (memory, free) = (mib()?, mib()?);
        let bandwidth_gbs = columns.next()?.parse().ok()?;
        let compute_capability = columns.next()?.parse().ok()?;
        let name = names.first()?;
        Some((KnownGpu { name, memory, free, bandwidth_gbs, compute_capability }, names))
    })
}

#[cfg(test)]
mod tests {
    use super::{TABLE, all, known, known_with_memory, rows};
    use crate::units::Bytes;

    #[test]
    fn every_line_is_a_card_and_every_name_finds_it() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(all().count(), lines);
        for (gpu, names) in rows() {
            for name in names {
                assert_eq!(known(name).map(|found| found.name), Ok(gpu.name), "{name}");
                assert_eq!(known(&format!("NVIDIA {name}")), Ok(gpu), "{name}");
            }
            let lost = gpu.memory.mib() - gpu.free.mib();
            assert!((300.0..1200.0).contains(&lost), "{}: {lost} MiB not free", gpu.name);
            assert!((200.0..=8000.0).contains(&gpu.bandwidth_gbs), "{}", gpu.name);
        }
    }

    #[test]
    fn names_are_found_as_people_and_drivers_write_them() {
        let check = |name: &str, expected: &str| {
            assert_eq!(known(name).map(|gpu| gpu.name), Ok(expected), "{name}");
        };
        for name in [
            "4090",
            "rtx4090".trim_start_matches("rtx"),
            "RTX 4090",
            "rtx-4090",
            "GeForce RTX 4090",
        ] {
            check(name, "RTX 4090");
        }
        check("NVIDIA GeForce RTX 4090", "RTX 4090");
        check("RTX 3090 24GB", "RTX 3090");
        check("rtx 4060 ti 16 gb", "RTX 4060 Ti 16GB");
        check("NVIDIA H100 80GB HBM3", "H100 SXM");
        check("NVIDIA A100-SXM4-40GB", "A100 40GB");
        check("NVIDIA A100 80GB PCIe", "A100 80GB PCIe");
        check("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada");
        check("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000");
        check("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000 Server");
        check("Tesla P40", "Tesla P40");
        check("NVIDIA TITAN RTX", "TITAN RTX");
        check("L4 24GB", "L4");
        check("A100 80GB SXM", "A100 80GB SXM");
    }

    #[test]
    fn what_is_unclear_is_asked_back() {
        let unclear = known("NVIDIA GeForce RTX 4060 Ti").unwrap_err();
        assert!(unclear.ambiguous);
        assert_eq!(unclear.candidates, ["RTX 4060 Ti 8GB", "RTX 4060 Ti 16GB"]);
        let gib = |mib| known_with_memory("NVIDIA GeForce RTX 4060 Ti", Bytes::from_mib(mib));
        assert_eq!(gib(16380).unwrap().name, "RTX 4060 Ti 16GB");
        assert_eq!(gib(8188).unwrap().name, "RTX 4060 Ti 8GB");

        let wrong = known("RTX 4091").unwrap_err();
        assert!(!wrong.ambiguous && wrong.candidates.contains(&"RTX 4090"), "{wrong}");
        assert!(known("RTX 3090 48GB").is_err(), "a card of another size is another card");
        assert!(
            known("NVIDIA GeForce RTX 4090 Laptop GPU").is_err(),
            "a laptop's card is another card"
        );
        assert!(known("RX 7900 XTX").is_err());
        assert!(known("").is_err());
    }
}
