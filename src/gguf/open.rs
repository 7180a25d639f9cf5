//! The one place of this module that touches files: finds the parts of a model, reads their headers.

use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;

use super::shards::{Files, Part, PartName, join};
use super::{GgufError, Model, ModelError, read};
use crate::artifact::Digest;

/// More than any publisher has split a model into.
const MAX_PARTS: u32 = 1024;

/// Why a model could not be read from disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The text of the error names the path.
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("{path}")]
    Header { path: Utf8PathBuf, source: GgufError },
    #[error(
        "{path} is not there: it is the first part of the model and the only one with its metadata"
    )]
    FirstPart { path: Utf8PathBuf },
    #[error(
        "{path} is part {number} of {count} by its metadata, but its name does not end in -{number:05}-of-{count:05}.gguf, so that the first part cannot be found"
    )]
    Renamed { path: Utf8PathBuf, number: u64, count: u64 },
    #[error("{path} belongs to a model of {count} parts; at most {MAX_PARTS} are read")]
    Parts { path: Utf8PathBuf, count: u32 },
    #[error("{path}")]
    Model { path: Utf8PathBuf, source: ModelError },
}

/// Reads the model that the file belongs to; of a split model any part will do.
pub fn open(path: &Utf8Path) -> Result<Model, OpenError> {
    let files = open_files(path)?;
    Model::new(files).map_err(|source| OpenError::Model { path: path.to_owned(), source })
}

/// The digest of what stands before the tensors' data in these parts, one after the other; `path` is any of their files.
/// A file that was cut off behind its header has the digest of the whole one.
pub fn digest(path: &Utf8Path, parts: &[Part]) -> io::Result<Digest> {
    let mut whole: Box<dyn Read> = Box::new(io::empty());
    for part in parts {
        whole = Box::new(whole.chain(before_data(path, part)?));
    }
    Digest::read(&mut whole)
}

/// What stands before the tensors' data in one part; `path` is any file of the model.
pub fn header_bytes(path: &Utf8Path, part: &Part) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    before_data(path, part)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn before_data(path: &Utf8Path, part: &Part) -> io::Result<impl Read + use<>> {
    let file = File::open(path.with_file_name(&part.name))?;
    // Before the data there may be padding, which is zeros.
    Ok(file.take(part.data_start).chain(io::repeat(0)).take(part.data_start))
}

/// The headers of all parts, put together. Parts that are not there are a finding, unless it is the first.
pub fn open_files(path: &Utf8Path) -> Result<Files, OpenError> {
    let name = path.file_name().unwrap_or(path.as_str());
    let Some(part) = PartName::parse(name).filter(|part| part.count > 1) else {
        let header = header(path)?;
        let number = header.metadata.u64("split.no").unwrap_or(0).saturating_add(1);
        let count = header.metadata.u64("split.count").unwrap_or(1);
        if number > 1 {
            return Err(OpenError::Renamed { path: path.to_owned(), number, count });
        }
        return Ok(join(vec![(name.to_owned(), 1, header)], Vec::new()));
    };
    if part.count > MAX_PARTS {
        return Err(OpenError::Parts { path: path.to_owned(), count: part.count });
    }
    let (mut parts, mut missing) = (Vec::new(), Vec::new());
    for number in 1..=part.count {
        let name = part.sibling(number);
        let path = path.with_file_name(&name);
        match header(&path) {
            Ok(header) => parts.push((name, number, header)),
            Err(OpenError::File(error)) if error.kind() == io::ErrorKind::NotFound => {
                if number == 1 {
                    return Err(OpenError::FirstPart { path });
                }
                missing.push(name);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(join(parts, missing))
}

fn header(path: &Utf8Path) -> Result<super::Header, OpenError> {
    let mut file = File::open(path)?;
    read(&mut file).map_err(|source| OpenError::Header { path: path.to_owned(), source })
}
