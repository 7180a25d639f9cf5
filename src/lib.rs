//! composegen: **parse, check, resolve, plan, render, write, run, measure.**
//!
//! The modules stand in the order in which data passes through them. Text and bytes come in at the top, are
//! thought about without any IO, become artifacts, and only the edges touch files, processes and devices.
//! `ARCHITECTURE.md` draws the picture; `tests/it/house.rs` checks who may import whom.

// Ground: imports nothing of ours.
pub mod artifact;
pub mod diagnostic;
pub mod exit;
pub mod quote;
pub mod table;
pub mod units;

// Reading.
pub mod cluster;
pub mod flags;
pub mod gguf;
pub mod hardware;
pub mod lock;
pub mod log;
pub mod preset;
pub mod profile;

// Thinking.
pub mod bench;
pub mod check;
pub mod client;
#[cfg(feature = "eval")]
pub mod eval;
pub mod ledger;
pub mod plan;
pub mod probe;
pub mod report;
pub mod strategy;
pub mod tune;

// Writing.
pub mod compile;
pub mod render;

// Edges.
#[cfg(feature = "engine")]
pub mod engine;
pub mod git;
pub mod gpu;
pub mod registry;
#[cfg(feature = "bench")]
pub mod server;
pub mod store;
pub mod terminal;

// Glue.
pub mod cli;
pub mod command;
