//! How fast system memory is read: by the firmware's table where it may be read, else by reading.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use super::smbios;
use crate::units::Bytes;

/// Where Linux shows the firmware's table; to root only, on most systems.
const TABLE: &str = "/sys/firmware/dmi/tables/DMI";
/// What is read in all, unless the caches are larger.
const LEAST: u64 = 512 << 20;
/// Passes, of which the best counts.
const PASSES: usize = 5;

/// How fast memory is, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bandwidth {
    /// What the modules are rated for as they are set up.
    Firmware(smbios::Memory),
    /// What a program reaches: GB/s (10^9 bytes) by so many threads.
    Measured { gbs: f64, threads: usize },
}

/// Of this machine; `threads` is what reads, `total` what there is.
pub fn bandwidth(threads: usize, total: Option<Bytes>) -> Option<Bandwidth> {
    let table = fs_err::read(TABLE).ok();
    if let Some(memory) = table.as_deref().and_then(smbios::memory) {
        return Some(Bandwidth::Firmware(memory));
    }
    let size = (4 * last_level_cache()).max(LEAST);
    // Without room there is nothing to measure with; a build without optimization would measure itself.
    let room = total.is_some_and(|total| size <= total.0 / 4);
    if !room || cfg!(debug_assertions) {
        return None;
    }
    let threads = threads.clamp(1, 256);
    let gbs = read(threads, usize::try_from(size).ok()?);
    gbs.is_finite().then_some(Bandwidth::Measured { gbs, threads })
}

/// Bytes of all last-level caches, as far as Linux says.
fn last_level_cache() -> u64 {
    let text = |path: String| fs_err::read_to_string(path).unwrap_or_default();
    let of = |cpu: usize| {
        let cache = format!("/sys/devices/system/cpu/cpu{cpu}/cache/index3");
        let size = text(format!("{cache}/size"));
        let kib = size.trim().strip_suffix('K').and_then(|kib| kib.parse::<u64>().ok())?;
        Some((text(format!("{cache}/shared_cpu_list")), kib << 10))
    };
    let caches: std::collections::BTreeMap<String, u64> = (0..4096).map_while(of).collect();
    caches.values().sum()
}

/// GB/s of the best pass over a buffer of which every thread has a part of its own.
fn read(threads: usize, bytes: usize) -> f64 {
    let words = bytes / threads / size_of::<u64>();
    let barrier = Barrier::new(threads);
    let pass = |part: &[u64]| -> f64 {
        barrier.wait();
        let start = Instant::now();
        black_box(part.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word)));
        barrier.wait();
        start.elapsed().as_secs_f64()
    };
    let work = || {
        // Pages that hold something, written by the thread that reads them.
        let part: Vec<u64> = (0..words as u64).collect();
        [0; PASSES].map(|_| pass(black_box(&part)))
    };
    let results: Vec<[f64; PASSES]> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    // A pass is over when the last thread is; one that came late measured less.
    let longest = |i: usize| results.iter().filter_map(|of| of.get(i)).copied().fold(0.0, f64::max);
    let best = (0..PASSES).map(longest).fold(f64::INFINITY, f64::min);
    (words * size_of::<u64>() * threads) as f64 / best / 1e9
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn reading_takes_time() {
        let gbs = read(2, 1 << 20);
        assert!(gbs > 0.001 && gbs < 100_000.0, "{gbs}");
    }
}
