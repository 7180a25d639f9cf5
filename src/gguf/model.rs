//! What a planner needs to know about a model, as typed facts, taken from metadata and tensors of all its files.
//!
//! Lenient where converters differ (integer widths, one value or one per layer), silent about nothing: what is odd is
//! a [`Finding`]. The rules are those of llama.cpp's `load_hparams` and of its `load_arch_hparams` per architecture.

mod known;
mod layer;
mod state;
mod window;

use serde::Serialize;

use super::shards::{Files, Part};
use super::{Finding, Metadata, Role, Tensor};
use crate::units::Bytes;
pub use layer::{Cache, Layer};
pub use state::State;
pub use window::{Window, WindowKind};

/// llama.cpp's `LLAMA_MAX_LAYERS`.
const MAX_LAYERS: u64 = 512;

/// A model, whole or as far as its files are there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// `general.architecture`: `qwen3next`, `gpt-oss`.
    pub architecture: String,
    pub name: Option<String>,
    /// `general.file_type`: llama.cpp's number for the mixture of types.
    pub file_type: Option<u64>,
    /// Blocks of the file, those for MTP (nextn) at the end included.
    pub block_count: u32,
    /// Blocks at the end that only predict further tokens.
    pub nextn: u32,
    pub embedding_length: u64,
    /// Tokens the model was trained for.
    pub context_length: u64,
    /// Tokens of the vocabulary; 0 where neither metadata nor tensors tell.
    pub vocabulary: u64,
    /// One per block.
    pub layers: Vec<Layer>,
    pub window: Option<Window>,
    pub experts: Option<Experts>,
    pub latent: Option<Latent>,
    pub ssm: Option<Ssm>,
    pub indexer: Option<Indexer>,
    pub metadata: Metadata,
    pub tensors: Vec<Tensor>,
    pub parts: Vec<Part>,
    pub findings: Vec<Finding>,
}

/// Mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Experts {
    pub count: u64,
    /// Picked per token; of a list per layer the largest.
    pub used: u64,
    pub feed_forward_length: u64,
    pub shared_count: u64,
    pub shared_feed_forward_length: u64,
}

/// Multi-head latent attention: the cache holds one compressed key per token and no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latent {
    pub kv_lora_rank: u64,
    /// Per head, once decompressed.
    pub key_length: u64,
    pub value_length: u64,
}

/// Sizes of the recurrent layers, as the keys `*.ssm.*` and `*.kda.head_dim` name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ssm {
    pub conv_kernel: u64,
    pub inner_size: u64,
    pub state_size: u64,
    pub time_step_rank: u64,
    pub group_count: u64,
    pub kda_head_dim: u64,
}

/// Sparse attention that picks tokens by a second, small key (`deepseek32` and what follows it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Indexer {
    pub head_count: u64,
    pub key_length: u64,
    pub top_k: u64,
}

/// Why headers that could be read make no model to plan for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("the metadata have no general.architecture")]
    NoArchitecture,
    #[error("a {0:?} file holds no language model")]
    NotAModel(String),
    #[error("{key} is {value}; llama.cpp loads models of 1 to {MAX_LAYERS} blocks")]
    Blocks { key: String, value: String },
}

impl Model {
    pub fn new(files: Files) -> Result<Self, ModelError> {
        let Files { metadata, tensors, parts, findings } = files;
        let architecture =
            metadata.str("general.architecture").ok_or(ModelError::NoArchitecture)?.to_owned();
        let kind = metadata.str("general.type").unwrap_or("model");
        if architecture == "clip" || matches!(kind, "mmproj" | "adapter" | "vocab") {
            return Err(ModelError::NotAModel(architecture));
        }
        let key = format!("{architecture}.block_count");
        let block_count = match metadata.u64(&key) {
            Some(count) if (1..=MAX_LAYERS).contains(&count) => count,
            other => {
                let value = other.map_or_else(|| "absent".to_owned(), |count| count.to_string());
                return Err(ModelError::Blocks { key, value });
            }
        };
        let mut model = Self {
            name: metadata.str("general.name").map(str::to_owned),
            file_type: metadata.u64("general.file_type"),
            block_count: u32::try_from(block_count).unwrap_or(u32::MAX),
            architecture,
            metadata,
            tensors,
            parts,
            findings,
            nextn: 0,
            embedding_length: 0,
            context_length: 0,
            vocabulary: 0,
            layers: Vec::new(),
            window: None,
            experts: None,
            latent: None,
            ssm: None,
            indexer: None,
        };
        model.scalars();
        model.window = window::of(&mut model);
        model.layers = layer::of(&mut model);
        model.oddities();
        Ok(model)
    }

    /// A value under a key with the architecture in front: `arch_u64("attention.head_count")`.
    pub fn arch_u64(&self, key: &str) -> Option<u64> {
        self.metadata.u64(&format!("{}.{key}", self.architecture))
    }

    pub fn meta_u64(&self, key: &str) -> Option<u64> {
        self.metadata.u64(key)
    }

    pub fn meta_f64(&self, key: &str) -> Option<f64> {
        self.metadata.f64(key)
    }

    pub fn meta_str(&self, key: &str) -> Option<&str> {
        self.metadata.str(key)
    }

    pub fn meta_array_u64(&self, key: &str) -> Option<Vec<u64>> {
        self.metadata.array_u64(key)
    }

    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Blocks that llama.cpp runs for a token: all but those for MTP.
    pub fn trunk(&self) -> u32 {
        self.block_count - self.nextn
    }

    /// Whether the tensor belongs to MTP and is therefore skipped unless MTP is asked for.
    pub fn is_nextn(&self, tensor: &Tensor) -> bool {
        tensor.role == Role::Nextn || tensor.layer.is_some_and(|layer| layer >= self.trunk())
    }

    /// No output matrix: the token embedding is loaded twice, on the CPU and with the output.
    pub fn tied_embeddings(&self) -> bool {
        self.tensor("output.weight").is_none() && self.tensor("token_embd.weight").is_some()
    }

    /// Whether the block's attention sees a window only.
    pub fn slides(&self, layer: u32) -> bool {
        let layer = usize::try_from(layer).unwrap_or(usize::MAX);
        self.window
            .as_ref()
            .is_some_and(|window| window.layers.get(layer).copied().unwrap_or(false))
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> Bytes {
        let sizes = self.tensors.iter().map(|tensor| tensor.bytes);
        sizes.fold(Bytes::ZERO, Bytes::saturating_add)
    }

    fn scalars(&mut self) {
        let blocks = self.block_count;
        // llama.cpp asserts that at least one block is left.
        self.nextn = self
            .arch_u64("nextn_predict_layers")
            .and_then(|nextn| u32::try_from(nextn).ok())
            .filter(|nextn| *nextn < blocks)
            .unwrap_or(0);
        self.embedding_length = self.required("embedding_length");
        self.context_length = self.required("context_length");
        let tokens = self.metadata.get("tokenizer.ggml.tokens").and_then(super::Value::elements);
        let rows = || self.tensor("token_embd.weight").map(|tensor| tensor.dim(1));
        self.vocabulary = tokens.or_else(|| self.arch_u64("vocab_size")).or_else(rows).unwrap_or(0);
        let largest = |key: &str| self.per_layer(key).into_iter().flatten().max().unwrap_or(0);
        let count = largest("expert_count");
        self.experts = (count > 0).then(|| Experts {
            count,
            used: largest("expert_used_count"),
            feed_forward_length: largest("expert_feed_forward_length"),
            shared_count: largest("expert_shared_count"),
            shared_feed_forward_length: largest("expert_shared_feed_forward_length"),
        });
        let latent = |key: &str| self.arch_u64(key).filter(|length| *length > 0);
        self.latent =
            match (latent("attention.key_length_mla"), latent("attention.value_length_mla")) {
                (Some(key_length), Some(value_length)) => Some(Latent {
                    kv_lora_rank: latent("attention.kv_lora_rank").unwrap_or(0),
                    key_length,
                    value_length,
                }),
                _ => None,
            };
        let size = |key: &str| self.arch_u64(key).unwrap_or(0);
        let ssm = Ssm {
            conv_kernel: size("ssm.conv_kernel"),
            inner_size: size("ssm.inner_size"),
            state_size: size("ssm.state_size"),
            time_step_rank: size("ssm.time_step_rank"),
            group_count: size("ssm.group_count"),
            kda_head_dim: size("kda.head_dim"),
        };
        let indexer = Indexer {
            head_count: size("attention.indexer.head_count"),
            key_length: size("attention.indexer.key_length"),
            top_k: size("attention.indexer.top_k"),
        };
        self.ssm = (ssm != Ssm::default()).then_some(ssm);
        self.indexer = (indexer.key_length > 0).then_some(indexer);
    }

    fn required(&mut self, key: &str) -> u64 {
        let value = self.arch_u64(key);
        if value.is_none() {
            let key = format!("{}.{key}", self.architecture);
            self.findings.push(Finding::MissingKey { key });
        }
        value.unwrap_or(0)
    }

    /// A value for each block: one for all, or a list. Absent where the key is, or a list of another length.
    ///
    /// A list for the trunk alone is extended with its last value, since the blocks behind it are rarely loaded.
    fn per_layer(&self, key: &str) -> Option<Vec<u64>> {
        let blocks = usize::try_from(self.block_count).unwrap_or(usize::MAX);
        let trunk = usize::try_from(self.trunk()).unwrap_or(usize::MAX);
        let value = self.metadata.get(&format!("{}.{key}", self.architecture))?;
        if let Some(one) = value.as_u64() {
            return Some(vec![one; blocks]);
        }
        let mut list = value.as_array()?;
        if list.len() < trunk || list.is_empty() {
            return None;
        }
        let beyond = list.last().copied().unwrap_or(0);
        list.resize(blocks, beyond);
        Some(list)
    }

    fn oddities(&mut self) {
        let mut found = Vec::new();
        if !known::is_known(&self.architecture) {
            let architecture = self.architecture.clone();
            found.push(Finding::UnknownArchitecture { architecture });
        }
        if self.tied_embeddings() {
            found.push(Finding::TiedEmbeddings);
        }
        if self.nextn > 0 {
            found.push(Finding::NextnBlocks { blocks: self.nextn });
        }
        let bases = || self.tensors.iter().map(|tensor| (tensor, tensor.base()));
        let fused = bases().filter(|(_, base)| *base == "ffn_gate_up_exps.weight").count();
        if let Ok(layers @ 1..) = u32::try_from(fused) {
            found.push(Finding::FusedGateUp { layers });
        }
        let single = |base: &str| !base.contains("exps");
        let experts = bases().filter(|(tensor, _)| tensor.role == Role::RoutedExpert);
        let tensors = experts.filter(|(_, base)| single(base)).count() as u64;
        if tensors > 0 {
            found.push(Finding::SeparateExperts { tensors });
        }
        self.findings.append(&mut found);
    }
}
