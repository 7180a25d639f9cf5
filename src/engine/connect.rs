//! From an address to a connection that has been answered.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};

use super::error::deepest;
use super::ssh::Tunnel;
use super::{Address, Engine, EngineError};

/// Seconds for one answer. A build's and a log's stream may be silent for longer: they have no such bound.
const TIMEOUT: u64 = 120;

/// How long an engine may take for its first answer.
const FIRST: Duration = Duration::from_secs(10);

/// Runs a future to its end on this thread.
pub fn run<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // What bollard has running beside (a session, an upload) must not hold the process.
    runtime.shutdown_background();
    Ok(result)
}

/// Connects, and asks for the version that both sides speak.
pub async fn connect(address: Address) -> Result<Engine, EngineError> {
    let silent = |why: String| EngineError::Silent { address: address.clone(), why };
    let tunnel = match &address {
        Address::Ssh(url) => Some(Tunnel::open(url).map_err(|error| silent(error.to_string()))?),
        _ => None,
    };
    let said = |why: String| silent(tunnel.as_ref().and_then(Tunnel::said).unwrap_or(why));
    let docker = open(&address, tunnel.as_ref()).map_err(|error| silent(deepest(&error)))?;
    let docker = tokio::time::timeout(FIRST, docker.negotiate_version())
        .await
        .map_err(|_| said(format!("it was silent for {} seconds", FIRST.as_secs())))?
        .map_err(|error| said(deepest(&error)))?;
    Ok(Engine { docker, address, _tunnel: tunnel.map(Arc::new) })
}

fn open(address: &Address, tunnel: Option<&Tunnel>) -> Result<Docker, bollard::errors::Error> {
    match address {
        Address::Unix(path) => {
            Docker::connect_with_unix(path.as_str(), TIMEOUT, API_DEFAULT_VERSION)
        }
        Address::Tcp(host) => {
            Docker::connect_with_http(&format!("tcp://{host}"), TIMEOUT, API_DEFAULT_VERSION)
        }
        Address::Tls(host, folder) => {
            let file = |name: &str| folder.join(name).into_std_path_buf();
            Docker::connect_with_ssl(
                &format!("tcp://{host}"),
                &file("key.pem"),
                &file("cert.pem"),
                &file("ca.pem"),
                TIMEOUT,
                API_DEFAULT_VERSION,
            )
        }
        Address::Ssh(_) => {
            let socket = tunnel.map(Tunnel::socket).unwrap_or_default();
            Docker::connect_with_unix(socket.as_str(), TIMEOUT, API_DEFAULT_VERSION)
        }
    }
}
