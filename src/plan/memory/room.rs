//! Whether what devices will hold fits into what is free on them: one rule, for what was computed and what was probed.

use super::Estimate;
use crate::units::Bytes;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// `CUDA0`.
    pub device: String,
    pub used: Bytes,
    pub free: Bytes,
    /// What is to stay free.
    pub margin: Bytes,
}

impl Room {
    /// MiB that stay free, the margin included; less than nothing where there is too little.
    pub fn left_mib(&self) -> i64 {
        let mib = |bytes: Bytes| i64::try_from(bytes.0 >> 20).unwrap_or(i64::MAX);
        mib(self.free) - mib(self.used)
    }
}

/// Every device has that much free, with its margin.
pub fn fits(rooms: &[Room]) -> bool {
    rooms.iter().all(|room| room.used + room.margin <= room.free)
}

impl Estimate {
    /// Without margins.
    pub fn rooms(&self) -> Vec<Room> {
        let room = |device: &super::DeviceMemory| Room {
            device: device.name.clone(),
            used: device.total(),
            free: device.free,
            margin: Bytes::ZERO,
        };
        self.devices.iter().map(room).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Room, fits};
    use crate::units::Bytes;

    #[test]
    fn the_margin_counts() {
        let room = |used, margin| Room {
            device: "CUDA0".to_owned(),
            used: Bytes::from_mib(used),
            free: Bytes::from_mib(100),
            margin: Bytes::from_mib(margin),
        };
        assert!(fits(&[room(100, 0), room(90, 10)]) && fits(&[]));
        assert!(!fits(&[room(1, 0), room(91, 10)]));
        assert_eq!((room(90, 10).left_mib(), room(101, 0).left_mib()), (10, -1));
    }
}
