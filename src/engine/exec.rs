//! A command inside of a running container: works with every engine, wherever its ports are.

use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::{Engine, EngineError};

/// What a command said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub code: i64,
    pub text: String,
}

impl Engine {
    pub async fn exec(&self, id: &str, command: &[&str]) -> Result<Said, EngineError> {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.exec_with(id, command, Vec::new()).await
    }

    /// `environment` is added to the container's, as `NAME=value`.
    pub async fn exec_with(
        &self,
        id: &str,
        command: Vec<String>,
        environment: Vec<String>,
    ) -> Result<Said, EngineError> {
        let of = |error| EngineError::of("run a command in the container", error);
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command),
            env: Some(environment),
            ..Default::default()
        };
        let made = self.docker.create_exec(id, options).await.map_err(of)?;
        let mut bytes = Vec::new();
        let started = self.docker.start_exec(&made.id, None).await.map_err(of)?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                bytes.extend_from_slice(&piece.map_err(of)?.into_bytes());
            }
        }
        let ended = self.docker.inspect_exec(&made.id).await.map_err(of)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { code: ended.exit_code.unwrap_or(-1), text })
    }

    /// A command with so many bytes on its standard input. It has to know how many: not every way to an engine tells
    /// where they end.
    pub async fn exec_fed(
        &self,
        id: &str,
        command: Vec<String>,
        input: &[u8],
    ) -> Result<Said, EngineError> {
        let of = |error| EngineError::of("run a command in the container", error);
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command),
            ..Default::default()
        };
        let made = self.docker.create_exec(id, options).await.map_err(of)?;
        let mut bytes = Vec::new();
        let started = self.docker.start_exec(&made.id, None).await.map_err(of)?;
        if let StartExecResults::Attached { mut output, input: mut stdin } = started {
            // A command that ends before it has read everything says why in its output.
            let feed = async {
                let written = stdin.write_all(input).await;
                written.and(stdin.flush().await)
            };
            let listen = async {
                while let Some(piece) = output.next().await {
                    bytes.extend_from_slice(&piece.map_err(of)?.into_bytes());
                }
                Ok::<_, EngineError>(())
            };
            let (_, listened) = tokio::join!(feed, listen);
            listened?;
        }
        let ended = self.docker.inspect_exec(&made.id).await.map_err(of)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { code: ended.exit_code.unwrap_or(-1), text })
    }

    /// Whether the server answers, by the very check that the compose file has.
    pub async fn is_healthy(&self, id: &str) -> bool {
        let said = self.exec(id, &["/usr/local/bin/entrypoint", "health"]).await;
        said.is_ok_and(|said| said.code == 0)
    }
}
