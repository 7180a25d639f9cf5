//! Metadata of the model's own architecture.

use crate::gguf::Model;

pub(super) fn float(model: &Model, key: &str) -> Option<f64> {
    model.meta_f64(&format!("{}.{key}", model.architecture))
}

/// Whether a number is there and not zero.
pub(super) fn is_set(model: &Model, key: &str) -> bool {
    float(model, key).is_some_and(|value| value != 0.0)
        || model.arch_u64(key).is_some_and(|on| on != 0)
}
