//! A container in which llama.cpp is asked for memory: without network and GPUs, with a header for a model.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, StartContainerOptions, UploadToContainerOptionsBuilder,
};

use super::{Engine, EngineError};
use crate::probe::{Answer, DIRECTORY, Question};

/// Seconds after which it ends by itself, and the engine removes it: also where nobody is left to do so.
const LIVES: &str = "900";

/// How long one dry run may take, on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(120);

/// The label by which a probe's container is known.
const LABEL: &str = "dev.composegen.probe";

/// The beginning of one file of a model.
pub struct Header {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Engine {
    /// Starts a container of `image` that waits to be asked. The caller removes it.
    pub async fn open_probe(&self, image: &str, headers: &[Header]) -> Result<String, EngineError> {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: words(&["sleep"]),
            cmd: words(&[LIVES]),
            labels: Some(HashMap::from([(LABEL.to_owned(), "1".to_owned())])),
            healthcheck: None,
            host_config: Some(HostConfig {
                auto_remove: Some(true),
                network_mode: Some("none".to_owned()),
                cap_drop: words(&["ALL"]),
                security_opt: words(&["no-new-privileges"]),
                init: Some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.docker.create_container(None::<CreateContainerOptions>, body).await;
        let id = made.map_err(|error| EngineError::of("make a container for the probe", error))?.id;
        // It is not started yet, so nothing but this removes it.
        match self.fill(&id, headers).await {
            Ok(()) => Ok(id),
            Err(error) => {
                self.remove(&id).await?;
                Err(error)
            }
        }
    }

    async fn fill(&self, id: &str, headers: &[Header]) -> Result<(), EngineError> {
        let (parent, name) = DIRECTORY.rsplit_once('/').unwrap_or(("", DIRECTORY));
        let local = |error: std::io::Error| EngineError::Local {
            doing: "pack the model's header".to_owned(),
            why: error.to_string(),
        };
        let archive = archive(name, headers).map_err(local)?;
        let options = UploadToContainerOptionsBuilder::new().path(parent).build();
        let sent = self
            .docker
            .upload_to_container(id, Some(options), bollard::body_full(archive.into()))
            .await;
        sent.map_err(|error| EngineError::of("take the model's header", error))?;
        let started = self.docker.start_container(id, None::<StartContainerOptions>).await;
        started.map_err(|error| EngineError::of("start the probe", error))
    }

    /// What the image's llama-server prints of itself and of its flags.
    pub async fn list_flags(&self, id: &str) -> Result<String, EngineError> {
        let script = "/app/llama-server --version 2>&1; /app/llama-server --help 2>&1";
        let command = ["sh", "-c", script];
        let said = self.exec(id, &command);
        match tokio::time::timeout(LONGEST, said).await {
            Ok(said) => Ok(said?.text),
            Err(_) => Err(slow("list llama-server's flags")),
        }
    }

    /// One dry run: a fraction of a second.
    pub async fn ask(&self, id: &str, question: &Question) -> Result<Answer, EngineError> {
        let said = self.exec_with(id, question.command(), question.environment());
        match tokio::time::timeout(LONGEST, said).await {
            Ok(said) => Ok(Answer::read(&said?.text)),
            Err(_) => Err(slow("ask llama.cpp for its memory plan")),
        }
    }
}

fn slow(doing: &str) -> EngineError {
    EngineError::Gone {
        doing: doing.to_owned(),
        why: format!("it did not answer within {} seconds", LONGEST.as_secs()),
    }
}

/// Whoever the image's user is, he may write: the hole behind a header is made inside.
fn archive(directory: &str, headers: &[Header]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let entry = |kind: tar::EntryType, mode: u32, size: usize| {
        let mut entry = tar::Header::new_gnu();
        entry.set_entry_type(kind);
        entry.set_mode(mode);
        entry.set_size(size as u64);
        entry.set_uid(0);
        entry.set_gid(0);
        entry.set_mtime(0);
        entry
    };
    let mut folder = entry(tar::EntryType::Directory, 0o777, 0);
    archive.append_data(&mut folder, directory, std::io::empty())?;
    for Header { name, bytes } in headers {
        let mut file = entry(tar::EntryType::Regular, 0o666, bytes.len());
        archive.append_data(&mut file, format!("{directory}/{name}"), bytes.as_slice())?;
    }
    archive.into_inner()
}
