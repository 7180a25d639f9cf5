//! GGUF headers are read as they are meant, whatever the file says, in bounded time and memory.

mod inspect;
mod measured;
mod models;
mod reading;
mod robust;
mod shards;
pub(crate) mod synthetic;

use std::io::Cursor;

use composegen::gguf::{Files, Finding, GgufError, Header, Model, join, read};

use synthetic::Synthetic;

fn header(file: &Synthetic) -> Result<Header, GgufError> {
    read(&mut Cursor::new(file.header()))
}

/// A model in one file. What every header without data has is left out of its findings.
fn model(file: &Synthetic) -> Model {
    let mut model = Model::new(files(file)).unwrap();
    model.findings.retain(|finding| !matches!(finding, Finding::HeaderOnly { .. }));
    model
}

fn files(file: &Synthetic) -> Files {
    join(vec![("model.gguf".into(), 1, header(file).unwrap())], Vec::new())
}

/// A header of a real model, as it is published, without its vocabulary and its tensors.
fn real(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/it/headers/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

const REAL: [&str; 6] = [
    "gemma3-27b.gguf",
    "gpt-oss-20b.gguf",
    "qwen3moe-30b.gguf",
    "qcn-ud6-00001-of-00003.gguf",
    "qcn-ud6-00002-of-00003.gguf",
    "qcn-ud6-00003-of-00003.gguf",
];
