//! One build at a time in a directory. The lock is the kernel's and goes with the process, however that ends.

use std::fs::TryLockError;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use camino::Utf8Path;
use fs_err as fs;

use super::StoreError;

/// Locks the directory itself, so that no file for it lies about. Where the file system has no locks, goes without.
///
/// Who waits stands in the kernel's queue: one that looks again and again may never see a lock free that another takes
/// again at once.
pub(super) fn lock(
    directory: &fs::File,
    path: &Utf8Path,
    patience: Duration,
) -> Result<(), StoreError> {
    let busy = || StoreError::Busy { path: path.to_owned(), seconds: patience.as_secs() };
    match directory.file().try_lock() {
        // An error is a file system that knows no locks, or none for directories, such as NFS.
        Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        Err(TryLockError::WouldBlock) if patience.is_zero() => return Err(busy()),
        Err(TryLockError::WouldBlock) => {}
    }
    // The same open file, and with it the same lock. If it comes too late, it goes with this handle.
    let handle = directory.file().try_clone()?;
    let (locked, wait) = mpsc::channel();
    thread::spawn(move || {
        let _ = handle.lock();
        let _ = locked.send(());
    });
    wait.recv_timeout(patience).map_err(|_| busy())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use camino::Utf8Path;

    use super::lock;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        let open = || fs_err::File::open(path).unwrap();
        let first = open();
        lock(&first, path, Duration::ZERO).unwrap();
        let error = lock(&open(), path, Duration::from_millis(30)).unwrap_err();
        assert!(error.to_string().starts_with("another composegen has been at work in"), "{error}");
        drop(first);
        // Who waited in vain may have it for a moment.
        lock(&open(), path, Duration::from_secs(5)).unwrap();
    }
}
