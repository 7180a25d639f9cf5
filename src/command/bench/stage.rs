//! Where servers stand while they are measured: at their addresses, whoever runs them, or on the engine.

#[cfg(feature = "engine")]
use super::crew::Crew;
use crate::command::Failure;
#[cfg(feature = "engine")]
use crate::store;
use crate::terminal::Terminal;
use crate::units::Bytes;

/// Without a crew it starts nothing, and Ctrl-C ends the program as it ends any other.
#[derive(Default)]
pub(super) struct Stage {
    #[cfg(feature = "engine")]
    pub(super) crew: Option<Crew>,
    /// The output directories: nothing else is at them meanwhile.
    #[cfg(feature = "engine")]
    pub(super) held: Vec<store::Directory>,
}

#[cfg(feature = "engine")]
impl Stage {
    /// Whether one server runs at a time.
    pub(super) fn takes_turns(&self) -> bool {
        self.crew.as_ref().is_some_and(|crew| crew.conflict().is_some())
    }

    pub(super) fn start(&mut self, server: usize, terminal: &mut Terminal) -> Result<(), Failure> {
        self.crew.as_mut().map_or(Ok(()), |crew| crew.start(server, terminal))
    }

    pub(super) fn stop(&mut self, server: usize) -> Result<(), Failure> {
        self.crew.as_mut().map_or(Ok(()), |crew| crew.stop(server))
    }

    /// Does what blocks.
    pub(super) fn work<T: Send + 'static>(
        &mut self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        match &mut self.crew {
            Some(crew) => crew.work(job),
            None => Ok(job()),
        }
    }

    /// The most memory that a server of the crew has had.
    pub(super) fn peak(&self, server: usize) -> Option<Bytes> {
        self.crew.as_ref()?.peak(server)
    }

    /// What is behind a failure.
    pub(super) fn why(&self, server: usize, failure: Failure) -> Failure {
        match &self.crew {
            Some(crew) => crew.why(server, failure),
            None => failure,
        }
    }

    /// Puts everything back.
    pub(super) fn close(self, terminal: &mut Terminal) -> Result<(), Failure> {
        let Self { crew, held } = self;
        let closed = crew.map_or(Ok(()), |crew| crew.close(terminal));
        drop(held);
        closed
    }
}

#[cfg(not(feature = "engine"))]
#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with an engine")]
impl Stage {
    pub(super) const fn takes_turns(&self) -> bool {
        false
    }

    pub(super) const fn start(&mut self, _: usize, _: &mut Terminal) -> Result<(), Failure> {
        Ok(())
    }

    pub(super) const fn stop(&mut self, _: usize) -> Result<(), Failure> {
        Ok(())
    }

    pub(super) fn work<T>(&mut self, job: impl FnOnce() -> T) -> Result<T, Failure> {
        Ok(job())
    }

    pub(super) const fn peak(&self, _: usize) -> Option<Bytes> {
        None
    }

    pub(super) const fn why(&self, _: usize, failure: Failure) -> Failure {
        failure
    }

    pub(super) const fn close(self, _: &mut Terminal) -> Result<(), Failure> {
        Ok(())
    }
}
