//! Https before a scripted server: what a proxy with a certificate of its own does. The key in `tls/` belongs to nothing else.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::repository::root;

/// The file that a user would name in `SSL_CERT_FILE`.
pub(crate) fn certificate() -> String {
    root().join("tests/it/tls/cert.pem").into_string()
}

/// The address of a front before a server at `http://HOST:PORT`, one request for each connection.
pub(crate) fn before(url: &str) -> String {
    let behind = url.strip_prefix("http://").unwrap().to_owned();
    let certificates = vec![CertificateDer::from_pem_file(certificate()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(root().join("tests/it/tls/key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let tls = StreamOwned::new(connection, stream.unwrap());
            let behind = behind.clone();
            std::thread::spawn(move || pass(tls, &behind));
        }
    });
    url
}

/// A request there and the answer back. A client that does not believe the certificate hangs up.
fn pass(mut tls: StreamOwned<ServerConnection, TcpStream>, behind: &str) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !whole(&request) {
        match tls.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&part[..read]),
        }
    }
    let mut server = TcpStream::connect(behind).unwrap();
    server.write_all(&request).unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    tls.write_all(&answer).unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}
