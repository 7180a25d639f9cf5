//! An engine over ssh, as Docker's own CLI reaches it: the system's `ssh` runs `docker system dial-stdio` on the other
//! side, and a socket of ours stands for what it says. (bollard's own way knows no port in the address.)

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use camino::Utf8PathBuf;

/// Open while this lives; each connection is an `ssh` of its own.
#[derive(Debug)]
pub(super) struct Tunnel {
    folder: tempfile::TempDir,
    /// What ssh last had to say.
    said: Arc<Mutex<String>>,
}

impl Tunnel {
    /// `url` is `ssh://[USER@]HOST[:PORT][/SOCKET]`.
    pub(super) fn open(url: &str) -> io::Result<Self> {
        let words = words(url).ok_or_else(|| {
            io::Error::other(
                "it is not of the form ssh://USER@HOST:PORT or ssh://USER@HOST:PORT/SOCKET",
            )
        })?;
        let tunnel = Self { folder: tempfile::tempdir()?, said: Arc::default() };
        let listener = UnixListener::bind(tunnel.socket())?;
        let said = Arc::clone(&tunnel.said);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if let Err(error) = connect(near, &words, &said) {
                    set(&said, format!("ssh does not start: {error}"));
                }
            }
        });
        Ok(tunnel)
    }

    pub(super) fn socket(&self) -> Utf8PathBuf {
        let path = self.folder.path().join("engine.sock");
        Utf8PathBuf::from_path_buf(path).unwrap_or_default()
    }

    /// Why nothing came of it, where ssh said so.
    pub(super) fn said(&self) -> Option<String> {
        let said = self.said.lock().ok()?;
        said.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
    }
}

fn set(said: &Mutex<String>, text: String) {
    if let Ok(mut said) = said.lock() {
        *said = text;
    }
}

/// What follows `ssh`.
fn words(url: &str) -> Option<Vec<String>> {
    let rest = url.strip_prefix("ssh://")?;
    let (place, socket) = match rest.split_once('/') {
        Some((place, socket)) if !socket.is_empty() => (place, Some(format!("/{socket}"))),
        Some((place, _)) => (place, None),
        None => (rest, None),
    };
    let (user, place) = match place.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, place),
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => {
            (host, Some(port.parse::<u16>().ok()?.to_string()))
        }
        _ => (place, None),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // The other side's shell reads the path, and ssh reads the host.
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:%".contains(c))
    };
    let known = [Some(host), user, socket.as_deref()];
    if !known.into_iter().flatten().all(plain) {
        return None;
    }
    let mut words: Vec<String> =
        ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T"].map(str::to_owned).to_vec();
    let mut option = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    if let Some(user) = user {
        option("-l", user.to_owned());
    }
    if let Some(port) = port {
        option("-p", port);
    }
    words.extend(["--".to_owned(), host.to_owned(), "docker".to_owned()]);
    words.extend(
        socket.into_iter().flat_map(|socket| ["--host".to_owned(), format!("unix://{socket}")]),
    );
    words.extend(["system", "dial-stdio"].map(str::to_owned));
    Some(words)
}

/// Carries both ways until one side ends.
fn connect(near: UnixStream, words: &[String], said: &Arc<Mutex<String>>) -> io::Result<()> {
    let mut command = Command::new("ssh");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C is for us: what is taken back then goes through here.
    let mut child = command.process_group(0).spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(into), Some(out), Some(complaints)) = pipes else { return Ok(()) };
    let (from_near, to_near) = (near.try_clone()?, near.try_clone()?);
    std::thread::spawn(move || carry(from_near, into));
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut text = String::new();
        let mut complaints = complaints;
        if complaints.read_to_string(&mut text).is_ok() && !text.trim().is_empty() {
            set(&said, text);
        }
    });
    std::thread::spawn(move || {
        carry(out, to_near);
        let _ = near.shutdown(Shutdown::Both);
        end(child);
    });
    Ok(())
}

/// Its end of the pipes is closed; where it does not end by itself, it has nothing more to say either.
fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn carry(mut from: impl Read, mut to: impl Write) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let (part, _) = piece.split_at(length);
        if to.write_all(part).and_then(|()| to.flush()).is_err() {
            break;
        }
    }
}

/// Whether an address can be one: what [`Tunnel::open`] asks, too.
pub(super) fn is_well_formed(url: &str) -> bool {
    words(url).is_some()
}

#[cfg(test)]
mod tests {
    use super::words;

    fn said(url: &str) -> Option<String> {
        let words = words(url)?;
        Some(words.get(5..).unwrap_or_default().join(" "))
    }

    #[test]
    fn addresses_become_words() {
        let is = |url: &str, words: &str| assert_eq!(said(url).as_deref(), Some(words), "{url}");
        is("ssh://box", "-- box docker system dial-stdio");
        is("ssh://me@box:2222", "-l me -p 2222 -- box docker system dial-stdio");
        is("ssh://me@box/", "-l me -- box docker system dial-stdio");
        is("ssh://me@[fe80::1]:22", "-l me -p 22 -- fe80::1 docker system dial-stdio");
        is(
            "ssh://me@box/run/user/7/docker.sock",
            "-l me -- box docker --host unix:///run/user/7/docker.sock system dial-stdio",
        );
        for wrong in [
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://a;b",
            "ssh://a:x",
            "ssh://a/$(id)",
            "tcp://a",
        ] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }
}
