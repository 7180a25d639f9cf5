//! The engines, driven by the Docker CLI as a user would.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::tools;

/// The Debian base that both engines have.
pub(crate) const BASE: &str = "composegen/base:trixie";

#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    /// `DOCKER_HOST`; absent: what the CLI takes by itself.
    pub(crate) host: Option<String>,
    /// What it takes to get there beside.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Engine {
    pub(crate) fn all() -> [Self; 2] {
        let socket = tools::target("engines/current/docker.sock");
        [
            Self::machine(),
            Self {
                name: "current",
                host: Some(format!("unix://{}", socket.display())),
                variables: Vec::new(),
            },
        ]
    }

    pub(crate) const fn machine() -> Self {
        Self { name: "machine", host: None, variables: Vec::new() }
    }

    /// Lets a program find this engine.
    pub(crate) fn reach(&self, command: &mut Command) {
        command.envs(self.host.iter().map(|host| ("DOCKER_HOST", host)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Whether tests can run on it, else what is missing.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let answers = |args: &[&str]| self.docker(args).output().is_ok_and(|o| o.status.success());
        if !answers(&["version"]) {
            return Err("does not answer".into());
        }
        if !answers(&["image", "inspect", BASE]) {
            return Err(format!("has no image {BASE}"));
        }
        if !answers(&["buildx", "version"]) {
            return Err("the Docker CLI has no buildx".into());
        }
        Ok(())
    }

    /// Whether it has an image.
    pub(crate) fn has(&self, image: &str) -> Result<(), String> {
        let found = self.docker(&["image", "inspect", image]).output();
        let there = found.is_ok_and(|output| output.status.success());
        there.then_some(()).ok_or_else(|| format!("has no image {image}"))
    }

    pub(crate) fn docker<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("docker");
        let config = tools::target("engines/config");
        if config.exists() {
            command.env("DOCKER_CONFIG", config);
        }
        self.reach(&mut command);
        command.args(args);
        command
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Vec<u8> {
        let output = self.docker(args).output().unwrap();
        assert!(output.status.success(), "docker failed: {}", Said(&output));
        output.stdout
    }

    /// Builds `context/Dockerfile` and returns the log, as an error where the build failed.
    pub(crate) fn build(&self, context: &Path, options: &[&str]) -> Result<String, String> {
        let mut command = self.docker(&["buildx", "build", "--progress=plain"]);
        let output = command.args(options).arg(context).output().unwrap();
        let log = Said(&output).to_string();
        if output.status.success() { Ok(log) } else { Err(log) }
    }

    /// The log of a build that must succeed; its last lines where it does not.
    pub(crate) fn must_build(&self, context: &Path, options: &[&str]) -> String {
        self.build(context, options).unwrap_or_else(|log| {
            let lines: Vec<&str> = log.lines().collect();
            let (_, end) = lines.split_at(lines.len().saturating_sub(40));
            panic!("the build failed on `{}`:\n{}", self.name, end.join("\n"))
        })
    }

    /// A name for an image of one test, which is removed in the end.
    pub(crate) fn image(&self) -> Image<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Image { engine: self, name: format!("composegen-test:{}-{count}", std::process::id()) }
    }
}

/// Removed when dropped.
pub(crate) struct Image<'a> {
    engine: &'a Engine,
    pub(crate) name: String,
}

impl Image<'_> {
    /// Standard output of a container that must succeed.
    pub(crate) fn run(&self, options: &[&str], args: &[&str]) -> Vec<u8> {
        self.engine.run(&[&["run", "--rm"], options, &[self.name.as_str()], args].concat())
    }

    pub(crate) fn inspect(&self) -> serde_json::Value {
        let text = self.engine.run(&["image", "inspect", &self.name]);
        let mut list: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        list.remove(0)
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        let _ = self.engine.docker(&["image", "rm", "--force", &self.name]).output();
    }
}

struct Said<'a>(&'a Output);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0.stdout))?;
        f.write_str(&String::from_utf8_lossy(&self.0.stderr))
    }
}
