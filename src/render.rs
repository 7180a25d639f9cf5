//! Plan to artifacts. A template prints plain words; anything else passes a named filter for its sink.

pub mod dockerfile;
pub mod filter;
pub mod plain;
