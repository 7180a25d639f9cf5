//! A variable of the environment that the entrypoint turns into arguments for llama-server.

/// One knob. Empty means unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Name of the variable: `CTX_SIZE`.
    pub env: String,
    pub kind: KnobKind,
}

/// What becomes of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnobKind {
    /// Follows the flag as one word.
    Value { flag: String },
    /// A word for yes or no chooses one of two flags, each of which may be absent.
    Switch { on: Option<String>, off: Option<String> },
    /// Many words in one string, `quote::shell::words`.
    Words,
    /// The GGUF, below `/models` unless it is absolute.
    Model,
}
