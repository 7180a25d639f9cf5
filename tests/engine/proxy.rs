//! A socket between composegen and an engine, which can be pulled like a plug.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::engine::Engine;

pub(crate) struct Proxy {
    path: PathBuf,
    pulled: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Proxy {
    pub(crate) fn new(engine: &Engine, folder: &Path) -> Self {
        Self::carrying(engine, folder, carry)
    }

    /// The engine takes no notice of a request for GPUs, which it would refuse: it has none. Docker passes over what it
    /// does not know.
    pub(crate) fn with_gpus(engine: &Engine, folder: &Path) -> Self {
        Self::carrying(engine, folder, carry_without_gpus)
    }

    fn carrying(engine: &Engine, folder: &Path, there: fn(UnixStream, UnixStream)) -> Self {
        let path = folder.join("engine.sock");
        let target = engine.host.as_deref().unwrap_or("unix:///var/run/docker.sock");
        let target = PathBuf::from(target.trim_start_matches("unix://"));
        let listener = UnixListener::bind(&path).unwrap();
        let (pulled, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let proxy = Self { path, pulled: Arc::clone(&pulled), open: Arc::clone(&open) };
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                if pulled.load(Ordering::Relaxed) {
                    return;
                }
                let far = UnixStream::connect(&target).unwrap();
                let pair = |stream: &UnixStream| stream.try_clone().unwrap();
                open.lock().unwrap().extend([pair(&near), pair(&far)]);
                let (near_again, far_again) = (pair(&near), pair(&far));
                std::thread::spawn(move || there(near, far));
                std::thread::spawn(move || carry(far_again, near_again));
            }
        });
        proxy
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

fn carry(from: UnixStream, to: UnixStream) {
    carry_through(from, to, |_| {});
}

fn carry_without_gpus(from: UnixStream, to: UnixStream) {
    const KEY: &[u8] = b"\"DeviceRequests\"";
    carry_through(from, to, |piece| {
        // A request is written in one piece.
        if let Some(at) = piece.windows(KEY.len()).position(|part| part == KEY) {
            *piece.get_mut(at + 1).unwrap() = b'_';
        }
    });
}

fn carry_through(mut from: UnixStream, mut to: UnixStream, mut change: impl FnMut(&mut [u8])) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let (read, _) = piece.split_at_mut(length);
        change(read);
        if to.write_all(read).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.pulled.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        let _ = UnixStream::connect(&self.path);
        let _ = fs_err::remove_file(&self.path);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
