//! What the entrypoint promises, rule by rule, in every shell that may run it.

mod rules;
pub(crate) mod script;
mod workers;
