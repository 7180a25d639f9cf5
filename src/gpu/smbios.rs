//! How fast memory is by the firmware's own table (SMBIOS): the modules, their speed, and the channels they are on. Pure.

use std::collections::BTreeSet;

/// Memory modules as the firmware set them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub channels: u32,
    /// Transfers per second, in millions; of the slowest module.
    pub mts: u32,
    /// Bytes that all channels move in one transfer.
    pub bytes: u32,
}

impl Memory {
    /// In GB/s (10^9 bytes).
    pub fn gbs(self) -> f64 {
        f64::from(self.mts) * f64::from(self.bytes) / 1e3
    }
}

/// A memory device (type 17) by the offsets of SMBIOS 2.7 and later.
const MEMORY_DEVICE: u8 = 17;
const DATA_WIDTH: usize = 0x0a;
const SIZE: usize = 0x0c;
const DEVICE_LOCATOR: usize = 0x10;
const BANK_LOCATOR: usize = 0x11;
const SPEED: usize = 0x15;
const CONFIGURED_SPEED: usize = 0x20;

/// Reads the table. `None` where a module does not say how fast it runs or which channel it is on.
pub fn memory(table: &[u8]) -> Option<Memory> {
    let mut rest = table;
    let mut channels = BTreeSet::new();
    let (mut mts, mut bytes) = (u32::MAX, 0);
    while let Some(Structure { kind, fields, strings, behind }) = structure(rest) {
        rest = behind;
        let size = word(fields, SIZE).unwrap_or(0);
        if kind != MEMORY_DEVICE || size == 0 {
            continue;
        }
        let speed = [CONFIGURED_SPEED, SPEED].into_iter().find_map(|at| {
            // Nothing and everything mean that it is not known, or stands elsewhere.
            word(fields, at).filter(|mts| !matches!(*mts, 0 | u16::MAX))
        });
        let width = word(fields, DATA_WIDTH).filter(|bits| (8..=128).contains(bits))?;
        let text = |at: usize| string(strings, fields.get(at).copied().unwrap_or(0));
        let channel = channel(&text(BANK_LOCATOR), &text(DEVICE_LOCATOR))?;
        mts = mts.min(u32::from(speed?));
        // Several modules on one channel take turns.
        if channels.insert(channel) {
            bytes += u32::from(width / 8);
        }
    }
    let channels = u32::try_from(channels.len()).ok().filter(|count| (1..=64).contains(count))?;
    (200..=20_000).contains(&mts).then_some(Memory { channels, mts, bytes })
}

/// One entry of the table.
struct Structure<'a> {
    kind: u8,
    /// With the header.
    fields: &'a [u8],
    strings: &'a [u8],
    /// What follows it.
    behind: &'a [u8],
}

/// The first entry.
fn structure(table: &[u8]) -> Option<Structure<'_>> {
    let (kind, length) = (*table.first()?, usize::from(*table.get(1)?));
    let fields = table.get(..length).filter(|_| length >= 4)?;
    let tail = table.get(length..)?;
    let end = tail.windows(2).position(|pair| pair == [0, 0])?;
    Some(Structure { kind, fields, strings: tail.get(..end)?, behind: tail.get(end + 2..)? })
}

fn word(fields: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes([*fields.get(at)?, *fields.get(at + 1)?]))
}

/// A structure's string by number, counted from 1; in small letters.
fn string(strings: &[u8], number: u8) -> String {
    let index = usize::from(number).checked_sub(1);
    let found = index.and_then(|index| strings.split(|byte| *byte == 0).nth(index));
    String::from_utf8_lossy(found.unwrap_or_default()).trim().to_lowercase()
}

/// What tells one channel from another in a module's locators: `p0 channel a`, `controller1-channela`, `dimm_a`.
fn channel(bank: &str, device: &str) -> Option<String> {
    let upto = |text: &str, word: &str| -> Option<String> {
        let at = text.find(word)? + word.len();
        let rest = text.get(at..)?;
        let letter = rest.trim_start_matches([' ', '_', '-']).chars().next()?;
        let behind = rest.find(letter)? + letter.len_utf8();
        letter.is_ascii_alphanumeric().then(|| text.get(..at + behind).map(str::to_owned))?
    };
    // `DIMM_A1` names channel and slot; `DIMM 0` only the slot.
    let lettered = |text: &str| {
        upto(text, "dimm").filter(|found| found.ends_with(|c: char| c.is_ascii_alphabetic()))
    };
    upto(bank, "channel")
        .or_else(|| upto(device, "channel"))
        .or_else(|| lettered(device))
        .or_else(|| lettered(bank))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Memory, memory};

    /// One module, with what the table has before and behind it.
    fn module(size: u16, speeds: [u16; 2], locators: [&str; 2]) -> Vec<u8> {
        let mut fields = vec![0; 0x28];
        (fields[0], fields[1]) = (17, 0x28);
        let mut put = |at: usize, value: u16| {
            fields[at..at + 2].copy_from_slice(&value.to_le_bytes());
        };
        put(0x08, 72);
        put(0x0a, 64);
        put(0x0c, size);
        put(0x15, speeds[0]);
        put(0x20, speeds[1]);
        (fields[0x10], fields[0x11]) = (1, 2);
        fields.extend(locators[0].bytes().chain([0]).chain(locators[1].bytes()).chain([0, 0]));
        fields
    }

    fn table(modules: &[Vec<u8>]) -> Vec<u8> {
        let bios = [&[0, 4, 0, 0][..], b"Maker\0\0"].concat();
        let end = [127, 4, 0, 0, 0, 0];
        [&bios[..], &modules.concat(), &end].concat()
    }

    #[test]
    fn modules_on_one_channel_take_turns() {
        let of = |locators: [&str; 2]| module(0x7fff, [3600, 3200], locators);
        let dimms = ["DIMM 0", "DIMM 1"];
        let boards = [
            dimms.map(|dimm| [[dimm, "P0 CHANNEL A"], [dimm, "P0 CHANNEL B"]]).concat(),
            vec![["DIMM_A1", "BANK 0"], ["DIMM_A2", "BANK 1"], ["DIMM_B2", "BANK 3"]],
            vec![
                ["Controller0-ChannelA-DIMM1", "BANK 0"],
                ["Controller1-ChannelA-DIMM1", "BANK 0"],
            ],
            vec![
                ["P1-DIMMA1", "P0_Node0_Channel0_Dimm0"],
                ["P1-DIMMB1", "P0_Node0_Channel1_Dimm0"],
            ],
        ];
        for board in boards {
            let modules: Vec<_> = board.iter().map(|locators| of(*locators)).collect();
            let found = memory(&table(&modules)).unwrap();
            assert_eq!(found, Memory { channels: 2, mts: 3200, bytes: 16 }, "{board:?}");
            assert!((found.gbs() - 51.2).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_not_said_is_not_guessed() {
        let a = ["DIMM 0", "P0 CHANNEL A"];
        assert_eq!(memory(&table(&[module(0, [3200, 3200], a)])), None, "an empty slot");
        assert_eq!(memory(&table(&[module(16384, [0, 0], a)])), None, "no speed");
        assert_eq!(memory(&table(&[module(16384, [3200, 0], ["DIMM 0", "BANK 0"])])), None);
        let slower = [module(16384, [3200, 3200], a), module(16384, [2666, 0], ["x", "CHANNEL B"])];
        assert_eq!(memory(&table(&slower)).map(|found| found.mts), Some(2666));
        assert_eq!(memory(&[]), None);
    }

    proptest! {
        #[test]
        fn any_table_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..120) {
            let _ = memory(&bytes);
            let whole = table(&[module(16384, [3200, 0], ["DIMM_A1", ""])]);
            let _ = memory(&whole[..cut.min(whole.len())]);
        }
    }
}
