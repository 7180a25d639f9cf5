//! A file that only grows, line by line: safe with several writers and with one that dies while it writes.
//!
//! Each line is one write at the file's end, under the kernel's lock, and flushed. A line without an end is what a
//! crash left: the next one begins on a line of its own, so that the rest costs nobody else anything.

use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use camino::Utf8Path;
use fs_err as fs;

use super::StoreError;
use super::lock::lock;

/// How long to wait for another writer. It writes one line.
const PATIENCE: Duration = Duration::from_secs(10);

/// Adds lines, none of which holds a line break. Creates the file and its directory where they do not exist.
pub fn append<S: AsRef<str>>(path: &Utf8Path, lines: &[S]) -> Result<(), StoreError> {
    append_within(path, lines, PATIENCE)
}

/// Adds the lines that are made of what is there, which nobody else can change in between.
pub fn append_with(
    path: &Utf8Path,
    lines: impl FnOnce(&[u8]) -> Vec<String>,
) -> Result<(), StoreError> {
    let mut file = held(path, PATIENCE)?;
    let mut there = Vec::new();
    // A device has no content, and may have no end.
    if file.metadata()?.is_file() {
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut there)?;
    }
    write(&mut file, text(path, &lines(&there))?)
}

/// Whether lines could be added, before the work that makes them. Where there is no such file, none is left.
pub fn appendable(path: &Utf8Path) -> Result<(), StoreError> {
    match fs::OpenOptions::new().append(true).read(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        opened => return Ok(opened.map(drop)?),
    }
    let dir = directory(path)?.unwrap_or(Utf8Path::new("."));
    let unwritable = |error: std::io::Error| StoreError::Unwritable {
        path: dir.to_owned(),
        reason: error.to_string(),
    };
    tempfile::tempfile_in(dir).map(drop).map_err(unwritable)
}

fn append_within<S: AsRef<str>>(
    path: &Utf8Path,
    lines: &[S],
    patience: Duration,
) -> Result<(), StoreError> {
    let text = text(path, lines)?;
    if text.is_empty() {
        return Ok(());
    }
    write(&mut held(path, patience)?, text)
}

fn text<S: AsRef<str>>(path: &Utf8Path, lines: &[S]) -> Result<String, StoreError> {
    let mut text = String::new();
    for line in lines.iter().map(AsRef::as_ref) {
        if line.contains(['\n', '\r']) {
            let reason = "a line that is to be added holds a line break".to_owned();
            return Err(StoreError::Unwritable { path: path.to_owned(), reason });
        }
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

/// The file's directory, which is made where it does not exist.
fn directory(path: &Utf8Path) -> Result<Option<&Utf8Path>, StoreError> {
    let parent = path.parent().filter(|parent| !parent.as_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent)?;
    }
    Ok(parent)
}

/// The file, under the lock until it is closed.
fn held(path: &Utf8Path, patience: Duration) -> Result<fs::File, StoreError> {
    directory(path)?;
    let file = fs::OpenOptions::new().create(true).append(true).read(true).open(path)?;
    lock(&file, path, patience).map_err(|error| match error {
        StoreError::Busy { path, seconds } => StoreError::Held { path, seconds },
        other => other,
    })?;
    Ok(file)
}

fn write(file: &mut fs::File, mut text: String) -> Result<(), StoreError> {
    if text.is_empty() {
        return Ok(());
    }
    if unfinished(file)? {
        text.insert(0, '\n');
    }
    let before = file.metadata()?.len();
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
    if written.is_err() {
        // A disk that is full takes a part of a line. Where that cannot be taken back, the next writer passes over it.
        let _ = file.set_len(before);
    }
    Ok(written?)
}

/// Whether the last line has no end.
fn unfinished(file: &mut fs::File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use camino::Utf8PathBuf;

    use super::{append, append_with, append_within, appendable};

    fn file() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("a/b/ledger.jsonl")).unwrap();
        (folder, path)
    }

    #[test]
    fn grows_and_goes_on_after_an_unfinished_line() {
        let (_folder, path) = file();
        let read = || fs_err::read_to_string(&path).unwrap();
        append(&path, &["{\"a\":1}", "{\"b\":2}"]).unwrap();
        append::<&str>(&path, &[]).unwrap();
        assert_eq!(read(), "{\"a\":1}\n{\"b\":2}\n");
        for end in 9..read().len() {
            let cut = read()[..end].to_owned();
            fs_err::write(&path, &cut).unwrap();
            append(&path, &["{\"c\":3}"]).unwrap();
            assert_eq!(read(), format!("{cut}\n{{\"c\":3}}\n"));
            fs_err::write(&path, "{\"a\":1}\n{\"b\":2}\n").unwrap();
        }
    }

    #[test]
    fn refuses_what_would_be_two_lines() {
        let (_folder, path) = file();
        let error = append(&path, &["a\nb"]).unwrap_err().to_string();
        assert!(error.contains("line break"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn what_is_there_is_seen_under_the_lock() {
        let (_folder, path) = file();
        let once = |there: &[u8]| if there.is_empty() { vec!["a".to_owned()] } else { Vec::new() };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| append_with(&path, once).unwrap());
            }
        });
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "a\n");
    }

    #[test]
    fn says_beforehand_whether_it_could_write() {
        let (_folder, path) = file();
        appendable(&path).unwrap();
        assert!(!path.exists(), "nothing was written yet");
        append(&path, &["a"]).unwrap();
        appendable(&path).unwrap();
        assert!(appendable(path.parent().unwrap()).is_err(), "a directory");
        assert!(appendable(&path.join("b")).is_err(), "below a file");
    }

    #[test]
    fn waits_for_the_other_writer() {
        let (_folder, path) = file();
        append(&path, &["a"]).unwrap();
        let other = fs_err::File::open(&path).unwrap();
        other.file().lock().unwrap();
        let error = append_within(&path, &["b"], Duration::from_millis(30)).unwrap_err();
        assert!(error.to_string().contains("has been writing to"), "{error}");
        assert!(error.help().contains("run this again"));
        drop(other);
        append(&path, &["b"]).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "a\nb\n");
    }
}
