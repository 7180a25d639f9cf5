//! Sizes with their unit in the type, so that bytes and mebibytes cannot be mistaken for each other.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::Serialize;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    pub const ZERO: Self = Self(0);

    pub const fn from_mib(mib: u64) -> Self {
        Self(mib * (1 << 20))
    }

    /// In MiB (2^20 bytes), as llama.cpp's log prints sizes.
    pub fn mib(self) -> f64 {
        self.0 as f64 / f64::from(1 << 20)
    }

    /// The largest number there is where the sum is larger.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Zero where `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Bytes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|b| b.0).sum())
    }
}

/// Prints the largest unit that keeps the number above one: `63.9 GiB`, `17361 MiB`, `512 B`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b if b >= 100 << 30 => write!(f, "{:.0} GiB", self.mib() / 1024.0),
            b if b >= 1 << 20 => write!(f, "{:.0} MiB", self.mib()),
            b if b >= 1 << 10 => write!(f, "{:.1} KiB", self.0 as f64 / 1024.0),
            b => write!(f, "{b} B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn prints_what_a_person_reads() {
        for (bytes, text) in
            [(512, "512 B"), (2048, "2.0 KiB"), (17361 << 20, "17361 MiB"), (128 << 30, "128 GiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
