//! The Docker engine, or one that speaks its language, through bollard, whose types end here: functions take a settled
//! [`Service`](crate::plan::service::Service) and give back plain values. Everything that is started carries Compose's
//! labels, so that `docker compose ps`, `logs` and `down` find it.

pub mod address;
pub mod build;
pub mod compose;
mod connect;
pub mod container;
pub mod context;
mod create;
mod error;
pub mod exec;
pub mod facts;
mod file;
pub mod image;
pub mod interrupt;
pub mod labels;
pub mod logs;
mod network;
pub mod port;
pub mod probe;
pub mod push;
#[cfg(feature = "eval")]
pub mod sandbox;
mod ssh;
pub mod stack;

pub use address::Address;
pub use connect::{connect, run};
pub use error::EngineError;

/// A connection that has been answered.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: bollard::Docker,
    pub address: Address,
    /// What the connection goes through, where that is ours.
    _tunnel: Option<std::sync::Arc<ssh::Tunnel>>,
}
