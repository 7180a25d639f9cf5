//! One build at a time in a directory. The lock is the kernel's and goes with the process, however that ends.

use std::fs::TryLockError;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use fs_err as fs;

use super::StoreError;

/// Locks the directory itself, so that no file for it lies about. Where the file system has no locks, goes without.
pub(super) fn lock(
    directory: &fs::File,
    path: &Utf8Path,
    patience: Duration,
) -> Result<(), StoreError> {
    let start = Instant::now();
    loop {
        match directory.file().try_lock() {
            // An error is a file system that knows no locks, or none for directories, such as NFS.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            Err(TryLockError::WouldBlock) if start.elapsed() >= patience => {
                let seconds = patience.as_secs();
                return Err(StoreError::Busy { path: path.to_owned(), seconds });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
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
        lock(&open(), path, Duration::ZERO).unwrap();
    }
}
