//! What this machine has: GPUs through NVML or `nvidia-smi`, processor and memory from `/proc`, and how fast memory is.
//!
//! An edge: it loads a library, starts a program, reads `/proc` and `/sys`. What they say is read by pure functions.

mod bandwidth;
pub mod host;
pub mod meter;
#[cfg(feature = "gpu")]
mod nvml;
pub mod sighting;
pub mod smbios;
pub mod smi;

use crate::hardware::{Cpu, Gpu, Ram};
pub use bandwidth::{Bandwidth, bandwidth};

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Detected {
    /// In the order of the PCI bus, which is CUDA's with `CUDA_DEVICE_ORDER=PCI_BUS_ID`. Empty without NVIDIA GPUs.
    pub gpus: Vec<Gpu>,
    pub source: Source,
    pub cpu: Cpu,
    pub ram: Ram,
    /// The NVIDIA driver's version.
    pub driver: Option<String>,
    /// What a person should know: a figure that was estimated, a GPU that was left out, why there are none.
    pub notes: Vec<String>,
}

/// Who said which GPUs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Nvml,
    NvidiaSmi,
    /// Neither is there: the machine has no NVIDIA driver.
    None,
}

/// Why GPUs could not be asked although there is a driver for them.
#[derive(Debug, thiserror::Error)]
#[error("the NVIDIA driver does not answer: {nvml}; {smi}")]
pub struct GpuError {
    /// What NVML said.
    pub nvml: String,
    /// What `nvidia-smi` said.
    pub smi: String,
}

/// Why one source gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Silence {
    /// The library or program is not there, or says that there is no GPU.
    Absent(String),
    /// It is there and failed.
    Failed(String),
}

/// Asks NVML, then `nvidia-smi`. A machine without NVIDIA GPUs is no error: it has a processor and memory.
pub fn detect() -> Result<Detected, GpuError> {
    let (source, seen) = match from_nvml() {
        Ok(seen) => (Source::Nvml, seen),
        Err(nvml) => match smi::ask() {
            Ok(seen) => (Source::NvidiaSmi, seen),
            Err(smi) => (Source::None, without(nvml, smi)?),
        },
    };
    let mut notes = seen.notes;
    let gpus = sighting::settle(&seen.gpus, &mut notes);
    let (cpu, ram) = host::read();
    Ok(Detected { gpus, source, cpu, ram, driver: seen.driver, notes })
}

/// Processor and memory alone.
pub fn machine() -> (Cpu, Ram) {
    host::read()
}

/// No GPUs, said why; or an error where there is a driver.
fn without(nvml: Silence, smi: Silence) -> Result<sighting::Seen, GpuError> {
    match (nvml, smi) {
        (Silence::Absent(nvml), Silence::Absent(smi)) => Ok(sighting::Seen {
            notes: vec![format!(
                "no NVIDIA GPU was found ({nvml}; {smi}): describe them by hand, or name them"
            )],
            ..sighting::Seen::default()
        }),
        (
            Silence::Absent(nvml) | Silence::Failed(nvml),
            Silence::Absent(smi) | Silence::Failed(smi),
        ) => Err(GpuError { nvml, smi }),
    }
}

#[cfg(feature = "gpu")]
fn from_nvml() -> Result<sighting::Seen, Silence> {
    nvml::ask()
}

#[cfg(not(feature = "gpu"))]
fn from_nvml() -> Result<sighting::Seen, Silence> {
    Err(Silence::Absent("this program was built without NVML".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Silence, Source, detect, without};

    /// Whatever machine this runs on, it has a processor and memory, and an absence of GPUs is explained.
    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_is_described() {
        if let Ok(found) = detect() {
            assert!(found.cpu.threads.is_some() && found.ram.total.is_some(), "{found:?}");
            assert_eq!(found.source == Source::None, found.driver.is_none(), "{found:?}");
            assert!(!found.gpus.is_empty() || !found.notes.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn no_driver_is_a_finding_and_a_driver_that_fails_is_an_error() {
        let absent = |text: &str| Silence::Absent(text.to_owned());
        let seen = without(absent("no library"), absent("no program")).unwrap();
        assert!(seen.gpus.is_empty() && seen.notes[0].contains("no library; no program"));
        let failed = Silence::Failed("driver/library version mismatch".to_owned());
        let error = without(failed, absent("no program")).unwrap_err();
        assert!(error.to_string().contains("version mismatch"));
    }
}
