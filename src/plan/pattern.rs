//! `-ot`: patterns over tensor names, the buffers they go to, and which rule claims which tensor.
//!
//! Speaks llama.cpp's grammar and its regex dialect to the letter. Knows names only, neither sizes nor devices' memory.

mod claims;
mod ecmascript;
mod experts;
mod layers;
mod matcher;
mod overrides;

pub use claims::{Claim, ClaimError, Claims, Verdict, claims};
pub use ecmascript::PatternError;
pub use experts::{EXPERTS, cpu_moe, n_cpu_ffn, n_cpu_moe};
pub use layers::{layer_set_regex, layers_regex, override_string};
pub use matcher::{Matcher, TooComplex};
pub use overrides::{Fault, Override, OverrideError, Overrides};
