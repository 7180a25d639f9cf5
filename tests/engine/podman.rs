//! Podman with its data in `target`, and settings that a container without special rights can grant.

use std::path::PathBuf;
use std::process::Command;

use crate::strategy::hand_over;
use crate::tools;

pub(crate) struct Podman {
    home: PathBuf,
}

impl Podman {
    pub(crate) fn new() -> Self {
        let home = tools::target("engines/podman");
        fs_err::create_dir_all(&home).unwrap();
        let text = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                    [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        fs_err::write(home.join("containers.conf"), text).unwrap();
        Self { home }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.home.join("containers.conf"));
        command.arg("--root").arg(self.home.join("root"));
        command.arg("--runroot").arg(self.home.join("run")).args(args);
        command
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> Vec<u8> {
        let output = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "podman {args:?}: {said}");
        output.stdout
    }

    pub(crate) fn take_image(&self) -> Result<(), String> {
        hand_over(&|args| self.command(args))
    }
}
