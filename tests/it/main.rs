//! One integration crate: it links once, and each module is one promise of the project.
#![allow(
    clippy::unwrap_used,
    clippy::similar_names,
    clippy::unnecessary_debug_formatting,
    clippy::format_collect,
    clippy::unnecessary_wraps,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests may fail loudly, and they read files and the environment"
)]

mod auto;
#[cfg(feature = "bench")]
mod bench;
mod calibrate;
mod calibration;
mod chain;
mod cli;
mod client;
mod cluster;
mod dialects;
mod entrypoint;
mod estimate;
#[cfg(feature = "eval")]
mod eval;
mod examples;
mod gguf;
mod hardware;
mod house;
mod ledger;
#[cfg(feature = "engine")]
mod nodes;
mod pattern;
mod pins;
mod plan;
mod presets;
mod profile;
mod rejects;
mod report;
mod repository;
mod schema;
mod store;
mod targets;
#[cfg(feature = "bench")]
mod tls;
mod tools;
#[cfg(feature = "engine")]
mod tune;
mod written;
