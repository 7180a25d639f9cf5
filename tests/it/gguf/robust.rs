//! Files from strangers: no panic, and work and memory in proportion to what is really there.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use composegen::gguf::{Header, Model, Value, join, read};
use proptest::collection::vec;
use proptest::prelude::*;

use super::synthetic::{self, Synthetic};
use super::{REAL, real};

/// Counts what a reader asks of a file: the same on any machine, where seconds are not.
struct Counted<R> {
    inner: R,
    bytes: usize,
    calls: usize,
}

impl<R> Counted<R> {
    fn new(inner: R) -> Self {
        Self { inner, bytes: 0, calls: 0 }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.bytes += read;
        self.calls += 1;
        Ok(read)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.calls += 1;
        self.inner.seek(to)
    }
}

/// What is read at once.
const BUFFER: usize = 128 << 10;

/// Reads as far as it goes; neither the work nor what was kept of it may outgrow the bytes it came from.
fn survive(bytes: &[u8]) {
    let mut file = Counted::new(Cursor::new(bytes));
    let header = read(&mut file);
    // Nothing is read twice, but for the rest of a buffer that a long text was skipped from.
    assert!(file.bytes <= 2 * bytes.len(), "{} bytes read of {}", file.bytes, bytes.len());
    let calls = 8 + 4 * (bytes.len() / BUFFER);
    assert!(file.calls <= calls, "{} calls for {} bytes", file.calls, bytes.len());
    if let Ok(header) = header {
        let kept = kept(&header);
        assert!(kept <= 16 * bytes.len() + 4096, "{kept} bytes kept of {}", bytes.len());
        let files = join(vec![("m.gguf".to_owned(), 1, header)], Vec::new());
        if let Ok(model) = Model::new(files) {
            assert!(model.layers.len() <= 512);
            model.findings.iter().for_each(|finding| assert!(!finding.to_string().is_empty()));
        }
    }
}

/// Bytes on the heap, roughly.
fn kept(header: &Header) -> usize {
    let value = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Bools(values) => values.len(),
        other => 8 * other.as_array().map_or(0, |values| values.len()),
    };
    let pairs = header.metadata.iter().map(|(key, v)| 64 + key.len() + value(v));
    let tensors = header.tensors.iter().map(|tensor| 128 + tensor.name.len());
    pairs.sum::<usize>() + tensors.sum::<usize>()
}

fn seeds() -> Vec<Vec<u8>> {
    let small = Synthetic::new("llama")
        .keys(&[("llama.block_count", 2u32), ("llama.embedding_length", 64)])
        .key("llama.attention.head_count", &[4u32, 2][..])
        .key("tokenizer.ggml.tokens", synthetic::Value::Texts(vec!["a".into(), "bc".into()]))
        .tensor("blk.0.attn_q.weight", &[64, 64], composegen::gguf::DType::Q8_0)
        .header();
    REAL.iter().map(|name| real(name)).chain([small]).collect()
}

/// Numbers that lengths and counts are best replaced by.
fn evil() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0u64..70,
        (0u32..64).prop_map(|bit| 1 << bit),
        (0u32..64).prop_map(|bit| (1 << bit) - 1),
        (0u64..4096).prop_map(|less| u64::MAX - less),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..512)) {
        survive(&bytes);
    }

    #[test]
    fn any_bytes_after_a_beginning(
        version in 0u32..5,
        counts in (evil(), evil()),
        bytes in vec(any::<u8>(), 0..512),
    ) {
        let mut file = b"GGUF".to_vec();
        file.extend(version.to_le_bytes());
        file.extend(counts.0.to_le_bytes());
        file.extend(counts.1.to_le_bytes());
        file.extend(bytes);
        survive(&file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn real_headers_with_changes(
        seed in 0usize..REAL.len() + 1,
        numbers in vec((any::<prop::sample::Index>(), evil()), 0..4),
        bytes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = seeds().swap_remove(seed);
        for (at, number) in numbers {
            // Most of what matters stands in the first kilobytes.
            let at = at.index((file.len() - 8).min(4096));
            file[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        for (at, byte) in bytes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            let len = cut.index(file.len());
            file.truncate(len);
        }
        survive(&file);
    }
}

#[test]
fn a_header_cut_anywhere_is_refused() {
    for seed in seeds() {
        let whole = read(&mut Cursor::new(&seed)).unwrap();
        let last = seed.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        for len in (0..last).step_by(97) {
            assert!(read(&mut Cursor::new(&seed[..len])).is_err(), "{len} of {}", seed.len());
        }
        assert!(whole.data_start <= seed.len() as u64);
    }
}

/// A sparse file can claim anything without a byte on disk behind it.
#[test]
fn a_huge_hole_is_no_huge_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hole.gguf");
    for kind in [8u32, 4, 1] {
        let mut bytes = Synthetic::bare().header();
        bytes.truncate(24);
        bytes[16..24].copy_from_slice(&1u64.to_le_bytes());
        bytes.extend(1u64.to_le_bytes());
        bytes.push(b'k');
        bytes.extend(9u32.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend((1u64 << 36).to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let mut file = Counted::new(file);
        let error = read(&mut file).unwrap_err().to_string();
        assert!(error.contains("would make the header longer than 268435456 bytes"), "{error}");
        assert!(file.bytes <= BUFFER && file.calls <= 4, "{} in {}", file.bytes, file.calls);
    }
}

#[test]
fn a_large_header_is_read_and_its_vocabulary_only_counted() {
    let bytes = synthetic::large().header();
    assert!(bytes.len() > 8 << 20);
    let header = read(&mut Cursor::new(&bytes)).unwrap();
    assert!(kept(&header) < 256 << 10, "{}", kept(&header));
    let model = Model::new(join(vec![("m.gguf".to_owned(), 1, header)], Vec::new())).unwrap();
    assert_eq!(model.vocabulary, 151_936);
    assert_eq!(model.tensors.len(), 579);
}
