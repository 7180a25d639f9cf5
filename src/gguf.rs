//! GGUF files: headers in, typed facts about the model out. Tensor data are never read.
//!
//! The files come from strangers: memory and time are bounded whatever they say, sums are checked, nothing panics.

mod dtype;
mod error;
mod finding;
mod input;
pub mod inspect;
mod model;
mod open;
mod reader;
mod role;
mod shards;
mod tensor;
mod value;

pub use dtype::{DType, Layout};
pub use error::GgufError;
pub use finding::Finding;
pub use inspect::{Inspection, inspect};
pub use model::{
    Cache, Experts, Indexer, Latent, Layer, Model, ModelError, Ssm, State, Window, WindowKind,
};
pub use open::{OpenError, digest, header_bytes, open, open_files};
pub use reader::{Header, read};
pub use role::Role;
pub use shards::{Files, Part, PartName, join};
pub use tensor::Tensor;
pub use value::{Metadata, Value};
