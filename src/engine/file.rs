//! One file out of a container, running or not.

use std::io::Read as _;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt as _;

use super::{Engine, EngineError};

/// Larger files are not meant.
const LARGEST: usize = 16 << 20;

impl Engine {
    pub async fn read_file(&self, id: &str, path: &str) -> Result<String, EngineError> {
        let doing = || format!("read {path} in the container");
        let local = |why: String| EngineError::Local { doing: doing(), why };
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut stream = Box::pin(self.docker.download_from_container(id, Some(options)));
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| EngineError::of(doing(), error))?);
            if bytes.len() > LARGEST {
                return Err(local("it is too large".to_owned()));
            }
        }
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entries = archive.entries().map_err(|error| local(error.to_string()))?;
        let mut entry = entries
            .next()
            .ok_or_else(|| local("the engine sent nothing".to_owned()))?
            .map_err(|error| local(error.to_string()))?;
        let mut text = String::new();
        entry.read_to_string(&mut text).map_err(|error| local(error.to_string()))?;
        Ok(text)
    }
}
