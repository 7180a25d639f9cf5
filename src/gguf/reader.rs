//! From the bytes of one file to its header. Never reads tensor data; every length and sum is checked.

use std::collections::HashSet;
use std::io::{Read, Seek};

use super::input::Input;
use super::{DType, Finding, GgufError, Metadata, Role, Tensor, Value, role};
use crate::units::Bytes;

/// The largest model known has about 37,000 tensors (legacy files with one per expert).
const MAX_TENSORS: u64 = 1 << 17;
const MAX_KEYS: u64 = 1 << 16;
/// Twice what any converter writes; the format allows 65,535.
const MAX_KEY: u64 = 1024;
/// ggml's `GGML_MAX_NAME` less its terminating zero.
const MAX_NAME: u64 = 63;
const MAX_TEXT: u64 = 64 << 10;
/// Eight times the layers llama.cpp allows.
const MAX_ARRAY: u64 = 4096;
/// What texts and arrays of one header may take together before the rest is only counted.
const MAX_KEPT: u64 = 16 << 20;

/// What one file says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub version: u32,
    pub metadata: Metadata,
    /// In the order of the file. `part` is 0.
    pub tensors: Vec<Tensor>,
    pub alignment: u64,
    /// Where tensor data begin.
    pub data_start: u64,
    /// Bytes of the file.
    pub length: u64,
    /// Bytes that header and tensors need together.
    pub expected_length: u64,
    pub findings: Vec<Finding>,
}

/// Reads the header of one GGUF file, version 2 or 3, little-endian.
pub fn read<R: Read + Seek>(source: &mut R) -> Result<Header, GgufError> {
    let mut input = Input::new(source)?;
    let magic = input.magic()?;
    if &magic != b"GGUF" {
        return Err(GgufError::Magic(magic));
    }
    let version = input.u32("the version")?;
    match version {
        2 | 3 => {}
        // llama.cpp tells the byte order in the same way.
        _ if version.trailing_zeros() >= 16 && version != 0 => {
            return Err(GgufError::BigEndian(version.swap_bytes()));
        }
        _ => return Err(GgufError::Version(version)),
    }
    let tensors = input.u64("the number of tensors")?;
    let keys = input.u64("the number of keys")?;
    at_most("tensors", tensors, MAX_TENSORS)?;
    at_most("metadata keys", keys, MAX_KEYS)?;

    let metadata = metadata(&mut input, keys)?;
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(value) => match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
            Some(value) if value.is_power_of_two() => u64::from(value),
            _ => return Err(GgufError::Alignment(format!("{value:?}"))),
        },
    };
    let tensors = infos(&mut input, tensors)?;
    // No overflow: the header is at most 256 MiB and the alignment at most 2^31.
    let data_start = input.at().next_multiple_of(alignment);
    let mut header = Header {
        version,
        metadata,
        tensors,
        alignment,
        data_start,
        length: input.length(),
        expected_length: data_start,
        findings: Vec::new(),
    };
    size(&mut header)?;
    Ok(header)
}

fn at_most(what: &'static str, count: u64, limit: u64) -> Result<(), GgufError> {
    if count > limit { Err(GgufError::TooMany { what, count, limit }) } else { Ok(()) }
}

/// A text that must be kept: a key or a name.
fn name<R: Read + Seek>(
    input: &mut Input<'_, R>,
    what: &'static str,
    limit: u64,
) -> Result<String, GgufError> {
    let at = input.at();
    let length = input.u64(what)?;
    if length > limit {
        return Err(GgufError::TooLong { what, length, limit, at });
    }
    String::from_utf8(input.bytes(length, what)?).map_err(|_| GgufError::NotUtf8 { what, at })
}

fn metadata<R: Read + Seek>(input: &mut Input<'_, R>, keys: u64) -> Result<Metadata, GgufError> {
    let mut metadata = Metadata::default();
    let mut kept = 0;
    for _ in 0..keys {
        let key = name(input, "key", MAX_KEY)?;
        let kind = input.u32("a value's type")?;
        let value = match kind {
            9 => array(input, &key, &mut kept)?,
            _ => scalar(input, &key, kind, &mut kept)?,
        };
        if !metadata.insert(key.clone(), value) {
            return Err(GgufError::DuplicateKey(key));
        }
    }
    Ok(metadata)
}

fn scalar<R: Read + Seek>(
    input: &mut Input<'_, R>,
    key: &str,
    kind: u32,
    kept: &mut u64,
) -> Result<Value, GgufError> {
    let what = "a value";
    if kind == 8 {
        let bytes = input.u64("a text's length")?;
        if bytes > MAX_TEXT || *kept + bytes > MAX_KEPT {
            input.skip(bytes, "a text")?;
            return Ok(Value::LongText { bytes });
        }
        *kept += bytes;
        let text = input.bytes(bytes, "a text")?;
        return Ok(Value::Text(String::from_utf8_lossy(&text).into_owned()));
    }
    number(input, kind, what)?.ok_or_else(|| GgufError::ValueType { key: key.to_owned(), kind })
}

/// Absent where `kind` is no number and no boolean.
fn number<R: Read + Seek>(
    input: &mut Input<'_, R>,
    kind: u32,
    what: &'static str,
) -> Result<Option<Value>, GgufError> {
    Ok(Some(match kind {
        0 => Value::Uint(input.u8(what)?.into()),
        1 => Value::Int(input.u8(what)?.cast_signed().into()),
        2 => Value::Uint(input.u16(what)?.into()),
        3 => Value::Int(input.u16(what)?.cast_signed().into()),
        4 => Value::Uint(input.u32(what)?.into()),
        5 => Value::Int(input.u32(what)?.cast_signed().into()),
        6 => Value::Float(f32::from_bits(input.u32(what)?).into()),
        7 => Value::Bool(input.u8(what)? != 0),
        10 => Value::Uint(input.u64(what)?),
        11 => Value::Int(input.u64(what)?.cast_signed()),
        12 => Value::Float(f64::from_bits(input.u64(what)?)),
        _ => return Ok(None),
    }))
}

/// Bytes of one element of a number's type.
const fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn array<R: Read + Seek>(
    input: &mut Input<'_, R>,
    key: &str,
    kept: &mut u64,
) -> Result<Value, GgufError> {
    let what = "an array";
    let kind = input.u32("an array's type")?;
    let elements = input.u64("an array's length")?;
    if kind == 8 {
        input.skip_strings(elements, "an array of texts")?;
        return Ok(Value::Counted { elements });
    }
    let Some(width) = width(kind) else {
        return Err(GgufError::ValueType { key: key.to_owned(), kind });
    };
    let bytes = elements.saturating_mul(width);
    if elements > MAX_ARRAY || *kept + 8 * elements > MAX_KEPT {
        input.skip(bytes, what)?;
        return Ok(Value::Counted { elements });
    }
    input.expect(bytes, what)?;
    *kept += 8 * elements;
    let mut value = match kind {
        6 | 12 => Value::Floats(Vec::new()),
        7 => Value::Bools(Vec::new()),
        1 | 3 | 5 | 11 => Value::Ints(Vec::new()),
        _ => Value::Uints(Vec::new()),
    };
    for _ in 0..elements {
        match (&mut value, number(input, kind, what)?) {
            (Value::Uints(values), Some(Value::Uint(value))) => values.push(value),
            (Value::Ints(values), Some(Value::Int(value))) => values.push(value),
            (Value::Floats(values), Some(Value::Float(value))) => values.push(value),
            (Value::Bools(values), Some(Value::Bool(value))) => values.push(value),
            // `width` knows the same types as `number`.
            _ => return Err(GgufError::ValueType { key: key.to_owned(), kind }),
        }
    }
    Ok(value)
}

fn infos<R: Read + Seek>(input: &mut Input<'_, R>, count: u64) -> Result<Vec<Tensor>, GgufError> {
    let what = "a tensor";
    let mut tensors = Vec::new();
    for _ in 0..count {
        let name = name(input, "tensor's name", MAX_NAME)?;
        let rank = input.u32(what)?;
        if !(1..=4).contains(&rank) {
            return Err(GgufError::Rank { name, rank });
        }
        let mut dims = Vec::with_capacity(4);
        for _ in 0..rank {
            dims.push(input.u64(what)?);
        }
        // ggml counts in signed 64 bit numbers.
        let elements = dims.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim));
        if elements.is_none_or(|elements| elements > i64::MAX as u64) {
            return Err(GgufError::Shape { name, dims });
        }
        let dtype = DType(input.u32(what)?);
        let offset = input.u64(what)?;
        tensors.push(Tensor {
            layer: role::split(&name).map(|(layer, _)| layer),
            role: Role::of(&name),
            name,
            dtype,
            dims,
            bytes: Bytes::ZERO,
            offset,
            part: 0,
        });
    }
    let mut names = HashSet::new();
    match tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
        Some(twice) => Err(GgufError::DuplicateTensor(twice.name.clone())),
        None => Ok(tensors),
    }
}

/// Gives each tensor its bytes and checks that they follow one another as llama.cpp demands.
fn size(header: &mut Header) -> Result<(), GgufError> {
    let mut starts: Vec<u64> = header.tensors.iter().map(|tensor| tensor.offset).collect();
    starts.sort_unstable();
    let data = header.length.saturating_sub(header.data_start);
    let mut expected = Some(0u64);
    for tensor in &mut header.tensors {
        let beyond = || GgufError::Offset { name: tensor.name.clone(), offset: tensor.offset };
        let bytes = if let Some(layout) = tensor.dtype.layout() {
            let row = tensor.dim(0);
            if !row.is_multiple_of(layout.block_len) {
                let (name, dtype) = (tensor.name.clone(), layout.name.to_owned());
                return Err(GgufError::BrokenBlock { name, len: row, dtype });
            }
            if layout.removed {
                let (tensor, dtype) = (tensor.name.clone(), tensor.dtype);
                header.findings.push(Finding::RemovedType { tensor, dtype });
            }
            let blocks = tensor.elements() / layout.block_len;
            Some(blocks.checked_mul(layout.block_bytes).ok_or_else(beyond)?)
        } else {
            let next = starts.get(starts.partition_point(|start| *start <= tensor.offset)).copied();
            // The last one reaches to the end of the file, if the file has one.
            let end = next.or((data > tensor.offset).then_some(data));
            let bytes = end.map(|end| end - tensor.offset);
            let (name, dtype) = (tensor.name.clone(), tensor.dtype);
            header.findings.push(Finding::UnknownType { tensor: name, dtype, bytes });
            bytes
        };
        if let Some(expected) = expected.filter(|expected| *expected != tensor.offset) {
            let (tensor, found) = (tensor.name.clone(), tensor.offset);
            header.findings.push(Finding::Offset { tensor, expected, found });
        }
        let size = bytes.unwrap_or(0);
        let end = tensor.offset.checked_add(size).ok_or_else(beyond)?;
        let length = header.data_start.checked_add(end).ok_or_else(beyond)?;
        let padded = end.checked_next_multiple_of(header.alignment).ok_or_else(beyond)?;
        expected = bytes.map(|_| padded);
        tensor.bytes = Bytes(size);
        header.expected_length = header.expected_length.max(length);
    }
    Ok(())
}
