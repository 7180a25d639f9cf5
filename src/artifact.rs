//! A file we write: its place below the output directory, its text, and the digest that the lock file keeps.

pub mod seal;

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Relative to the output directory, with `/` between its parts.
    pub path: Utf8PathBuf,
    pub text: String,
    /// Whether the file gets the executable bits (0755 instead of 0644).
    pub executable: bool,
}

impl Artifact {
    pub fn new(path: impl Into<Utf8PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), executable: false }
    }

    #[must_use]
    pub fn executable(mut self) -> Self {
        self.executable = true;
        self
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// A sha256 in the form that Docker and OCI print: `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(bytes))
    }

    /// Of all that comes, however much that is.
    pub fn read(source: &mut dyn Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match source.read(&mut buffer)? {
                0 => return Ok(Self::from_hash(&hasher.finalize())),
                count => hasher.update(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    fn from_hash(hash: &[u8]) -> Self {
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in hash {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.strip_prefix("sha256:").ok_or(())?;
        let lower = hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        if hex.len() == 64 && lower { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|()| {
            format!("`{text}` is no digest: it is `sha256:` and 64 hex digits in lower case")
        })
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn digest_is_the_one_of_fips_180() {
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), abc);
        assert_eq!(Digest::read(&mut &b"abc"[..]).unwrap().as_str(), abc);
        let long = vec![7; 200_000];
        assert_eq!(Digest::read(&mut long.as_slice()).unwrap(), Digest::of(&long));
    }
}
