//! What the entrypoint promises, rule by rule, in every shell that may run it.

pub(crate) mod script;
