//! Split models: any part names the model, all parts are read, and what is missing or wrong is said.

use camino::Utf8PathBuf;
use composegen::gguf::{DType, Finding, Model, OpenError, open};
use tempfile::TempDir;

use super::real;
use super::synthetic::{Synthetic, Value};

struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.0.path().join(name)).unwrap()
    }

    fn open(&self, name: &str) -> Result<Model, OpenError> {
        open(&self.path(name))
    }
}

fn base() -> Synthetic {
    Synthetic::new("llama").keys(&[
        ("llama.block_count", 2u32),
        ("llama.context_length", 4096),
        ("llama.embedding_length", 64),
        ("llama.attention.head_count", 4),
        ("llama.vocab_size", 100),
    ])
}

/// A part with `tensors` tensors of 64 floats, which says of itself what it is told.
fn part(
    start: Synthetic,
    number: u16,
    count: u16,
    total: i32,
    tensors: std::ops::Range<u32>,
) -> Vec<u8> {
    let mut file = start
        .key("split.no", Value::U16(number))
        .key("split.count", Value::U16(count))
        .key("split.tensors.count", Value::I32(total));
    for tensor in tensors {
        file = file.tensor(&format!("blk.{tensor}.attn_norm.weight"), &[64], DType::F32);
    }
    let mut bytes = file.header();
    bytes.resize(bytes.len() + usize::try_from(file.data()).unwrap(), 0);
    bytes
}

#[test]
fn any_part_will_do() {
    let names = [
        "qcn-ud6-00001-of-00003.gguf",
        "qcn-ud6-00002-of-00003.gguf",
        "qcn-ud6-00003-of-00003.gguf",
    ];
    let folder = Folder::new(&names.map(|name| (name, real(name))));
    for name in names {
        let model = folder.open(name).unwrap();
        assert_eq!(model.architecture, "qwen3next");
        assert_eq!(model.tensors.len(), 843);
        assert_eq!(model.parts.iter().map(|part| part.tensors).collect::<Vec<_>>(), [281; 3]);
        assert_eq!(model.tensor("blk.15.ffn_up_shexp.weight").unwrap().part, 1);
        let only_headers = |f: &Finding| matches!(f, Finding::HeaderOnly { .. });
        assert!(model.findings.iter().all(only_headers), "{:?}", model.findings);
    }
}

#[test]
fn the_first_part_may_have_no_tensors() {
    let folder = Folder::new(&[
        ("m-00001-of-00002.gguf", part(base(), 0, 2, 2, 0..0)),
        ("m-00002-of-00002.gguf", part(Synthetic::bare(), 1, 2, 2, 0..2)),
    ]);
    let model = folder.open("m-00002-of-00002.gguf").unwrap();
    assert_eq!(model.tensors.len(), 2);
    assert!(model.findings.is_empty(), "{:?}", model.findings);
}

#[test]
fn missing_parts_are_named() {
    let folder = Folder::new(&[
        ("m-00001-of-00003.gguf", part(base(), 0, 3, 4, 0..1)),
        ("m-00003-of-00003.gguf", part(Synthetic::bare(), 2, 3, 4, 1..2)),
    ]);
    let model = folder.open("m-00003-of-00003.gguf").unwrap();
    let missing = vec!["m-00002-of-00003.gguf".to_owned()];
    assert_eq!(model.findings[0], Finding::MissingParts { missing });
    assert!(model.findings[0].is_fatal());

    let folder = Folder::new(&[("m-00002-of-00003.gguf", part(base(), 1, 3, 4, 0..1))]);
    let error = folder.open("m-00002-of-00003.gguf").unwrap_err();
    assert!(
        matches!(&error, OpenError::FirstPart { path } if path.as_str().ends_with("m-00001-of-00003.gguf"))
    );
}

#[test]
fn renamed_parts_are_told_apart_from_whole_models() {
    let folder = Folder::new(&[
        ("first.gguf", part(base(), 0, 2, 2, 0..1)),
        ("second.gguf", part(Synthetic::bare(), 1, 2, 2, 1..2)),
    ]);
    let model = folder.open("first.gguf").unwrap();
    assert_eq!(model.findings[0], Finding::RenamedPart { part: "first.gguf".into(), count: 2 });
    let error = folder.open("second.gguf").unwrap_err();
    assert!(matches!(error, OpenError::Renamed { number: 2, count: 2, .. }), "{error}");
}

#[test]
fn parts_that_contradict_each_other_are_reported() {
    let wrong = |key: &str, expected, found| Finding::WrongPart {
        part: "m-00002-of-00002.gguf".into(),
        key: key.into(),
        expected,
        found,
    };
    let second = |number, count, tensors| {
        let folder = Folder::new(&[
            ("m-00001-of-00002.gguf", part(base(), 0, 2, 2, 0..1)),
            ("m-00002-of-00002.gguf", part(Synthetic::bare(), number, count, 2, tensors)),
        ]);
        folder.open("m-00001-of-00002.gguf").unwrap().findings
    };
    assert_eq!(second(1, 3, 1..2)[0], wrong("split.count", 2, 3));
    assert_eq!(second(0, 2, 1..2)[0], wrong("split.no", 1, 0));
    assert_eq!(second(1, 2, 1..4)[0], Finding::TensorCount { expected: 2, found: 4 });
    let repeated = Finding::RepeatedTensor {
        tensor: "blk.0.attn_norm.weight".into(),
        part: "m-00002-of-00002.gguf".into(),
    };
    assert_eq!(second(1, 2, 0..1)[0], repeated);
}

#[test]
fn unfinished_downloads_are_found() {
    let whole = part(base(), 0, 1, 2, 0..2);
    let header = whole.len() - 512;
    for (length, finding) in [
        (whole.len(), None),
        (
            whole.len() - 1,
            Some(Finding::Truncated {
                part: "m.gguf".into(),
                expected: whole.len() as u64,
                found: whole.len() as u64 - 1,
            }),
        ),
        (header, Some(Finding::HeaderOnly { part: "m.gguf".into() })),
    ] {
        let folder = Folder::new(&[("m.gguf", whole[..length].to_vec())]);
        let model = folder.open("m.gguf").unwrap();
        assert_eq!(model.findings.first(), finding.as_ref(), "{length} bytes");
    }
}

#[test]
fn errors_name_the_file() {
    let folder = Folder::new(&[("page.gguf", b"<html>".to_vec())]);
    let error = folder.open("page.gguf").unwrap_err();
    assert!(error.to_string().ends_with("page.gguf"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("no GGUF file"), "{cause}");
    let error = folder.open("absent.gguf").unwrap_err();
    assert!(error.to_string().contains("absent.gguf"), "{error}");
}
