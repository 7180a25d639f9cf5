//! Asks a registry for the digest of an image, through the `docker` that the user has: it knows mirrors and logins. Who the
//! user is at a registry, for what the engine does there itself, is in `credentials`.

pub mod credentials;

use std::io;
use std::process::{Command, Stdio};

use crate::artifact::Digest;

/// Why a digest could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("cannot run docker: {0}")]
    NoDocker(#[source] io::Error),
    #[error("`docker buildx imagetools inspect {image}` failed: {message}")]
    Refused { image: String, message: String },
    #[error("docker named no digest for `{image}`")]
    NoDigest { image: String },
}

/// Digest of the image's manifest (of the index, where there are several platforms).
pub fn digest(image: &str) -> Result<Digest, RegistryError> {
    let output = Command::new("docker")
        .args(["buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image])
        .stdin(Stdio::null())
        .output()
        .map_err(RegistryError::NoDocker)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(RegistryError::Refused { image: image.to_owned(), message });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|()| RegistryError::NoDigest { image: image.to_owned() })
}
