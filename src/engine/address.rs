//! Where the engine is: `DOCKER_HOST`, the context that `docker context use` chose, or the first socket that exists.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use super::EngineError;
use super::ssh::is_well_formed;
use crate::artifact::Digest;

/// One way to an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Unix(Utf8PathBuf),
    /// Without TLS.
    Tcp(String),
    /// With the folder that holds `ca.pem`, `cert.pem` and `key.pem`.
    Tls(String, Utf8PathBuf),
    Ssh(String),
}

/// What the search looks at; a value for each, so that it can be tested.
pub struct Surroundings<'a> {
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    pub exists: &'a dyn Fn(&Utf8Path) -> bool,
    pub read: &'a dyn Fn(&Utf8Path) -> Option<String>,
}

impl Address {
    /// Whether a port published by the engine is one of this machine.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Looks in the order in which Docker's own CLI looks, then for rootless engines and Podman.
    pub fn find(around: &Surroundings<'_>) -> Result<Self, EngineError> {
        let variable = |name: &str| (around.variable)(name).filter(|value| !value.is_empty());
        let home = variable("HOME").map(Utf8PathBuf::from);
        let certificates = || {
            variable("DOCKER_CERT_PATH")
                .map(Utf8PathBuf::from)
                .or_else(|| home.as_ref().map(|home| home.join(".docker")))
                .unwrap_or_default()
        };
        let tls = || variable("DOCKER_TLS_VERIFY").map(|_| certificates());
        if let Some(host) = variable("DOCKER_HOST") {
            return Self::parse(&host, tls());
        }
        let config = variable("DOCKER_CONFIG")
            .map(Utf8PathBuf::from)
            .or_else(|| home.as_ref().map(|home| home.join(".docker")));
        if let Some(config) = &config
            && let Some(name) =
                variable("DOCKER_CONTEXT").or_else(|| current(around, &config.join("config.json")))
            && name != "default"
        {
            return Self::of_context(around, config, &name);
        }
        let run = variable("XDG_RUNTIME_DIR").map(Utf8PathBuf::from);
        let places: Vec<Utf8PathBuf> = [
            Some(Utf8PathBuf::from("/var/run/docker.sock")),
            run.as_ref().map(|run| run.join("docker.sock")),
            home.as_ref().map(|home| home.join(".docker/run/docker.sock")),
            run.as_ref().map(|run| run.join("podman/podman.sock")),
            Some(Utf8PathBuf::from("/run/podman/podman.sock")),
        ]
        .into_iter()
        .flatten()
        .collect();
        match places.iter().find(|place| (around.exists)(place)) {
            Some(socket) => Ok(Self::Unix(socket.clone())),
            None => {
                Err(EngineError::None { places: places.into_iter().map(String::from).collect() })
            }
        }
    }

    fn parse(given: &str, tls: Option<Utf8PathBuf>) -> Result<Self, EngineError> {
        let wrong =
            |why: &str| EngineError::Address { given: given.to_owned(), why: why.to_owned() };
        let (scheme, rest) = given.split_once("://").ok_or_else(|| wrong("it has no `://`"))?;
        if rest.is_empty() {
            return Err(wrong("nothing stands behind `://`"));
        }
        match (scheme, tls) {
            ("unix", _) => Ok(Self::Unix(rest.into())),
            ("tcp" | "http", None) => Ok(Self::Tcp(rest.to_owned())),
            ("tcp" | "http" | "https", Some(folder)) => Ok(Self::Tls(rest.to_owned(), folder)),
            ("https", None) => Err(wrong("for https set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH")),
            ("ssh", _) if is_well_formed(given) => Ok(Self::Ssh(given.to_owned())),
            ("ssh", _) => Err(wrong("it is not of the form ssh://USER@HOST:PORT")),
            _ => Err(wrong("its scheme is unknown")),
        }
    }

    /// `docker context` keeps its addresses in a folder named by the digest of the name.
    fn of_context(
        around: &Surroundings<'_>,
        config: &Utf8Path,
        name: &str,
    ) -> Result<Self, EngineError> {
        let digest = Digest::of(name.as_bytes());
        let folder = digest.as_str().trim_start_matches("sha256:");
        let meta = config.join("contexts/meta").join(folder).join("meta.json");
        let wrong = |why: &str| EngineError::Address {
            given: format!("docker context {name}"),
            why: format!("{why} in {meta}"),
        };
        let text = (around.read)(&meta).ok_or_else(|| wrong("there is nothing"))?;
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|_| wrong("there is no JSON"))?;
        let host = json.pointer("/Endpoints/docker/Host").and_then(|host| host.as_str());
        let tls = config.join("contexts/tls").join(folder).join("docker");
        let tls = (around.exists)(&tls).then_some(tls);
        Self::parse(host.ok_or_else(|| wrong("there is no host"))?, tls)
    }
}

/// The context that Docker's configuration names.
fn current(around: &Surroundings<'_>, file: &Utf8Path) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(&(around.read)(file)?).ok()?;
    Some(json.get("currentContext")?.as_str()?.to_owned())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Tls(host, _) => write!(f, "tcp://{host} (TLS)"),
            Self::Ssh(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::{Address, Surroundings};

    fn find(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Address, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let read = |path: &Utf8Path| {
            files.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned())
        };
        let exists = |path: &Utf8Path| files.iter().any(|(known, _)| *known == path);
        Address::find(&Surroundings { variable: &variable, exists: &exists, read: &read })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_variable_wins_then_the_context_then_sockets() {
        let unix = |path: &str| Ok(Address::Unix(path.into()));
        let socket = ("/var/run/docker.sock", "");
        let rootless = ("/run/user/7/docker.sock", "");
        let podman = ("/run/user/7/podman/podman.sock", "");
        let run = ("XDG_RUNTIME_DIR", "/run/user/7");
        assert_eq!(find(&[("DOCKER_HOST", "unix:///x.sock")], &[socket]), unix("/x.sock"));
        assert_eq!(find(&[("DOCKER_HOST", "")], &[socket]), unix("/var/run/docker.sock"));
        assert_eq!(find(&[run], &[podman, rootless]), unix("/run/user/7/docker.sock"));
        assert_eq!(find(&[run], &[podman]), unix("/run/user/7/podman/podman.sock"));
        let none = find(&[run], &[]).unwrap_err();
        assert!(none.contains("/run/podman/podman.sock"), "{none}");

        let config = ("/h/.docker/config.json", r#"{"currentContext": "far"}"#);
        // The folder's name is what `printf far | sha256sum` prints.
        let meta = "/h/.docker/contexts/meta/512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868/meta.json";
        let far = (meta, r#"{"Endpoints": {"docker": {"Host": "tcp://far:2375"}}}"#);
        let home = ("HOME", "/h");
        assert_eq!(find(&[home], &[config, far, socket]), Ok(Address::Tcp("far:2375".into())));
        assert!(find(&[home], &[config, socket]).unwrap_err().contains("docker context far"));
        assert_eq!(
            find(&[home, ("DOCKER_CONTEXT", "default")], &[config, socket]),
            unix("/var/run/docker.sock")
        );
    }

    #[test]
    fn schemes() {
        let host = |host: &str| find(&[("DOCKER_HOST", host)], &[]);
        assert_eq!(host("tcp://a:2375"), Ok(Address::Tcp("a:2375".into())));
        let tls = [
            ("DOCKER_HOST", "tcp://a:2376"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/c"),
        ];
        assert_eq!(find(&tls, &[]), Ok(Address::Tls("a:2376".into(), "/c".into())));
        for wrong in ["a:2375", "ftp://a", "unix://", "https://a"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert_eq!(host("ssh://me@a:22"), Ok(Address::Ssh("ssh://me@a:22".into())));
        assert!(host("ssh://-oProxyCommand=x").is_err());
    }
}
