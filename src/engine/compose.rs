//! The Compose that may be installed beside the engine: asked for one thing, what it calls the service's configuration.
//! With its own word on the container, `docker compose up` takes the container for its own and leaves it running.

use std::process::{Command, Stdio};

use crate::plan::service::{NAME, Service};

/// Ways to call it, the plugin first.
const WAYS: &[&[&str]] = &[&["docker", "compose"], &["docker-compose"]];

/// One that is installed, major version 2 or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compose {
    way: &'static [&'static str],
    pub version: String,
}

impl Compose {
    pub fn find() -> Option<Self> {
        WAYS.iter().find_map(|way| {
            let version = said(command(way)?.args(["version", "--short"]))?;
            let version = version.trim().trim_start_matches('v').to_owned();
            let major: u32 = version.split('.').next()?.parse().ok()?;
            (major >= 2).then_some(Self { way, version })
        })
    }

    /// `docker compose config --hash`: 64 hex digits.
    pub fn hash(&self, service: &Service) -> Option<String> {
        let mut command = command(self.way)?;
        command
            .current_dir(&service.directory)
            .arg("--project-name")
            .arg(&service.project)
            .arg("--env-file")
            .arg(service.env_file())
            .args(["config", "--hash", NAME]);
        let text = said(&mut command)?;
        let hash = text.split_whitespace().next_back()?;
        let hex = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| hash.to_owned())
    }
}

fn command(way: &[&str]) -> Option<Command> {
    let (program, args) = way.split_first()?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    Some(command)
}

/// Standard output, where the program is there and content.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
