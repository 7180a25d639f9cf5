//! Looks at the GPUs' memory again and again while something else is being waited for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::gpu::meter::Meter;
use crate::units::Bytes;

/// The most that was in use on each GPU, by UUID.
pub(super) type Peaks = BTreeMap<String, Bytes>;

pub(super) struct Watch {
    peaks: Arc<Mutex<Peaks>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let (peaks, ended) = (Arc::new(Mutex::new(Peaks::new())), Arc::new(AtomicBool::new(false)));
        let (into, end) = (Arc::clone(&peaks), Arc::clone(&ended));
        let watch = move || {
            let meter = Meter::new();
            while !end.load(Ordering::Relaxed) {
                let Some(used) = meter.used() else { return };
                merge(&mut lock(&into), used);
                std::thread::park_timeout(meter.pace());
            }
        };
        Self { peaks, ended, thread: Some(std::thread::spawn(watch)) }
    }

    /// What was seen since it was asked last.
    pub(super) fn take(&self) -> Peaks {
        std::mem::take(&mut lock(&self.peaks))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It holds nothing that could be lost.
            let _ = thread.join();
        }
    }
}

fn lock(peaks: &Mutex<Peaks>) -> MutexGuard<'_, Peaks> {
    peaks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over what is more than was seen so far.
pub(super) fn merge(peaks: &mut Peaks, seen: impl IntoIterator<Item = (String, Bytes)>) {
    for (gpu, used) in seen {
        let most = peaks.entry(gpu).or_default();
        *most = used.max(*most);
    }
}

#[cfg(test)]
mod tests {
    use super::{Peaks, Watch, merge};
    use crate::units::Bytes;

    #[test]
    fn the_most_is_kept() {
        let mut peaks = Peaks::new();
        for used in [5, 9, 7] {
            merge(&mut peaks, [("GPU-1".to_owned(), Bytes(used))]);
        }
        merge(&mut peaks, [("GPU-2".to_owned(), Bytes(1))]);
        let all: Vec<u64> = peaks.values().map(|bytes| bytes.0).collect();
        assert_eq!(all, [9, 1]);
    }

    /// Whether there are GPUs or not, it ends when it is dropped.
    #[test]
    fn it_ends() {
        let watch = Watch::new();
        watch.take();
        drop(watch);
    }
}
