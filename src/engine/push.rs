//! Images on their way to a registry.

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{PushImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;

use super::{Engine, EngineError};
use crate::artifact::Digest;

/// Who is pushing. The engine passes it on to the registry.
#[derive(Clone)]
pub enum Login {
    Nobody,
    Password { user: String, password: String },
    IdentityToken(String),
}

/// A name without its tag, and the tag.
#[derive(Clone, Copy, Debug)]
pub struct Tagged<'a> {
    pub repository: &'a str,
    pub tag: &'a str,
}

impl Engine {
    /// Gives an image another name.
    pub async fn tag(&self, image: &str, name: Tagged<'_>) -> Result<(), EngineError> {
        let options = TagImageOptionsBuilder::new().repo(name.repository).tag(name.tag).build();
        let done = self.docker.tag_image(image, Some(options)).await;
        done.map_err(|error| {
            EngineError::of(format!("name {image} {}:{}", name.repository, name.tag), error)
        })
    }

    /// Pushes an image.
    pub async fn push(
        &self,
        name: Tagged<'_>,
        registry: &str,
        login: Login,
    ) -> Result<Pushed, EngineError> {
        let (username, password, identitytoken) = match login {
            Login::Nobody => (None, None, None),
            Login::Password { user, password } => (Some(user), Some(password), None),
            Login::IdentityToken(token) => (None, None, Some(token)),
        };
        let credentials = DockerCredentials {
            username,
            password,
            identitytoken,
            serveraddress: Some(registry.to_owned()),
            ..DockerCredentials::default()
        };
        let options = PushImageOptionsBuilder::new().tag(name.tag).build();
        let mut docker = self.docker.clone();
        docker.set_timeout(super::build::PATIENCE);
        let mut stream = docker.push_image(name.repository, Some(options), Some(credentials));
        let mut pushed = Pushed::default();
        while let Some(info) = stream.next().await {
            let info = info.map_err(|error| {
                EngineError::of(format!("push {}:{}", name.repository, name.tag), error)
            })?;
            let status = info.status.unwrap_or_default();
            match status.as_str() {
                "Pushed" => pushed.sent += 1,
                "Layer already exists" => pushed.there += 1,
                // Of another repository of the same registry.
                mounted if mounted.starts_with("Mounted from") => pushed.there += 1,
                _ => pushed.digest = digest_of(&status).or(pushed.digest),
            }
        }
        Ok(pushed)
    }
}

/// What came of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// What the registry calls it; absent where it said nothing.
    pub digest: Option<Digest>,
    /// Layers that were sent, and those that the registry had.
    pub sent: u32,
    pub there: u32,
}

/// Of `1: digest: sha256:... size: 1234`, the last that an engine says.
fn digest_of(status: &str) -> Option<Digest> {
    let (_, rest) = status.split_once("digest: ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::digest_of;

    #[test]
    fn the_last_line_names_the_digest() {
        let hex = "0a".repeat(32);
        let digest = digest_of(&format!("b11434: digest: sha256:{hex} size: 2412")).unwrap();
        assert_eq!(digest.to_string(), format!("sha256:{hex}"));
        for other in ["Pushed", "digest: none", "The push refers to repository [a/b]"] {
            assert!(digest_of(other).is_none(), "{other}");
        }
    }
}
