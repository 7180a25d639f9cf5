//! Where llama.cpp's source comes from. Everything here is plain by construction, so that a Dockerfile, a
//! shell and a URL read it the same way. Resolving a branch to a commit is the work of the `git` edge.

use std::fmt;
use std::str::FromStr;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use serde::Serialize;

/// The source that is compiled.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Git {
        repository: Repository,
        reference: Reference,
        /// What the reference was resolved to; absent: the build resolves it, each time anew.
        commit: Option<Commit>,
    },
    /// A directory below the build context.
    Local {
        directory: Utf8PathBuf,
        /// What is checked out there, where it is a repository without changes.
        commit: Option<Commit>,
    },
}

impl Source {
    /// The branch that llama.cpp is developed on.
    pub fn upstream() -> Self {
        Self::Git {
            repository: Repository("https://github.com/ggml-org/llama.cpp".into()),
            reference: Reference::Branch("master".into()),
            commit: None,
        }
    }

    /// A directory below the build context, written with `/`.
    ///
    /// # Errors
    /// Where it is absolute, leaves the context, or has a character that a Dockerfile gives a meaning.
    pub fn local(directory: impl AsRef<Utf8Path>) -> Result<Self, String> {
        let directory = directory.as_ref();
        let inside = directory.components().all(|part| match part {
            Utf8Component::Normal(part) => is_plain(part, "._+-") && !part.starts_with('-'),
            Utf8Component::CurDir => true,
            _ => false,
        });
        let named = |part: &Utf8Component<'_>| *part != Utf8Component::CurDir;
        let directory: Utf8PathBuf = directory.components().filter(named).collect();
        if !inside || directory.as_str().is_empty() {
            return Err(format!(
                "`{directory}` is no directory below the build context; it has letters, digits and `._+-`"
            ));
        }
        Ok(Self::Local { directory, commit: None })
    }

    /// The commit that is built, where it is known beforehand.
    pub fn pinned(&self) -> Option<&Commit> {
        match self {
            Self::Git { reference: Reference::Commit(commit), .. } => Some(commit),
            Self::Git { commit, .. } | Self::Local { commit, .. } => commit.as_ref(),
        }
    }
}

/// What is asked of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    Branch(String),
    Tag(String),
    Commit(Commit),
}

impl Reference {
    /// # Errors
    /// Where git would refuse the name or a shell would read more than a word.
    pub fn branch(name: &str) -> Result<Self, String> {
        reference_name(name).map(Self::Branch)
    }

    /// # Errors
    /// As for [`Reference::branch`].
    pub fn tag(name: &str) -> Result<Self, String> {
        reference_name(name).map(Self::Tag)
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) => name,
            Self::Commit(commit) => commit.as_str(),
        }
    }

    /// The build number that an upstream release tag carries: `b11434`.
    pub fn build_number(&self) -> Option<u32> {
        match self {
            Self::Tag(name) => name.strip_prefix('b')?.parse().ok(),
            Self::Branch(_) | Self::Commit(_) => None,
        }
    }
}

/// The part of `git check-ref-format` that is left when only plain characters are allowed.
fn reference_name(name: &str) -> Result<String, String> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.rsplit_once('.').is_none_or(|(_, end)| end != "lock")
    };
    if is_plain(name, "._/+-")
        && !name.starts_with('-')
        && !name.contains("..")
        && name.split('/').all(part)
    {
        Ok(name.to_owned())
    } else {
        Err(format!("`{name}` is no name of a branch or tag"))
    }
}

/// 40 hex digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Commit(String);

impl Commit {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Commit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is no commit; write all 40 hex digits in lower case"))
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository that a build can read without a key: `https://`, `http://` or `git://`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Repository(String);

impl Repository {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the list of references has a URL of its own (git's smart HTTP protocol).
    pub fn is_http(&self) -> bool {
        !self.0.starts_with("git://")
    }
}

impl FromStr for Repository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest =
            ["https://", "http://", "git://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let Some(rest) = rest else {
            return Err(format!(
                "`{text}` cannot be fetched by a build; use https, or clone it and name the local directory"
            ));
        };
        // An `@` would hold a name and a password, which end up in the image's history.
        if !is_plain(rest, "._~:/%+-") || rest.starts_with(['/', ':', '-']) {
            return Err(format!("`{text}` is no URL of a repository, or holds a name or password"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

fn is_plain(text: &str, also: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_as_reference_is_its_own_pin() {
        let commit: Commit = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let Source::Git { repository, .. } = Source::upstream() else { unreachable!() };
        let source =
            Source::Git { repository, reference: Reference::Commit(commit.clone()), commit: None };
        assert_eq!(source.pinned(), Some(&commit));
        assert_eq!(Source::upstream().pinned(), None);
        assert!("0123456789ABCDEF0123456789abcdef01234567".parse::<Commit>().is_err());
        assert!("0123456".parse::<Commit>().is_err());
    }

    #[test]
    fn release_tags_carry_their_number() {
        assert_eq!(Reference::tag("b11434").unwrap().build_number(), Some(11434));
        assert_eq!(Reference::tag("beta").unwrap().build_number(), None);
        assert_eq!(Reference::branch("b11434").unwrap().build_number(), None);
    }

    #[test]
    fn names_stay_plain() {
        for good in ["master", "feature/x", "v1.2", "gg/server+rpc"] {
            assert!(Reference::branch(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a b", "a..b", "a//b", "a/", ".a", "a.lock", "a$b", "a;b", "a^", "é"]
        {
            assert!(Reference::branch(bad).is_err(), "{bad}");
        }
        for bad in
            ["git@host:x", "https://u:p@host/x", "https://host/$(id)", "file:///x", "https://"]
        {
            assert!(bad.parse::<Repository>().is_err(), "{bad}");
        }
        let repository: Repository = "https://host:8443/x.git/".parse().unwrap();
        assert_eq!(repository.as_str(), "https://host:8443/x.git");
    }

    #[test]
    fn a_local_directory_stays_in_the_context() {
        let local = |text: &str| Source::local(text);
        assert_eq!(
            local("./src/llama.cpp/").unwrap(),
            Source::Local { directory: "src/llama.cpp".into(), commit: None }
        );
        for bad in ["", ".", "/abs", "../up", "a/../b", "a b", "-a", "a$b", "a\nb"] {
            assert!(local(bad).is_err(), "{bad}");
        }
    }
}
