//! What another build of llama.cpp reserves beyond the one that is modelled, as far as somebody measured it.
//!
//! A profile is data: MiB per device, by kind of model, in proportion to the batch. Some are part of the program
//! (`profiles.toml`); `calibrate --buffers` writes others.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::gguf::{Model, Role};
use crate::hardware::Speed;
use crate::units::Bytes;

/// Why a text is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    #[error("it has {0} `[[profile]]` tables, and one is meant")]
    Count(usize),
}

/// A build of llama.cpp whose compute buffers were measured.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    /// Which build it is.
    pub about: String,
    #[serde(default)]
    compute: Vec<Addition>,
    /// How fast it was on the machine where that was measured.
    pub speed: Option<Speed>,
}

/// What is added to the compute buffers of one kind of model.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    architecture: String,
    /// Only where all routed experts have this type.
    experts: Option<String>,
    /// Tokens of the batch that it was measured with.
    ubatch: u64,
    /// On the first GPU, to which experts in system memory come for a batch.
    first_mib: u64,
    /// On every other.
    other_mib: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    profile: Vec<Profile>,
}

static PROFILES: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "the file is part of the program, and a test reads it")]
    let read: Profiles = toml::from_str(include_str!("profile/profiles.toml")).unwrap();
    read.profile.into_iter().map(Arc::new).collect()
});

impl Profile {
    /// Those that are part of the program.
    pub fn all() -> &'static [Arc<Self>] {
        &PROFILES
    }

    /// Their names, for a message.
    pub fn known() -> String {
        let names: Vec<&str> = Self::all().iter().map(|known| known.name.as_str()).collect();
        names.join(", ")
    }

    /// The one profile of a file.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let read: Profiles = toml::from_str(text)?;
        let count = read.profile.len();
        let mut profiles = read.profile.into_iter();
        match (profiles.next(), profiles.next()) {
            (Some(profile), None) => Ok(profile),
            _ => Err(ProfileError::Count(count)),
        }
    }

    pub fn named(name: &str) -> Option<Arc<Self>> {
        Self::all().iter().find(|profile| profile.name == name).cloned()
    }

    /// What tells it from others: the name of one that is part of the program, and the figures too of any other.
    pub fn identity(&self) -> String {
        let known = Self::named(&self.name).is_some_and(|known| *known == *self);
        if known {
            return self.name.clone();
        }
        let rows = self.compute.iter().map(|row| {
            let Addition { architecture, experts, ubatch, first_mib, other_mib } = row;
            let experts = experts.as_deref().unwrap_or("any");
            format!("{architecture}/{experts} {first_mib}+{other_mib} MiB at {ubatch}")
        });
        let speed = self.speed.iter().flat_map(Speed::keys);
        let speed = speed.map(|(key, value)| format!("{key} {value}"));
        let words: Vec<String> = rows.chain(speed).collect();
        format!("{}: {}", self.name, words.join(", "))
    }

    /// Architectures that were measured.
    pub fn architectures(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.compute.iter().map(|addition| addition.architecture.as_str()).collect();
        names.dedup();
        names
    }

    /// The first row that speaks of such a model.
    pub fn addition(&self, model: &Model) -> Option<&Addition> {
        let experts = experts(model);
        self.compute.iter().find(|addition| {
            addition.architecture == model.architecture
                && (addition.experts.is_none() || addition.experts == experts)
        })
    }
}

impl Addition {
    /// What one GPU needs more, the first being 0, for a batch of `tokens`.
    pub fn bytes(&self, gpu: usize, tokens: u64) -> Bytes {
        let mib = if gpu == 0 { self.first_mib } else { self.other_mib };
        Bytes(Bytes::from_mib(mib).0 / self.ubatch.max(1) * tokens)
    }
}

/// The type of the routed experts, if it is one.
fn experts(model: &Model) -> Option<String> {
    let mut types = model
        .tensors
        .iter()
        .filter(|tensor| tensor.role == Role::RoutedExpert && tensor.dims.len() > 2)
        .map(|tensor| tensor.dtype);
    let first = types.next()?;
    types.all(|other| other == first).then(|| first.to_string())
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn every_row_can_be_reached() {
        for profile in Profile::all() {
            let rows = &profile.compute;
            for (i, row) in rows.iter().enumerate() {
                let hidden = rows.iter().take(i).any(|earlier| {
                    earlier.architecture == row.architecture
                        && (earlier.experts.is_none() || earlier.experts == row.experts)
                });
                assert!(!hidden && row.ubatch > 0, "{row:?}");
            }
        }
    }
}
