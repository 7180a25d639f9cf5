//! From a [`Host`] to a hardware file: what [`super::parse`] reads, with comments for the person who opens it.

use toml_edit::Value;

use super::{Gpu, Host, Speed, known, short_name};

/// What a person writes for a card of their own.
const TEMPLATE: &str = "\
# One block for each GPU, in device order; the figures of common cards: `composegen hardware list`.
# [[gpu]]
# name = \"RTX 4090\"
# memory_mib = 24564 # as nvidia-smi prints it
# free_mib = 23600 # what is left before a model is loaded
# compute_capability = \"8.9\"
# bandwidth_gbs = 1008
";

const BANDWIDTH: &str = "\
# Channels x MT/s x 8 / 1000: two channels of DDR4-3200 have 51, of DDR5-6000 96. Predictions of speed need it.
# bandwidth_gbs = 50
";

/// What a file says about where its figures come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// The first comment, line by line.
    pub head: Vec<String>,
    /// Of the bandwidth of system memory.
    pub ram: Option<String>,
}

/// The file; `schema` where editors find the schema beside it.
pub fn text(host: &Host, remarks: &Remarks, schema: bool) -> String {
    let mut blocks = vec![head(host, &remarks.head, schema)];
    if host.gpus.is_empty() {
        blocks.push(TEMPLATE.to_owned());
    }
    blocks.extend(host.gpus.iter().map(gpu));
    let cpu = &host.cpu;
    let lines = [
        cpu.name.as_ref().map(|name| line("name", name.as_str())),
        cpu.cores.map(|cores| line("cores", i64::from(cores))),
        cpu.threads.map(|threads| line("threads", i64::from(threads))),
        cpu.isa.map(|isa| line("isa", isa.to_string())),
    ];
    blocks.extend(table("[cpu]\n", &lines, ""));
    let ram = &host.ram;
    let lines = [
        ram.total.map(|total| line("total_mib", mib(total.0))),
        ram.bandwidth_gbs.and(remarks.ram.as_deref()).map(comment),
        ram.bandwidth_gbs.map(|gbs| number("bandwidth_gbs", gbs)),
    ];
    let unknown = if ram.bandwidth_gbs.is_none() { BANDWIDTH } else { "" };
    blocks.extend(table("[ram]\n", &lines, unknown));
    blocks.extend(host.speed.as_ref().map(speed));
    blocks.join("\n")
}

/// A name for the machine by its cards: `RTX 4090 + RTX 5070 Ti`, `2 x RTX 3090`.
pub fn title(gpus: &[Gpu]) -> String {
    let counted: Vec<String> = counted(gpus)
        .into_iter()
        .map(|(name, count)| if count > 1 { format!("{count} x {name}") } else { name })
        .collect();
    if counted.is_empty() { "no GPU".to_owned() } else { counted.join(" + ") }
}

/// The same as the name of a file: `rtx4090-rtx5070ti`, `2xrtx3090`.
pub fn file_name(gpus: &[Gpu]) -> String {
    let plain = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    let counted: Vec<String> = counted(gpus)
        .into_iter()
        .map(|(name, count)| match count {
            1 => plain(&name),
            _ => format!("{count}x{}", plain(&name)),
        })
        .filter(|name| !name.is_empty())
        .collect();
    if counted.is_empty() { "cpu".to_owned() } else { counted.join("-") }
}

/// Cards by the shortest name that is known for them, each with how many there are, in the order of the first.
fn counted(gpus: &[Gpu]) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for gpu in gpus {
        let name = known::known_with_memory(&gpu.name, gpu.memory)
            .map_or_else(|| short_name(&gpu.name), |known| known.name.to_owned());
        match found.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => *count += 1,
            None => found.push((name, 1)),
        }
    }
    found
}

fn head(host: &Host, remarks: &[String], schema: bool) -> String {
    let mut text = String::new();
    if schema {
        text.push_str("#:schema ./schema.json\n");
    }
    text.extend(remarks.iter().map(|remark| comment(remark)));
    text.push_str(&line("name", host.name.as_str()));
    text.extend(host.driver.as_ref().map(|driver| line("driver", driver.as_str())));
    text
}

/// What [`super::parse`] reads as the machine's own constants.
pub fn speed(speed: &Speed) -> String {
    let mut text = "[speed]\n".to_owned();
    text.extend(speed.keys().map(|(key, value)| number(key, value)));
    text
}

/// A comment ends where its line does.
fn comment(remark: &str) -> String {
    let plain: String = remark.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {plain}\n")
}

fn gpu(gpu: &Gpu) -> String {
    let lines = [
        Some(line("name", gpu.name.as_str())),
        Some(line("memory_mib", mib(gpu.memory.0))),
        Some(line("free_mib", mib(gpu.free.0))),
        Some(line("compute_capability", gpu.compute_capability.to_string())),
        gpu.bandwidth_gbs.map(|gbs| number("bandwidth_gbs", gbs)),
        gpu.pci.as_ref().map(|pci| line("pci", pci.as_str())),
        gpu.uuid.as_ref().map(|uuid| line("uuid", uuid.as_str())),
    ];
    table("[[gpu]]\n", &lines, "").unwrap_or_default()
}

/// Nothing where there is nothing to say.
fn table(head: &str, lines: &[Option<String>], tail: &str) -> Option<String> {
    let lines: String = lines.iter().flatten().map(String::as_str).collect();
    (!lines.is_empty()).then(|| [head, &lines, tail].concat())
}

fn line(key: &str, value: impl Into<Value>) -> String {
    format!("{key} = {}\n", value.into())
}

/// A whole number without a point.
fn number(key: &str, number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        line(key, number as i64)
    } else {
        line(key, number)
    }
}

fn mib(bytes: u64) -> i64 {
    i64::try_from(bytes >> 20).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::option::of;
    use proptest::prelude::*;

    use super::{Remarks, file_name, text, title};
    use crate::diagnostic::FileId;
    use crate::hardware::{Cpu, Gpu, Host, Isa, Ram, Speed, known, parse};
    use crate::units::Bytes;

    fn any_gpu() -> impl Strategy<Value = Gpu> {
        (any::<String>(), 256u64..1 << 20, 0.0..=1.0, of(1.0..9000.0f64), of(any::<String>()))
            .prop_map(|(name, memory, share, bandwidth_gbs, pci)| Gpu {
                name,
                memory: Bytes::from_mib(memory),
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of it"
                )]
                free: Bytes::from_mib((memory as f64 * share) as u64),
                compute_capability: "8.9".parse().unwrap(),
                bandwidth_gbs,
                pci: pci.clone(),
                uuid: pci,
                remote: None,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            name in any::<String>(),
            driver in of(any::<String>()),
            gpus in prop::collection::vec(any_gpu(), 0..4),
            cores in of(1u32..4096),
            gbs in of(1u32..4000),
            remark in any::<String>(),
            schema in any::<bool>(),
        ) {
            let host = Host {
                name,
                gpus,
                speed: schema.then_some(Speed { gpu_efficiency: 0.5, cpu_efficiency: 0.8, block_us: 60.0, recurrent_us: 0.0, visit_us: 1.5, error: 0.1 }),
                cpu: Cpu { name: driver.clone(), cores, threads: cores, isa: Some(Isa::V3) },
                ram: Ram {
                    total: cores.map(|n| Bytes::from_mib(256 + u64::from(n))),
                    // A table is written where there is something to say.
                    bandwidth_gbs: gbs.map(f64::from),
                },
                driver,
            };
            let remarks = Remarks { head: vec![remark.clone()], ram: Some(remark) };
            let text = text(&host, &remarks, schema);
            let mut findings = Vec::new();
            let read = parse::parse(FileId(0), "x", &text, &mut findings);
            prop_assert_eq!(read, Some(host), "{:?}\n{}", findings, text);
        }
    }

    #[test]
    fn machines_are_called_after_their_cards() {
        let gpu = |name: &str| known(name).unwrap().gpu();
        let (a, b) = (gpu("RTX 4090"), gpu("RTX 5070 Ti"));
        let driver = Gpu { name: "NVIDIA GeForce RTX 5070 Ti".to_owned(), ..b };
        let both = [a, driver];
        assert_eq!(title(&both), "RTX 4090 + RTX 5070 Ti");
        assert_eq!(file_name(&both), "rtx4090-rtx5070ti");
        let pair = [gpu("RTX 3090"), gpu("RTX 3090")];
        assert_eq!((title(&pair), file_name(&pair)), ("2 x RTX 3090".into(), "2xrtx3090".into()));
        let odd = [Gpu { name: "../../é".to_owned(), ..gpu("RTX 3090") }];
        assert_eq!(file_name(&odd), "cpu");
        assert_eq!(file_name(&[]), "cpu");
    }
}
