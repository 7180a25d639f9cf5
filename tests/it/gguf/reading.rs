//! One file: what it says is what is read, and what cannot be is refused by name.

use std::io::Cursor;

use composegen::gguf::{DType, Finding, GgufError, Role, Value as Read, read};
use composegen::units::Bytes;

use super::synthetic::{Synthetic, Value};
use super::{header, real};

#[test]
fn values_of_every_width_arrive() {
    let file = Synthetic::new("test")
        .key("u8", Value::U8(200))
        .key("u16", Value::U16(60_000))
        .key("u32", Value::U32(4_000_000_000))
        .key("i32", Value::I32(-5))
        .key("u64", Value::U64(1 << 40))
        .key("f32", Value::F32(0.25))
        .key("bool", Value::Bool(true))
        .key("text", "Käse")
        .key("u32s", &[1u32, 2, 3][..])
        .key("i32s", Value::I32s(vec![-1, 1]))
        .key("f32s", Value::F32s(vec![0.5]))
        .key("bools", Value::Bools(vec![true, false]))
        .key("texts", Value::Texts(vec!["a".into(), String::new(), "bc".into()]))
        .key("long", Value::U32s(vec![7; 5000]))
        .key("novel", "x".repeat(70_000).as_str());
    for version in [2, 3] {
        let read = header(&Synthetic { version, ..file.clone() }).unwrap();
        let value = |key: &str| read.metadata.get(key).unwrap().clone();
        assert_eq!(read.version, version);
        assert_eq!(value("u8"), Read::Uint(200));
        assert_eq!(value("u16"), Read::Uint(60_000));
        assert_eq!(value("u32"), Read::Uint(4_000_000_000));
        assert_eq!(value("i32"), Read::Int(-5));
        assert_eq!(value("u64"), Read::Uint(1 << 40));
        assert_eq!(value("f32"), Read::Float(0.25));
        assert_eq!(value("bool"), Read::Bool(true));
        assert_eq!(value("text"), Read::Text("Käse".into()));
        assert_eq!(value("u32s"), Read::Uints(vec![1, 2, 3]));
        assert_eq!(value("i32s"), Read::Ints(vec![-1, 1]));
        assert_eq!(value("f32s"), Read::Floats(vec![0.5]));
        assert_eq!(value("bools"), Read::Bools(vec![true, false]));
        assert_eq!(value("texts"), Read::Counted { elements: 3 });
        assert_eq!(value("long"), Read::Counted { elements: 5000 });
        assert_eq!(value("novel"), Read::LongText { bytes: 70_000 });
        assert_eq!(read.metadata.len(), 16);
    }
}

#[test]
fn tensors_arrive_with_their_bytes() {
    let file = Synthetic { alignment: 128, ..Synthetic::bare() }
        .key("general.alignment", 128u32)
        .tensor("blk.3.ffn_up_exps.weight", &[256, 3, 5], DType(14))
        .tensor("output.weight", &[40], DType::F32);
    let read = header(&file).unwrap();
    assert_eq!(read.alignment, 128);
    assert_eq!(read.data_start, file.header().len() as u64);
    let [experts, output] = &read.tensors[..] else { panic!("{:?}", read.tensors) };
    assert_eq!((experts.bytes, experts.offset), (Bytes(15 * 210), 0));
    assert_eq!((experts.layer, experts.role), (Some(3), Role::RoutedExpert));
    assert_eq!(experts.dims, [256, 3, 5]);
    assert_eq!(experts.base(), "ffn_up_exps.weight");
    assert_eq!((experts.dim(2), experts.dim(3)), (5, 1));
    assert_eq!((output.bytes, output.offset), (Bytes(160), 25 * 128));
    assert_eq!(read.expected_length, read.data_start + 25 * 128 + 160);
    assert!(read.findings.is_empty());
}

#[test]
fn unknown_types_are_sized_by_what_follows() {
    let unknown = DType(77);
    let file = Synthetic::new("test")
        .raw_tensor("a", &[64, 2], unknown, 4000)
        .tensor("b", &[8], DType::F32)
        .raw_tensor("c", &[8], unknown, 0);
    let read = header(&file).unwrap();
    assert_eq!(read.tensors[0].bytes, Bytes(4000));
    assert_eq!(read.tensors[2].bytes, Bytes::ZERO);
    let finding =
        |tensor: &str, bytes| Finding::UnknownType { tensor: tensor.into(), dtype: unknown, bytes };
    assert_eq!(read.findings, [finding("a", Some(4000)), finding("c", None)]);

    // With data behind it, the last one reaches to the end.
    let mut bytes = file.header();
    bytes.resize(bytes.len() + 4032 + 96, 0);
    let read = composegen::gguf::read(&mut Cursor::new(bytes)).unwrap();
    assert_eq!(read.tensors[2].bytes, Bytes(96));
}

#[test]
fn removed_types_and_gaps_are_reported() {
    let read = header(&Synthetic::new("test").tensor("a", &[32], DType(31))).unwrap();
    assert_eq!(read.findings, [Finding::RemovedType { tensor: "a".into(), dtype: DType(31) }]);
    assert!(read.findings[0].is_fatal());

    let gap =
        Synthetic::new("test").tensor("a", &[8], DType::F32).tensor_at("b", &[8], DType::F32, 96);
    let read = header(&gap).unwrap();
    let finding = Finding::Offset { tensor: "b".into(), expected: 32, found: 96 };
    assert_eq!(read.findings, [finding]);
}

/// The refusal's text, which is what a user sees.
fn refusal(bytes: &[u8]) -> String {
    read(&mut Cursor::new(bytes)).unwrap_err().to_string()
}

#[test]
fn what_is_no_model_is_refused_by_name() {
    assert_eq!(
        refusal(b"<!DOCTYPE html>"),
        "no GGUF file: it starts with \"<!DO\" instead of \"GGUF\""
    );
    assert!(refusal(b"GG").starts_with("the file ends within its header"));

    let mut bytes = Synthetic::new("test").header();
    bytes[4..8].copy_from_slice(&3u32.to_be_bytes());
    assert!(
        refusal(&bytes).starts_with("a big-endian GGUF file (version 3"),
        "{}",
        refusal(&bytes)
    );
    bytes[4..8].copy_from_slice(&1u32.to_le_bytes());
    assert_eq!(refusal(&bytes), "GGUF version 1: versions 2 and 3 can be read");
}

#[test]
fn contradictions_are_refused() {
    let refused = |file: Synthetic| header(&file).unwrap_err();
    let twice = Synthetic::new("test").key("general.architecture", "again");
    assert!(
        matches!(refused(twice), GgufError::DuplicateKey(key) if key == "general.architecture")
    );
    let same = Synthetic::bare().tensor("a", &[8], DType::F32).tensor("a", &[8], DType::F32);
    assert!(matches!(refused(same), GgufError::DuplicateTensor(name) if name == "a"));
    for alignment in [Value::U32(0), Value::U32(48), Value::from("32"), Value::I32(-32)] {
        let odd = Synthetic::bare().key("general.alignment", alignment);
        assert!(matches!(refused(odd), GgufError::Alignment(_)));
    }
    let broken = Synthetic::bare().raw_tensor("a", &[33], DType::Q8_0, 34);
    assert!(matches!(refused(broken), GgufError::BrokenBlock { len: 33, .. }));
    for dims in [&[][..], &[1, 1, 1, 1, 1]] {
        let odd = Synthetic::bare().raw_tensor("a", dims, DType::F32, 4);
        assert!(matches!(refused(odd), GgufError::Rank { .. }));
    }
    let huge = Synthetic::bare().raw_tensor("a", &[1 << 40, 1 << 40], DType::F32, 4);
    assert!(matches!(refused(huge), GgufError::Shape { .. }));
    let beyond = Synthetic::bare().tensor_at("a", &[1 << 60], DType(28), 1 << 63);
    assert!(matches!(refused(beyond), GgufError::Offset { .. }));
    let long = Synthetic::bare().tensor(&"n".repeat(64), &[8], DType::F32);
    assert!(matches!(refused(long), GgufError::TooLong { length: 64, limit: 63, .. }));
}

#[test]
fn counts_and_lengths_that_lie_cost_nothing() {
    let template = Synthetic::new("test").tensor("a", &[8], DType::F32).header();
    for lie in [(1 << 17) + 1, 1 << 30, 1 << 62, u64::MAX] {
        // The number of tensors, of keys, the length of the first key, of its value, of the tensor's name.
        for at in [8, 16, 24, 56, 68] {
            let mut bytes = template.clone();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            assert!(read(&mut Cursor::new(&bytes)).is_err(), "{lie} at {at}");
        }
    }
}

#[test]
fn real_headers_are_read_whole() {
    for name in super::REAL {
        let bytes = real(name);
        let read = read(&mut Cursor::new(&bytes)).unwrap();
        assert_eq!(
            read.data_start,
            bytes.len() as u64,
            "{name}: the header ends where the file does"
        );
        assert!(read.findings.is_empty(), "{name}: {:?}", read.findings);
    }
}
