//! What another build of llama.cpp reserves beyond the one that is modelled, as far as somebody measured it.
//!
//! A profile is data (`profiles.toml`): MiB per device, by kind of model, in proportion to the batch.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::gguf::{Model, Role};
use crate::hardware::Speed;
use crate::units::Bytes;

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
pub(super) struct Addition {
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

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    #[expect(clippy::unwrap_used, reason = "the file is part of the program, and a test reads it")]
    let read: Profiles = toml::from_str(include_str!("profiles.toml")).unwrap();
    read.profile
});

impl Profile {
    pub fn all() -> &'static [Self] {
        &PROFILES
    }

    /// The one profile of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read: Profiles = toml::from_str(text).map_err(|error| error.to_string())?;
        let count = read.profile.len();
        let mut profiles = read.profile.into_iter();
        match (profiles.next(), profiles.next()) {
            (Some(profile), None) => Ok(profile),
            _ => Err(format!("it has {count} `[[profile]]` tables, and one is meant")),
        }
    }

    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|profile| profile.name == name)
    }

    /// Architectures that were measured.
    pub fn architectures(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.compute.iter().map(|addition| addition.architecture.as_str()).collect();
        names.dedup();
        names
    }

    /// The first row that speaks of such a model.
    pub(super) fn addition(&self, model: &Model) -> Option<&Addition> {
        let experts = experts(model);
        self.compute.iter().find(|addition| {
            addition.architecture == model.architecture
                && (addition.experts.is_none() || addition.experts == experts)
        })
    }
}

impl Addition {
    pub(super) fn bytes(&self, gpu: usize, tokens: u64) -> Bytes {
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
