//! What can go wrong while files are written.

use std::io;

use camino::Utf8PathBuf;

/// Names the path and the operation; [`StoreError::help`] says the way out.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The message of the cause names the operation and the path.
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("another composegen has been at work in `{path}` for {seconds} seconds")]
    Busy { path: Utf8PathBuf, seconds: u64 },
    #[error("another composegen has been writing to `{path}` for {seconds} seconds")]
    Held { path: Utf8PathBuf, seconds: u64 },
    #[error("`{path}` leads out of the output directory")]
    Outside { path: Utf8PathBuf },
    #[error("two generated files are called `{path}`")]
    Twice { path: Utf8PathBuf },
    #[error("a directory stands where the file `{path}` is to be written")]
    Occupied { path: Utf8PathBuf },
    #[error("no file can be put into the directory `{path}`: {reason}")]
    Unwritable { path: Utf8PathBuf, reason: String },
    #[error("the new files of `{path}` are only partly in place: {cause}")]
    Unfinished { path: Utf8PathBuf, cause: Box<Self> },
    #[error("`{path}` is damaged: {reason}")]
    Damaged { path: Utf8PathBuf, reason: String },
    #[error("`{path}` is not from composegen")]
    Foreign { path: Utf8PathBuf },
}

impl StoreError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "make the directory writable for this user, or choose another with `--out`"
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space and run it again; the old files are as they were"
                }
                io::ErrorKind::NotADirectory => {
                    "a file stands where a directory is needed: move it, or choose another with `--out`"
                }
                _ => "mend this and run it again",
            }
            .to_owned(),
            Self::Busy { .. } | Self::Held { .. } => "wait for it to end, or end it, and run this again".to_owned(),
            Self::Outside { .. } => {
                "name files below the output directory, without `..`".to_owned()
            }
            Self::Twice { .. } => "give the presets different names".to_owned(),
            Self::Occupied { path } => {
                format!("move the directory `{path}` away, or choose another with `--out`")
            }
            Self::Unwritable { .. } => {
                "make the directory writable for this user and part of the same file system as the \
                 output directory, or choose another with `--out`"
                    .to_owned()
            }
            Self::Unfinished { path, .. } => format!(
                "mend this and run it again, which finishes first; until then `docker-compose.yml` may be missing. \
                 To give the new files up, delete `{path}/{}` and build again",
                super::STAGE
            ),
            Self::Damaged { path, .. } | Self::Foreign { path } => {
                format!("move `{path}` away and run it again")
            }
        }
    }
}
