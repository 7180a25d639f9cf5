//! Writes GGUF headers: the other direction of the reader, by the format's description alone.

use composegen::gguf::DType;

/// A file in the making. Tensors follow one another as llama.cpp wants them unless an offset is given.
#[derive(Clone)]
pub(crate) struct Synthetic {
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    pub(crate) keys: u64,
    pub(crate) metadata: Vec<u8>,
    pub(crate) tensors: u64,
    pub(crate) infos: Vec<u8>,
    pub(crate) next: u64,
}

/// A metadata value with the number of its type in the file.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    U8(u8),
    U16(u16),
    U32(u32),
    I32(i32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Text(String),
    U32s(Vec<u32>),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&[u32]> for Value {
    fn from(value: &[u32]) -> Self {
        Self::U32s(value.to_vec())
    }
}

impl Synthetic {
    /// An empty file that names its architecture.
    pub(crate) fn new(architecture: &str) -> Self {
        Self::bare().key("general.architecture", architecture)
    }

    pub(crate) fn bare() -> Self {
        Self {
            version: 3,
            alignment: 32,
            keys: 0,
            metadata: Vec::new(),
            tensors: 0,
            infos: Vec::new(),
            next: 0,
        }
    }

    #[must_use]
    pub(crate) fn key(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys += 1;
        text(&mut self.metadata, key);
        self.value(&value.into());
        self
    }

    #[must_use]
    pub(crate) fn keys<V: Into<Value> + Clone>(mut self, keys: &[(&str, V)]) -> Self {
        for (key, value) in keys {
            self = self.key(key, value.clone());
        }
        self
    }

    #[must_use]
    pub(crate) fn tensor(self, name: &str, dims: &[u64], dtype: DType) -> Self {
        let bytes = dtype.row_bytes(dims[0]).unwrap() * dims[1..].iter().product::<u64>();
        self.raw_tensor(name, dims, dtype, bytes)
    }

    /// A tensor whose type may be unknown; `bytes` decides where the next one begins.
    #[must_use]
    pub(crate) fn raw_tensor(mut self, name: &str, dims: &[u64], dtype: DType, bytes: u64) -> Self {
        let offset = self.next;
        self.next = (offset + bytes).next_multiple_of(self.alignment);
        self.tensor_at(name, dims, dtype, offset)
    }

    #[must_use]
    pub(crate) fn tensor_at(mut self, name: &str, dims: &[u64], dtype: DType, offset: u64) -> Self {
        self.tensors += 1;
        text(&mut self.infos, name);
        self.infos.extend(u32::try_from(dims.len()).unwrap().to_le_bytes());
        for dim in dims {
            self.infos.extend(dim.to_le_bytes());
        }
        self.infos.extend(dtype.0.to_le_bytes());
        self.infos.extend(offset.to_le_bytes());
        self
    }

    /// The header, padded to where tensor data begin.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.tensors.to_le_bytes());
        bytes.extend(self.keys.to_le_bytes());
        bytes.extend(&self.metadata);
        bytes.extend(&self.infos);
        let padded = bytes.len().next_multiple_of(usize::try_from(self.alignment).unwrap());
        bytes.resize(padded, 0);
        bytes
    }

    /// Bytes of tensor data that the header announces, padding included.
    pub(crate) fn data(&self) -> u64 {
        self.next
    }

    fn value(&mut self, value: &Value) {
        let out = &mut self.metadata;
        let kind = |out: &mut Vec<u8>, kind: u32| out.extend(kind.to_le_bytes());
        let array = |out: &mut Vec<u8>, element: u32, len: usize| {
            kind(out, 9);
            kind(out, element);
            out.extend((len as u64).to_le_bytes());
        };
        match value {
            Value::U8(v) => (kind(out, 0), out.push(*v)).1,
            Value::U16(v) => (kind(out, 2), out.extend(v.to_le_bytes())).1,
            Value::U32(v) => (kind(out, 4), out.extend(v.to_le_bytes())).1,
            Value::I32(v) => (kind(out, 5), out.extend(v.to_le_bytes())).1,
            Value::F32(v) => (kind(out, 6), out.extend(v.to_le_bytes())).1,
            Value::Bool(v) => (kind(out, 7), out.push(u8::from(*v))).1,
            Value::Text(v) => (kind(out, 8), text(out, v)).1,
            Value::U64(v) => (kind(out, 10), out.extend(v.to_le_bytes())).1,
            Value::U32s(v) => {
                array(out, 4, v.len());
                out.extend(v.iter().flat_map(|v| v.to_le_bytes()));
            }
            Value::I32s(v) => {
                array(out, 5, v.len());
                out.extend(v.iter().flat_map(|v| v.to_le_bytes()));
            }
            Value::F32s(v) => {
                array(out, 6, v.len());
                out.extend(v.iter().flat_map(|v| v.to_le_bytes()));
            }
            Value::Bools(v) => {
                array(out, 7, v.len());
                out.extend(v.iter().map(|v| u8::from(*v)));
            }
            Value::Texts(v) => {
                array(out, 8, v.len());
                for v in v {
                    text(out, v);
                }
            }
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A header as large as that of a 60 GB model: 48 layers of experts, 151,936 tokens with scores, and merges.
pub(crate) fn large() -> Synthetic {
    let tokens: u32 = 151_936;
    let token = |i: u32| format!("Ġtok{}{i:x}", "en".repeat((i % 4) as usize));
    let mut file = Synthetic::new("qwen3moe")
        .key("general.name", "a large one")
        .keys(&[
            ("qwen3moe.block_count", 48u32),
            ("qwen3moe.context_length", 262_144),
            ("qwen3moe.embedding_length", 2048),
            ("qwen3moe.feed_forward_length", 6144),
            ("qwen3moe.attention.head_count", 32),
            ("qwen3moe.attention.head_count_kv", 4),
            ("qwen3moe.attention.key_length", 128),
            ("qwen3moe.attention.value_length", 128),
            ("qwen3moe.expert_count", 128),
            ("qwen3moe.expert_used_count", 8),
            ("qwen3moe.expert_feed_forward_length", 768),
        ])
        .key("tokenizer.ggml.model", "gpt2")
        .key("tokenizer.ggml.tokens", Value::Texts((0..tokens).map(token).collect()))
        .key("tokenizer.ggml.scores", Value::F32s(vec![0.5; tokens as usize]))
        .key("tokenizer.ggml.token_type", Value::I32s(vec![1; tokens as usize]))
        .key(
            "tokenizer.ggml.merges",
            Value::Texts(
                (0..tokens - 449).map(|i| format!("{} {}", token(i), token(i + 1))).collect(),
            ),
        )
        .key("tokenizer.chat_template", "{{ messages }}".repeat(800).as_str());
    file = file
        .tensor("token_embd.weight", &[2048, u64::from(tokens)], DType(12))
        .tensor("output_norm.weight", &[2048], DType::F32)
        .tensor("output.weight", &[2048, u64::from(tokens)], DType(14));
    for layer in 0..48 {
        let name = |base: &str| format!("blk.{layer}.{base}.weight");
        file = file
            .tensor(&name("attn_norm"), &[2048], DType::F32)
            .tensor(&name("attn_q"), &[2048, 4096], DType(12))
            .tensor(&name("attn_k"), &[2048, 512], DType(12))
            .tensor(&name("attn_v"), &[2048, 512], DType(14))
            .tensor(&name("attn_output"), &[4096, 2048], DType(12))
            .tensor(&name("attn_q_norm"), &[128], DType::F32)
            .tensor(&name("attn_k_norm"), &[128], DType::F32)
            .tensor(&name("ffn_norm"), &[2048], DType::F32)
            .tensor(&name("ffn_gate_inp"), &[2048, 128], DType::F32)
            .tensor(&name("ffn_gate_exps"), &[2048, 768, 128], DType(12))
            .tensor(&name("ffn_up_exps"), &[2048, 768, 128], DType(12))
            .tensor(&name("ffn_down_exps"), &[768, 2048, 128], DType(14));
    }
    file
}
