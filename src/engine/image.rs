//! Images that the engine has.

use super::{Engine, EngineError};

/// What is known of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `sha256:...`
    pub id: String,
    pub bytes: u64,
    /// `amd64`, `arm64`.
    pub architecture: String,
    pub labels: Vec<(String, String)>,
}

impl Engine {
    /// `None` where the engine has none of this name; it is not pulled.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        let found = self.docker.inspect_image(name).await;
        match found.map_err(|error| EngineError::of(format!("look at image {name}"), error)) {
            Ok(image) => {
                let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
                let mut labels: Vec<_> = labels.into_iter().collect();
                labels.sort();
                Ok(Some(Image {
                    id: image.id.unwrap_or_default(),
                    bytes: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    architecture: image.architecture.unwrap_or_default(),
                    labels,
                }))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
