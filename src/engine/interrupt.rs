//! Ctrl-C, and the signals by which a terminal or an init system asks a program to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Takes the signals from the moment it is made; what arrives while nobody waits is kept.
pub struct Interrupt {
    ctrl_c: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupt {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            ctrl_c: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Until one of them arrives.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
