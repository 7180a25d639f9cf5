//! The element types of ggml: how many values a block holds and how many bytes it takes.
//!
//! Numbers are those of `enum ggml_type` in ggml.h, which only ever grows; block sizes follow the `block_*` structs
//! in ggml-common.h. A number that is not in the table stays a number.

use std::fmt;

use serde::Serialize;

/// A ggml type by its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DType(pub u32);

/// What the table knows about a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In the spelling of file names: `Q6_K`, `BF16`.
    pub name: &'static str,
    /// Values per block; a row is a whole number of blocks.
    pub block_len: u64,
    pub block_bytes: u64,
    /// Whether llama.cpp dropped the type: such files no longer load.
    pub removed: bool,
}

const fn kept(name: &'static str, block_len: u64, block_bytes: u64) -> Layout {
    Layout { name, block_len, block_bytes, removed: false }
}

const fn gone(name: &'static str, block_len: u64, block_bytes: u64) -> Layout {
    Layout { name, block_len, block_bytes, removed: true }
}

/// Indexed by the type's number.
const LAYOUTS: [Layout; 43] = [
    kept("F32", 1, 4),
    kept("F16", 1, 2),
    kept("Q4_0", 32, 18),
    kept("Q4_1", 32, 20),
    gone("Q4_2", 16, 10),
    gone("Q4_3", 16, 12),
    kept("Q5_0", 32, 22),
    kept("Q5_1", 32, 24),
    kept("Q8_0", 32, 34),
    kept("Q8_1", 32, 36),
    kept("Q2_K", 256, 84),
    kept("Q3_K", 256, 110),
    kept("Q4_K", 256, 144),
    kept("Q5_K", 256, 176),
    kept("Q6_K", 256, 210),
    kept("Q8_K", 256, 292),
    kept("IQ2_XXS", 256, 66),
    kept("IQ2_XS", 256, 74),
    kept("IQ3_XXS", 256, 98),
    kept("IQ1_S", 256, 50),
    kept("IQ4_NL", 32, 18),
    kept("IQ3_S", 256, 110),
    kept("IQ2_S", 256, 82),
    kept("IQ4_XS", 256, 136),
    kept("I8", 1, 1),
    kept("I16", 1, 2),
    kept("I32", 1, 4),
    kept("I64", 1, 8),
    kept("F64", 1, 8),
    kept("IQ1_M", 256, 56),
    kept("BF16", 1, 2),
    gone("Q4_0_4_4", 32, 18),
    gone("Q4_0_4_8", 32, 18),
    gone("Q4_0_8_8", 32, 18),
    kept("TQ1_0", 256, 54),
    kept("TQ2_0", 256, 66),
    gone("IQ4_NL_4_4", 32, 18),
    gone("IQ4_NL_4_8", 32, 18),
    gone("IQ4_NL_8_8", 32, 18),
    kept("MXFP4", 32, 17),
    kept("NVFP4", 64, 36),
    kept("Q1_0", 128, 18),
    kept("Q2_0", 64, 18),
];

impl DType {
    pub const F32: Self = Self(0);
    pub const F16: Self = Self(1);
    pub const Q4_0: Self = Self(2);
    pub const Q4_1: Self = Self(3);
    pub const Q5_0: Self = Self(6);
    pub const Q5_1: Self = Self(7);
    pub const Q8_0: Self = Self(8);
    pub const IQ4_NL: Self = Self(20);
    pub const BF16: Self = Self(30);
    pub const MXFP4: Self = Self(39);

    /// Every type in the table, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = (Self, Layout)> {
        (0u32..).map(Self).zip(LAYOUTS)
    }

    /// The type of that name, in any case: `q8_0`, `BF16`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|(_, layout)| layout.name.eq_ignore_ascii_case(name)).map(|(id, _)| id)
    }

    /// Absent for a type that is newer than the table.
    pub fn layout(self) -> Option<Layout> {
        usize::try_from(self.0).ok().and_then(|id| LAYOUTS.get(id)).copied()
    }

    /// Whether values share a scale, so that a block is more than one value.
    pub fn is_quantized(self) -> bool {
        self.layout().is_some_and(|layout| layout.block_len > 1)
    }

    /// Bytes of `len` values in a row; absent for an unknown type, a broken block or an overflow.
    pub fn row_bytes(self, len: u64) -> Option<u64> {
        let layout = self.layout()?;
        if len.is_multiple_of(layout.block_len) {
            (len / layout.block_len).checked_mul(layout.block_bytes)
        } else {
            None
        }
    }

    /// Bits per value, scales included.
    pub fn bits(self) -> Option<f64> {
        self.layout().map(|layout| 8.0 * layout.block_bytes as f64 / layout.block_len as f64)
    }
}

/// The name, or `type 43` where there is none.
impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout() {
            Some(layout) => f.pad(layout.name),
            None => f.pad(&format!("type {}", self.0)),
        }
    }
}

impl Serialize for DType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    /// What the structs of ggml-common.h add up to: scales, then quants, per block.
    #[test]
    fn every_block_is_as_large_as_its_parts() {
        let half = 2;
        let expected: [(u32, &str, u64, u64); 43] = [
            (0, "F32", 1, 4),
            (1, "F16", 1, 2),
            (2, "Q4_0", 32, half + 32 / 2),
            (3, "Q4_1", 32, 2 * half + 32 / 2),
            (4, "Q4_2", 16, half + 16 / 2),
            (5, "Q4_3", 16, 2 * half + 16 / 2),
            (6, "Q5_0", 32, half + 4 + 32 / 2),
            (7, "Q5_1", 32, 2 * half + 4 + 32 / 2),
            (8, "Q8_0", 32, half + 32),
            (9, "Q8_1", 32, 2 * half + 32),
            (10, "Q2_K", 256, 2 * half + 256 / 16 + 256 / 4),
            (11, "Q3_K", 256, half + 256 / 4 + 256 / 8 + 12),
            (12, "Q4_K", 256, 2 * half + 12 + 256 / 2),
            (13, "Q5_K", 256, 2 * half + 12 + 256 / 2 + 256 / 8),
            (14, "Q6_K", 256, half + 256 / 16 + 3 * 256 / 4),
            (15, "Q8_K", 256, 4 + 256 + 256 / 16 * 2),
            (16, "IQ2_XXS", 256, half + 256 / 8 * 2),
            (17, "IQ2_XS", 256, half + 256 / 8 * 2 + 256 / 32),
            (18, "IQ3_XXS", 256, half + 3 * 256 / 8),
            (19, "IQ1_S", 256, half + 256 / 8 + 256 / 16),
            (20, "IQ4_NL", 32, half + 32 / 2),
            (21, "IQ3_S", 256, half + 13 * (256 / 32) + 256 / 64),
            (22, "IQ2_S", 256, half + 256 / 4 + 256 / 16),
            (23, "IQ4_XS", 256, half + 2 + 256 / 64 + 256 / 2),
            (24, "I8", 1, 1),
            (25, "I16", 1, 2),
            (26, "I32", 1, 4),
            (27, "I64", 1, 8),
            (28, "F64", 1, 8),
            (29, "IQ1_M", 256, 256 / 8 + 256 / 16 + 256 / 32),
            (30, "BF16", 1, 2),
            (31, "Q4_0_4_4", 32, half + 32 / 2),
            (32, "Q4_0_4_8", 32, half + 32 / 2),
            (33, "Q4_0_8_8", 32, half + 32 / 2),
            (34, "TQ1_0", 256, half + 256 / 64 + (256 - 4 * 256 / 64) / 5),
            (35, "TQ2_0", 256, half + 256 / 4),
            (36, "IQ4_NL_4_4", 32, half + 32 / 2),
            (37, "IQ4_NL_4_8", 32, half + 32 / 2),
            (38, "IQ4_NL_8_8", 32, half + 32 / 2),
            (39, "MXFP4", 32, 1 + 32 / 2),
            (40, "NVFP4", 64, 64 / 16 + 64 / 2),
            (41, "Q1_0", 128, half + 128 / 8),
            (42, "Q2_0", 64, half + 64 / 4),
        ];
        assert_eq!(DType::all().count(), expected.len());
        for (id, name, block_len, block_bytes) in expected {
            let layout = DType(id).layout().unwrap();
            assert_eq!(
                (layout.name, layout.block_len, layout.block_bytes),
                (name, block_len, block_bytes)
            );
            assert_eq!(DType::by_name(&name.to_lowercase()), Some(DType(id)));
            assert_eq!(layout.removed, matches!(id, 4 | 5 | 31..=33 | 36..=38), "{name}");
            assert_eq!(DType(id).row_bytes(3 * block_len), Some(3 * block_bytes));
            assert_eq!(DType(id).is_quantized(), block_len > 1);
        }
    }

    #[test]
    fn the_constants_name_what_they_say() {
        for (constant, name) in [
            (DType::F32, "F32"),
            (DType::F16, "F16"),
            (DType::Q4_0, "Q4_0"),
            (DType::Q4_1, "Q4_1"),
            (DType::Q5_0, "Q5_0"),
            (DType::Q5_1, "Q5_1"),
            (DType::Q8_0, "Q8_0"),
            (DType::IQ4_NL, "IQ4_NL"),
            (DType::BF16, "BF16"),
            (DType::MXFP4, "MXFP4"),
        ] {
            assert_eq!(constant.to_string(), name);
        }
    }

    #[test]
    fn an_unknown_type_stays_a_number() {
        let unknown = DType(43);
        assert_eq!((unknown.layout(), unknown.row_bytes(32), unknown.bits()), (None, None, None));
        assert_eq!(unknown.to_string(), "type 43");
        assert_eq!(DType::Q8_0.row_bytes(33), None, "a row is whole blocks");
        assert_eq!(DType::F32.row_bytes(u64::MAX), None, "no overflow");
        assert_eq!(DType::Q8_0.bits(), Some(8.5));
    }
}
