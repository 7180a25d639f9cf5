//! What is odd about a file that could nevertheless be read.

use std::fmt;

use serde::Serialize;

use super::{DType, Role};

/// One oddity.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Finding {
    /// A type newer than our table; its size comes from where the next tensor begins.
    UnknownType { tensor: String, dtype: DType, bytes: Option<u64> },
    /// A type that llama.cpp no longer loads.
    RemovedType { tensor: String, dtype: DType },
    /// A tensor that does not begin where the one before it ends.
    Offset { tensor: String, expected: u64, found: u64 },
    /// The file holds a part of its tensor data: an unfinished download.
    Truncated { part: String, expected: u64, found: u64 },
    /// The file holds no tensor data at all.
    HeaderOnly { part: String },
    /// Files of a split model that are not there.
    MissingParts { missing: Vec<String> },
    /// A part whose name does not say which one it is, so that llama.cpp cannot find the others.
    RenamedPart { part: String, count: u64 },
    /// A part that says of itself something else than its name or the first part does.
    WrongPart { part: String, key: String, expected: u64, found: u64 },
    /// A split model whose parts do not hold as many tensors as they should together.
    TensorCount { expected: u64, found: u64 },
    /// Two parts hold a tensor of the same name.
    RepeatedTensor { tensor: String, part: String },
    /// The metadata lack something that the architecture cannot do without.
    MissingKey { key: String },
    /// A value per layer whose length is not the number of layers.
    WrongLength { key: String, expected: u64, found: u64 },
    /// No output matrix: the token embedding serves as one and is loaded twice.
    TiedEmbeddings,
    /// Blocks that only predict further tokens; llama.cpp skips them unless told otherwise.
    NextnBlocks { blocks: u32 },
    /// Gate and up matrices of the experts are one tensor.
    FusedGateUp { layers: u32 },
    /// One tensor per expert, as written before 2024; llama.cpp no longer loads these.
    SeparateExperts { tensors: u64 },
    /// The quantized tensors of one role have several types.
    MixedTypes { role: Role, types: Vec<DType> },
    /// An architecture for which we know no rules; its layers are taken from the metadata alone.
    UnknownArchitecture { architecture: String },
}

impl Finding {
    /// Whether llama.cpp refuses to load the model because of it.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::RemovedType { .. }
            | Self::Offset { .. }
            | Self::Truncated { .. }
            | Self::HeaderOnly { .. }
            | Self::MissingParts { .. }
            | Self::RenamedPart { .. }
            | Self::WrongPart { .. }
            | Self::TensorCount { .. }
            | Self::RepeatedTensor { .. }
            | Self::MissingKey { .. }
            | Self::WrongLength { .. }
            | Self::SeparateExperts { .. } => true,
            // A build newer than our table may well know them.
            Self::UnknownType { .. } | Self::UnknownArchitecture { .. } => false,
            Self::TiedEmbeddings
            | Self::NextnBlocks { .. }
            | Self::FusedGateUp { .. }
            | Self::MixedTypes { .. } => false,
        }
    }
}

/// Texts come from the file: what is no plain character is escaped, so that it cannot steer a terminal.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType { tensor, dtype, bytes: Some(bytes) } => write!(
                f,
                "{tensor:?} has {dtype}, which is not known here; {bytes} bytes up to the next tensor"
            ),
            Self::UnknownType { tensor, dtype, bytes: None } => {
                write!(
                    f,
                    "{tensor:?} has {dtype}, which is not known here; its size is not known either"
                )
            }
            Self::RemovedType { tensor, dtype } => {
                write!(f, "{tensor:?} has type {dtype}, which llama.cpp no longer loads")
            }
            Self::Offset { tensor, expected, found } => {
                write!(f, "{tensor:?} begins at {found} of the tensor data instead of {expected}")
            }
            Self::Truncated { part, expected, found } => {
                write!(f, "{part:?} has {found} bytes of {expected}: an unfinished download")
            }
            Self::HeaderOnly { part } => write!(f, "{part:?} is a header without tensor data"),
            Self::MissingParts { missing } => {
                write!(f, "parts of the model are not there: {}", missing.join(", "))
            }
            Self::RenamedPart { part, count } => write!(
                f,
                "{part:?} is one of {count} parts but its name does not end in -00001-of-{count:05}.gguf, so that the others cannot be found"
            ),
            Self::WrongPart { part, key, expected, found } => {
                write!(f, "{part:?} has {key} = {found} where {expected} belongs")
            }
            Self::TensorCount { expected, found } => {
                write!(f, "the parts hold {found} tensors of {expected}")
            }
            Self::RepeatedTensor { tensor, part } => {
                write!(f, "{tensor:?} stands in {part:?} and in a part before it")
            }
            Self::MissingKey { key } => write!(f, "the metadata have no usable {key:?}"),
            Self::WrongLength { key, expected, found } => {
                write!(f, "{key:?} has {found} values for {expected} layers")
            }
            Self::TiedEmbeddings => {
                f.write_str("no output matrix: the token embedding is loaded a second time for it")
            }
            Self::NextnBlocks { blocks } => write!(
                f,
                "{blocks} nextn block(s) at the end, which are not loaded unless MTP is asked for"
            ),
            Self::FusedGateUp { layers } => write!(
                f,
                "gate and up of the experts are fused in {layers} layers (ffn_gate_up_exps): a rule for ffn_gate_exps or ffn_up_exps does not match them"
            ),
            Self::SeparateExperts { tensors } => write!(
                f,
                "{tensors} tensors of single experts (ffn_up.0.weight), which llama.cpp no longer loads"
            ),
            Self::MixedTypes { role, types } => {
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                write!(f, "{role} have several types: {}", types.join(", "))
            }
            Self::UnknownArchitecture { architecture } => write!(
                f,
                "the architecture {architecture:?} is not known here: caches are estimated from the metadata alone"
            ),
        }
    }
}
