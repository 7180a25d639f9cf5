//! A git repository that a build can reach: served by git's own `http-backend` behind a socket of ours.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::Engine;

/// A repository with one branch `master` in a directory of its own.
pub(crate) struct Repository {
    directory: tempfile::TempDir,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let repository = Self { directory: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=master"]);
        // A server on the web allows both.
        repository.git(&["config", "uploadpack.allowFilter", "true"]);
        repository.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Commits all files and returns the commit.
    pub(crate) fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.path())
            .args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Serves it until the server is dropped.
    pub(crate) fn serve(&self) -> Server {
        // The gateway of the machine's bridge is reached from its containers, and so from the other engine.
        let [machine, _] = Engine::all();
        let text = machine.run(&["network", "inspect", "bridge"]);
        let networks: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let config = networks.pointer("/0/IPAM/Config/0").unwrap();
        // Where no gateway is configured, Docker takes the subnet's first address: `172.17.0.0/16`.
        let gateway = config.get("Gateway").and_then(|gateway| gateway.as_str()).map_or_else(
            || {
                let subnet = config
                    .get("Subnet")
                    .and_then(|subnet| subnet.as_str())
                    .unwrap()
                    .split('/')
                    .next()
                    .unwrap();
                format!("{}.1", subnet.rsplit_once('.').unwrap().0)
            },
            str::to_owned,
        );
        let listener = TcpListener::bind((gateway.as_str(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, directory) = (Arc::clone(&stop), self.path().to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let directory = directory.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &directory));
            }
        });
        Server { url: format!("http://{address}/llama.cpp"), address, stop }
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    address: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// One request as CGI (RFC 3875) to `git http-backend`, one answer, end.
fn answer(mut stream: TcpStream, directory: &PathBuf) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut words = request.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git");
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", directory)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", format!("/.git{}", path.trim_start_matches("/llama.cpp")))
        .env("QUERY_STRING", query)
        .env("REMOTE_ADDR", "127.0.0.1");
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => drop(backend.env("CONTENT_TYPE", value)),
            "content-encoding" => drop(backend.env("HTTP_CONTENT_ENCODING", value)),
            "git-protocol" => drop(backend.env("GIT_PROTOCOL", value)),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    backend.env("CONTENT_LENGTH", length.to_string());
    let mut child = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let status = output.strip_prefix(b"Status: ").map_or("200 OK", |rest| {
        let end = rest.iter().position(|&b| b == b'\r').unwrap();
        str::from_utf8(rest.split_at(end).0).unwrap()
    });
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n").unwrap();
    stream.write_all(&output).unwrap();
}
