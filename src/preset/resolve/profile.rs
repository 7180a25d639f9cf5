//! The build that a preset's plans count with: by name, or from a file beside the preset that says it.

use std::io;
use std::sync::Arc;

use camino::Utf8Path;

use super::{Library, named};
use crate::diagnostic::{Code, Diagnostic, FileId, Location};
use crate::preset::Preset;
use crate::profile::{Profile, ProfileError};
use crate::table::Set;

impl Library<'_> {
    pub(super) fn profile(
        &mut self,
        path: &Utf8Path,
        merged: &Preset,
        inputs: &mut Vec<FileId>,
    ) -> Option<Arc<Profile>> {
        let name = merged.image.profile.as_deref()?;
        if let Some(known) = Profile::named(&name.value) {
            return Some(known);
        }
        let says = self.sources.get(name.at.file).map_or(path, |source| source.path.as_path());
        let file = named(says, "profiles", &name.value);
        match self.read_profile(&file) {
            Ok(read) => {
                let (file, profile) = read?;
                inputs.push(file);
                Some(profile)
            }
            Err(error) => {
                self.findings.push(missing(&file, name, &error));
                None
            }
        }
    }

    fn read_profile(&mut self, path: &Utf8Path) -> io::Result<Option<(FileId, Arc<Profile>)>> {
        if let Some(known) = self.profiles.get(path) {
            return Ok(known.clone());
        }
        let text = (self.load)(path)?;
        let read = Profile::parse(&text);
        let file = self.sources.add(path, text);
        let known = match read {
            Ok(profile) => Some((file, Arc::new(profile))),
            Err(error) => {
                let (message, span) = match &error {
                    ProfileError::Syntax(error) => {
                        (error.message().to_owned(), error.span().unwrap_or_default())
                    }
                    ProfileError::Count(_) => (error.to_string(), 0..0),
                };
                self.findings.push(
                    Diagnostic::new(Code::Syntax, format!("no profile: {message}"))
                        .at(Location::new(file, &span))
                        .help("`composegen calibrate --buffers FILE` writes one"),
                );
                None
            }
        };
        self.profiles.insert(path.to_owned(), known.clone());
        Ok(known)
    }
}

fn missing(path: &Utf8Path, name: &Set<String>, error: &io::Error) -> Diagnostic {
    Diagnostic::new(Code::MissingFile, format!("cannot read the profile `{}`", name.value))
        .at(name.at.clone())
        .label(error.to_string())
        .help(format!(
            "known is {}; any other is looked for at `{path}`; a value that ends in `.toml` is taken as a path",
            Profile::known()
        ))
}

#[cfg(test)]
mod tests {
    use std::io;

    use camino::Utf8Path;

    use crate::preset::resolve::{Library, Resolved};

    const FILE: &str = "[[profile]]\nname = \"b12000\"\nabout = \"x\"\n\
        [[profile.compute]]\narchitecture = \"llama\"\nubatch = 512\nfirst_mib = 7\nother_mib = 3\n";

    fn load(path: &Utf8Path) -> io::Result<String> {
        let text = match path.as_str() {
            "p/child.toml" => "extends = \"base/parent\"\n",
            "p/base/parent.toml" | "p/named.toml" => "[image]\nprofile = \"b12000\"\n",
            "p/known.toml" => "[image]\nprofile = \"seed-2026-02\"\n",
            "p/path.toml" => "[image]\nprofile = \"base/profiles/b12000.toml\"\n",
            "p/broken.toml" => "[image]\nprofile = \"./broken-profile.toml\"\n",
            "p/broken-profile.toml" => "[[profile]]\nname = \"x\"\nabout = \"x\"\nmib = 1\n",
            "p/two.toml" => "[image]\nprofile = \"two-profiles.toml\"\n",
            "p/base/profiles/b12000.toml" => FILE,
            "p/two-profiles.toml" => return Ok(FILE.repeat(2)),
            _ => return Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        Ok(text.to_owned())
    }

    fn read(path: &str) -> (Resolved, Vec<String>) {
        let mut library = Library::new(&load);
        let resolved = library.resolve(Utf8Path::new(path)).unwrap();
        let said = library.findings.iter().map(|finding| finding.message.clone());
        (resolved, said.collect())
    }

    #[test]
    fn a_file_beside_the_preset_that_says_it() {
        for (path, inputs) in [("p/child.toml", 3), ("p/path.toml", 2), ("p/known.toml", 1)] {
            let (resolved, said) = read(path);
            assert!(said.is_empty(), "{path}: {said:?}");
            assert_eq!(resolved.inputs.len(), inputs, "{path}");
        }
        let (child, _) = read("p/child.toml");
        let identity = "b12000: llama/any 7+3 MiB at 512";
        assert_eq!(child.profile.unwrap().identity(), identity);
        let (known, _) = read("p/known.toml");
        assert_eq!(known.profile.unwrap().identity(), "seed-2026-02");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (path, why) in [
            ("p/named.toml", "cannot read the profile `b12000`"),
            ("p/broken.toml", "no profile: unknown field `mib`"),
            ("p/two.toml", "no profile: it has 2 `[[profile]]` tables"),
        ] {
            let (resolved, said) = read(path);
            assert_eq!(resolved.profile, None, "{path}");
            assert!(matches!(&said[..], [one] if one.starts_with(why)), "{path}: {said:?}");
        }
    }
}
