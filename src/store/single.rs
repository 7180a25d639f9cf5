//! One file that belongs to no output directory: whole or not at all, and in nobody's way.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use fs_err as fs;

use super::StoreError;

/// Writes a file beside which nothing else changes. Without `replace` one that is there is an error of the kind
/// `AlreadyExists`, also where it appeared a moment ago. A link stays one: what it points to is replaced.
pub fn single(path: &Utf8Path, text: &str, replace: bool) -> Result<(), StoreError> {
    let target = if replace && path.is_symlink() { path.canonicalize_utf8().ok() } else { None };
    let path = target.as_deref().unwrap_or(path);
    let parent = path.parent().filter(|parent| !parent.as_str().is_empty());
    let parent = parent.unwrap_or(Utf8Path::new("."));
    if path.is_dir() {
        return Err(StoreError::Occupied { path: path.to_owned() });
    }
    fs::create_dir_all(parent)?;
    let unwritable = |error: std::io::Error| StoreError::Unwritable {
        path: parent.to_owned(),
        reason: error.to_string(),
    };
    let mut file = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(parent)
        .map_err(unwritable)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    let placed = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt as _;

    use camino::Utf8Path;

    use super::single;
    use crate::store::StoreError;

    #[test]
    fn nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let path = dir.join("new/a.toml");
        single(&path, "one", false).unwrap();
        let again = single(&path, "two", false).unwrap_err();
        assert!(matches!(again, StoreError::Io(error) if error.kind() == ErrorKind::AlreadyExists));
        let text = || fs_err::read_to_string(&path).unwrap();
        assert_eq!(text(), "one");
        single(&path, "two", true).unwrap();
        assert_eq!(text(), "two");
        // As the umask has it, and not for the owner alone.
        let mode = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o600, 0o600);
        assert_eq!(mode & 0o111, 0);
        assert_eq!(fs_err::read_dir(dir.join("new")).unwrap().count(), 1, "nothing is left over");
        assert!(single(dir, "x", true).is_err());
    }

    #[test]
    fn a_link_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let (link, target) = (dir.join("link.toml"), dir.join("there/a.toml"));
        single(&target, "one", false).unwrap();
        std::os::unix::fs::symlink("there/a.toml", &link).unwrap();
        single(&link, "two", true).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs_err::read_to_string(&target).unwrap(), "two");
        assert!(single(&link, "three", false).is_err());
        // One that points nowhere has nothing to replace.
        fs_err::remove_file(&target).unwrap();
        single(&link, "four", true).unwrap();
        assert_eq!(fs_err::read_to_string(&link).unwrap(), "four");
    }
}
