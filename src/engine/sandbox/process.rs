//! A process in a running container, with its input and output at hand.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::engine::{Engine, EngineError};

/// As much of standard error as is kept.
const TAIL: usize = 4 << 10;

pub(super) struct Process {
    pub(super) exec: String,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Output,
}

struct Output {
    stream: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
    /// What came and was not taken yet.
    out: Vec<u8>,
    tail: Vec<u8>,
    /// Bytes on standard error.
    errors: usize,
}

/// Why a process is not listened to any further.
#[derive(Debug)]
pub(super) enum Stop {
    /// It says too much.
    Output,
    Engine(EngineError),
}

impl Engine {
    pub(super) async fn exec_process(
        &self,
        id: &str,
        command: &[&str],
    ) -> Result<Process, EngineError> {
        let of = |error| EngineError::of("run a process for an answer", error);
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            ..Default::default()
        };
        let exec = self.docker.create_exec(id, options).await.map_err(of)?.id;
        let started = self.docker.start_exec(&exec, None::<StartExecOptions>).await.map_err(of)?;
        match started {
            StartExecResults::Attached { output, input } => {
                let output =
                    Output { stream: output, out: Vec::new(), tail: Vec::new(), errors: 0 };
                Ok(Process { exec, input, output })
            }
            StartExecResults::Detached => Err(EngineError::Local {
                doing: "run a process for an answer".to_owned(),
                why: "the engine did not attach to it".to_owned(),
            }),
        }
    }
}

impl Process {
    /// All that it prints, given this input; at most so many bytes, standard error included.
    pub(super) async fn all(&mut self, input: &[u8], most: usize) -> Result<Vec<u8>, Stop> {
        let Self { input: sink, output, .. } = self;
        let feed = async {
            // It may end without reading everything.
            let _ = sink.write_all(input).await;
            let _ = sink.shutdown().await;
            std::future::pending::<()>().await;
        };
        let read = async {
            while output.more(most).await? {
                if output.out.len() + output.errors > most {
                    return Err(Stop::Output);
                }
            }
            Ok(std::mem::take(&mut output.out))
        };
        tokio::select! {
            read = read => read,
            () = feed => Err(Stop::Output),
        }
    }

    /// One line in. Where nobody is left to read it, the next line out is the end.
    pub(super) async fn say(&mut self, line: &[u8]) {
        let _ = self.input.write_all(line).await;
        let _ = self.input.write_all(b"\n").await;
        let _ = self.input.flush().await;
    }

    /// The next line out, without its end; `None` where it has ended. Longer ones than `most` are refused.
    pub(super) async fn line(&mut self, most: usize) -> Result<Option<Vec<u8>>, Stop> {
        let mut seen = 0;
        loop {
            let new = self.output.out.get(seen..).unwrap_or_default();
            if let Some(end) = new.iter().position(|byte| *byte == b'\n') {
                let rest = self.output.out.split_off(seen + end + 1);
                let mut line = std::mem::replace(&mut self.output.out, rest);
                line.pop();
                return Ok(Some(line));
            }
            seen = self.output.out.len();
            if seen > most {
                return Err(Stop::Output);
            }
            if !self.output.more(most).await? {
                return Ok(None);
            }
        }
    }

    /// The end of standard error.
    pub(super) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.output.tail).into_owned()
    }
}

impl Output {
    /// Takes the next piece; false at the end.
    async fn more(&mut self, most: usize) -> Result<bool, Stop> {
        let Some(piece) = self.stream.next().await else { return Ok(false) };
        let of = |error| Stop::Engine(EngineError::of("read what an answer prints", error));
        match piece.map_err(of)? {
            LogOutput::StdErr { message } => {
                self.errors += message.len();
                self.tail.extend_from_slice(&message);
                let beyond = self.tail.len().saturating_sub(TAIL);
                self.tail.drain(..beyond);
                if self.errors > most {
                    return Err(Stop::Output);
                }
            }
            other => self.out.extend_from_slice(&other.into_bytes()),
        }
        Ok(true)
    }
}
