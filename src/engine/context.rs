//! What a build is sent: the output directory without what `Dockerfile.dockerignore` leaves out, as a tar that is
//! made while it travels.

mod ignore;

use std::io::{self, Write};
use std::sync::mpsc;

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use tar::{Builder, EntryType, Header};

pub use ignore::Ignore;

/// Files in the order in which they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    directory: Utf8PathBuf,
    files: Vec<Utf8PathBuf>,
}

impl Context {
    /// Looks through the directory, without reading files.
    pub fn read(directory: &Utf8Path) -> io::Result<Self> {
        let rules = fs::read_to_string(directory.join("Dockerfile.dockerignore"))?;
        let rules = Ignore::parse(&rules);
        let mut files = vec![Utf8PathBuf::from("Dockerfile")];
        walk(directory, Utf8Path::new(""), &rules, &mut files)?;
        Ok(Self { directory: directory.to_owned(), files })
    }

    pub fn files(&self) -> &[Utf8PathBuf] {
        &self.files
    }

    /// Writes all files; times and owners are left out, so that a checkout's age changes nothing.
    pub fn write(&self, into: impl Write) -> io::Result<()> {
        let mut archive = Builder::new(into);
        for path in &self.files {
            let full = self.directory.join(path);
            let about = fs::symlink_metadata(&full)?;
            let mut header = Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            if about.is_symlink() {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                header.set_mode(0o777);
                archive.append_link(&mut header, path, fs::read_link(&full)?)?;
                continue;
            }
            let mut file = fs::File::open(&full)?;
            header.set_size(about.len());
            header.set_mode(if executable(&about) { 0o755 } else { 0o644 });
            // A file that grows or shrinks in the meantime must not spoil what follows it.
            let mut exact = io::Read::take(&mut file, about.len());
            archive.append_data(&mut header, path, &mut exact)?;
        }
        archive.finish()
    }
}

#[cfg(unix)]
fn executable(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    about.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn executable(_: &std::fs::Metadata) -> bool {
    true
}

fn walk(
    directory: &Utf8Path,
    below: &Utf8Path,
    rules: &Ignore,
    files: &mut Vec<Utf8PathBuf>,
) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory.join(below).as_std_path())? {
        let entry = entry?;
        let name = entry.file_name();
        // A name that is no text could not be named in a Dockerfile either.
        if let Some(name) = name.to_str() {
            entries.push((below.join(name), entry.file_type()?.is_dir()));
        }
    }
    entries.sort();
    for (path, is_dir) in entries {
        if is_dir {
            if !rules.ignores_all_below(path.as_str()) {
                walk(directory, &path, rules, files)?;
            }
        } else if !rules.ignores(path.as_str()) && path != "Dockerfile" {
            files.push(path);
        }
    }
    Ok(())
}

/// Hands pieces of a tar from the thread that writes it to the one that sends it.
pub(super) struct Pieces(pub(super) tokio::sync::mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The build has ended before its context did.
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the tar on a thread of its own; the second half tells how that ended.
pub(super) fn send(
    context: Context,
) -> (tokio::sync::mpsc::Receiver<io::Result<Bytes>>, mpsc::Receiver<io::Result<()>>) {
    let (pieces, received) = tokio::sync::mpsc::channel(16);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let error = pieces.clone();
        let buffered = io::BufWriter::with_capacity(1 << 18, Pieces(pieces));
        let result = context.write(buffered);
        if let Err(cause) = &result {
            // The engine must not take half a tar for a whole one.
            let _ = error.blocking_send(Err(io::Error::new(cause.kind(), cause.to_string())));
        }
        let _ = ended.send(result);
    });
    (received, end)
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::Context;

    #[test]
    fn a_tar_has_what_is_not_ignored_and_no_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        for (file, text) in [
            ("Dockerfile", "FROM scratch\n"),
            ("Dockerfile.dockerignore", "*\n!entrypoint.sh\n!src\nsrc/.git\n"),
            ("entrypoint.sh", "#!/bin/sh\n"),
            ("a.env", "X=1\n"),
            ("src/a.c", "a"),
            ("src/.git/config", "secret"),
        ] {
            let file = path.join(file);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, text).unwrap();
        }
        std::os::unix::fs::symlink("a.c", path.join("src/link")).unwrap();
        let context = Context::read(path).unwrap();
        assert_eq!(context.files(), ["Dockerfile", "entrypoint.sh", "src/a.c", "src/link"]);
        let mut bytes = Vec::new();
        context.write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
            let link = entry.link_name().unwrap().map(|link| link.display().to_string());
            seen.push((entry.path().unwrap().display().to_string(), link));
        }
        let plain = |name: &str| (name.to_owned(), None);
        assert_eq!(
            seen,
            [
                plain("Dockerfile"),
                plain("entrypoint.sh"),
                plain("src/a.c"),
                ("src/link".to_owned(), Some("a.c".to_owned())),
            ]
        );
    }
}
