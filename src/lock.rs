//! `composegen.lock`: what an output directory was made from, what was written, and what was resolved from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::artifact::Digest;

/// Its name in an output directory.
pub const FILE: &str = "composegen.lock";

/// Its name beside the files of a client: several may share a directory.
pub fn client_file(client: &str) -> String {
    format!("composegen-{client}.lock")
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The composegen that wrote it.
    pub generator: String,
    /// Relative to the output directory, in the order of the command line: the first is the default.
    pub presets: Vec<Utf8PathBuf>,
    /// What the command line wanted to be written for; absent where it left that to the presets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default)]
    pub resolved: Resolved,
    /// Placements that were planned, by the name of the strategy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub placements: BTreeMap<String, Placed>,
    /// Every file that had a say, relative to the output directory.
    pub inputs: BTreeMap<Utf8PathBuf, Digest>,
    /// Every file that was written, but the lock file itself.
    pub outputs: BTreeMap<Utf8PathBuf, Digest>,
}

/// What `composegen update` found out about names that can move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// The branch or tag that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Base images by name and tag.
    #[serde(default)]
    pub images: BTreeMap<String, Digest>,
}

/// A placement and what it was planned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// Of the GGUF's header: of all that stands before the tensors' data.
    pub header: Digest,
    /// Flags of llama-server with their values.
    pub flags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub repository: String,
    pub reference: String,
    pub commit: String,
}

impl Resolved {
    /// The commit of a repository's branch or tag, if that is the one which was resolved.
    pub fn commit(&self, repository: &str, reference: &str) -> Option<&str> {
        let known = |s: &&Source| s.repository == repository && s.reference == reference;
        self.source.as_ref().filter(known).map(|source| source.commit.as_str())
    }

    pub fn digest(&self, image: &str) -> Option<&Digest> {
        self.images.get(image)
    }
}

const HEAD: &str = "# Written by composegen; not to be edited. `composegen check` compares the files with it,\n\
                    # `composegen update` resolves what can move.\n";

const CLIENT_HEAD: &str =
    "# Written by composegen; not to be edited. `composegen client` knows its own files by it.\n";

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = toml::to_string(self).map_err(|_| fmt::Error)?;
        write!(f, "{HEAD}\n{body}")
    }
}

impl Lock {
    /// The text where the files are those of a client.
    pub fn client_text(&self) -> String {
        self.to_string().replacen(HEAD, CLIENT_HEAD, 1)
    }
}

/// The file is not one that this composegen wrote.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LockError(String);

impl FromStr for Lock {
    type Err = LockError;

    fn from_str(text: &str) -> Result<Self, LockError> {
        toml::from_str(text).map_err(|error| LockError(error.to_string().trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Lock, Placed, Resolved, Source};
    use crate::artifact::Digest;

    #[test]
    fn reads_what_it_prints() {
        let source = Source {
            repository: "https://example.org/x".into(),
            reference: "master".into(),
            commit: "0".repeat(40),
        };
        let lock = Lock {
            generator: "0.1.0".into(),
            presets: vec!["../a \"b\".toml".into()],
            target: Some("quadlet".into()),
            resolved: Resolved {
                source: Some(source),
                images: [("ubuntu:24.04".to_owned(), Digest::of(b"x"))].into(),
            },
            placements: [(
                "a".to_owned(),
                Placed {
                    header: Digest::of(b"h"),
                    flags: [("--tensor-split".to_owned(), "32,17".to_owned())].into(),
                },
            )]
            .into(),
            inputs: [("../a.toml".into(), Digest::of(b"a"))].into(),
            outputs: [(".env".into(), Digest::of(b"b"))].into(),
        };
        assert_eq!(lock.to_string().parse::<Lock>().unwrap(), lock);
        assert_eq!(Lock::default().to_string().parse::<Lock>().unwrap(), Lock::default());
        assert!("nonsense = 1".parse::<Lock>().is_err());
        let edited = lock.to_string().replacen("sha256:", "sha256:x", 1);
        let error = edited.parse::<Lock>().unwrap_err().to_string();
        assert!(error.contains("sha256:x") && error.contains("line"), "{error}");
    }
}
