//! NVML, loaded at run time. The first source: it says what `nvidia-smi` says, without a process.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::Clock;
use nvml_wrapper::error::NvmlError;

use super::Silence;
use super::sighting::{Seen, Sighting};
use crate::hardware::ComputeCapability;
use crate::units::Bytes;

pub(super) fn ask() -> Result<Seen, Silence> {
    let nvml = Nvml::init().map_err(|error| match error {
        NvmlError::LibloadingError(_) => Silence::Absent("NVML was not found".to_owned()),
        NvmlError::DriverNotLoaded => Silence::Absent("the NVIDIA driver is not loaded".to_owned()),
        other => Silence::Failed(format!("NVML says: {other}")),
    })?;
    let failed = |error: NvmlError| Silence::Failed(format!("NVML says: {error}"));
    let count = nvml.device_count().map_err(failed)?;
    if count == 0 {
        return Err(Silence::Absent("NVML sees no GPU".to_owned()));
    }
    let mut seen = Seen { driver: nvml.sys_driver_version().ok(), ..Seen::default() };
    for index in 0..count {
        // One that was lost or is not ours must not hide the others.
        match sighting(&nvml, index) {
            Ok(gpu) => seen.gpus.push(gpu),
            Err(error) => seen.notes.push(format!("GPU {index} was left out: {error}")),
        }
    }
    Ok(seen)
}

fn sighting(nvml: &Nvml, index: u32) -> Result<Sighting, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let memory = device.memory_info().ok();
    let capability = device.cuda_compute_capability().ok().and_then(|capability| {
        let part = |number: i32| u8::try_from(number).ok();
        Some(ComputeCapability { major: part(capability.major)?, minor: part(capability.minor)? })
    });
    let bandwidth = device.max_clock_info(Clock::Memory).ok().zip(device.memory_bus_width().ok());
    Ok(Sighting {
        name: device.name()?,
        uuid: device.uuid().ok(),
        pci: device.pci_info().ok().map(|pci| pci.bus_id),
        memory: memory.as_ref().map(|memory| Bytes(memory.total)),
        free: memory.as_ref().map(|memory| Bytes(memory.free)),
        compute_capability: capability,
        bandwidth_gbs: bandwidth.and_then(|(mhz, bits)| bandwidth_gbs(mhz, bits)),
        cut: device.mig_mode().is_ok_and(|mode| mode.current == 1),
    })
}

/// What is in use on each GPU, by UUID. One that does not say is left out.
pub(super) fn used(nvml: &Nvml) -> Option<Vec<(String, Bytes)>> {
    let count = nvml.device_count().ok()?;
    let of = |index| {
        let device = nvml.device_by_index(index).ok()?;
        let memory = device.memory_info().ok()?;
        Some((device.uuid().ok()?, Bytes(memory.total.saturating_sub(memory.free))))
    };
    Some((0..count).filter_map(of).collect())
}

/// Two transfers per clock: 2619 MHz on 5120 bits are the 3352 GB/s of an H100.
fn bandwidth_gbs(mhz: u32, bits: u32) -> Option<f64> {
    let gbs = 2.0 * f64::from(mhz) * f64::from(bits) / 8.0 / 1000.0;
    (gbs > 0.0).then_some(gbs)
}

#[cfg(test)]
mod tests {
    use super::bandwidth_gbs;

    #[test]
    fn clocks_and_width_give_the_data_sheets_bandwidth() {
        for (mhz, bits, expected) in [(2619, 5120, 3352), (10501, 384, 1008), (14001, 512, 1792)] {
            let gbs = bandwidth_gbs(mhz, bits).unwrap();
            assert!((gbs - f64::from(expected)).abs() < 1.0, "{gbs} instead of {expected}");
        }
        assert_eq!(bandwidth_gbs(0, 384), None);
    }
}
