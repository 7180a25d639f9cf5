//! Why a file is no GGUF that could be read.

use std::io;

/// Each names what was wrong and, where it helps, the byte at which it stands.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("reading failed at byte {at}")]
    Io { at: u64, source: io::Error },
    #[error("no GGUF file: it starts with {:?} instead of \"GGUF\"", String::from_utf8_lossy(.0))]
    Magic([u8; 4]),
    #[error(
        "a big-endian GGUF file (version {0} in the other byte order), which llama.cpp on x86 or ARM does not load"
    )]
    BigEndian(u32),
    #[error("GGUF version {0}: versions 2 and 3 can be read")]
    Version(u32),
    #[error(
        "the file ends within its header: {what} at byte {at} would reach beyond its {length} bytes"
    )]
    Truncated { what: &'static str, at: u64, length: u64 },
    #[error("{what} at byte {at} would make the header longer than {limit} bytes")]
    Endless { what: &'static str, at: u64, limit: u64 },
    #[error("{count} {what}, more than the {limit} that are read")]
    TooMany { what: &'static str, count: u64, limit: u64 },
    #[error("a {what} of {length} bytes at byte {at}, more than the {limit} allowed")]
    TooLong { what: &'static str, length: u64, limit: u64, at: u64 },
    #[error("the {what} at byte {at} is not UTF-8")]
    NotUtf8 { what: &'static str, at: u64 },
    #[error("the key {key:?} has a value of the unknown type {kind}")]
    ValueType { key: String, kind: u32 },
    #[error("the key {0:?} stands twice in the header")]
    DuplicateKey(String),
    #[error("general.alignment is {0}, not a power of two")]
    Alignment(String),
    #[error("the tensor {0:?} stands twice in the header")]
    DuplicateTensor(String),
    #[error("the tensor {name:?} has {rank} dimensions; ggml knows 1 to 4")]
    Rank { name: String, rank: u32 },
    #[error("the shape {dims:?} of the tensor {name:?} is beyond what ggml can count")]
    Shape { name: String, dims: Vec<u64> },
    #[error("rows of {len} values in the tensor {name:?} are not whole blocks of {dtype}")]
    BrokenBlock { name: String, len: u64, dtype: String },
    #[error("the tensor {name:?} ends beyond the largest file there can be (offset {offset})")]
    Offset { name: String, offset: u64 },
}
