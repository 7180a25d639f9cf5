//! Which files a build would overwrite or remove although composegen did not write what is in them.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::StoreError;
use super::journal::inside;
use super::stage::read;
use crate::artifact::{Artifact, Digest};

/// A file whose content is neither what the lock file says nor what is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    pub path: Utf8PathBuf,
    /// The lock file does not know it: composegen never wrote it. Otherwise it was edited since.
    pub foreign: bool,
}

/// Compares the files on disk with `outputs`, those of the lock file, and with `new`, those to be written (without the
/// lock file itself). Sorted by path. Reads only.
pub fn edited(
    out: &Utf8Path,
    outputs: &BTreeMap<Utf8PathBuf, Digest>,
    new: &[Artifact],
) -> Result<Vec<Edited>, StoreError> {
    let mut wanted: BTreeMap<&Utf8Path, Option<&Artifact>> =
        outputs.keys().map(|path| (path.as_path(), None)).collect();
    wanted.extend(new.iter().map(|file| (file.path.as_path(), Some(file))));
    let mut found = Vec::new();
    for (path, file) in wanted {
        let Some(current) = read(out, &inside(path)?)? else { continue };
        let known = outputs.get(path);
        let ours = known.is_some_and(|known| known.as_str() == current.digest);
        if !ours && file.is_none_or(|file| file.digest().as_str() != current.digest) {
            found.push(Edited { path: path.to_owned(), foreign: known.is_none() });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use camino::Utf8Path;

    use super::{Edited, edited};
    use crate::artifact::{Artifact, Digest};

    #[test]
    fn protects_what_others_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let out = Utf8Path::from_path(folder.path()).unwrap();
        let new = ["same", "changed", "edited", "foreign", "agrees", "absent"]
            .map(|path| Artifact::new(path, "new"));
        let outputs: BTreeMap<_, _> = ["same", "changed", "edited", "dropped", "kept", "missing"]
            .map(|path| (path.into(), Digest::of(if path == "same" { b"new" } else { b"old" })))
            .into();
        for (path, text) in [
            ("same", "new"),
            ("changed", "old"),
            ("edited", "mine"),
            ("foreign", "mine"),
            // Not in the lock file, yet what would be written: nothing is lost.
            ("agrees", "new"),
            ("dropped", "old"),
            ("kept", "mine"),
            ("unrelated", "mine"),
        ] {
            fs_err::write(out.join(path), text).unwrap();
        }
        let found = |path: &str, foreign| Edited { path: path.into(), foreign };
        assert_eq!(
            edited(out, &outputs, &new).unwrap(),
            [found("edited", false), found("foreign", true), found("kept", false)]
        );
        assert!(edited(out, &BTreeMap::new(), &[Artifact::new("/etc/passwd", "")]).is_err());
    }
}
