//! A generated `entrypoint.sh` in a directory of its own, with programs that stand in for llama-server and curl.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use composegen::plan::knob::Knob;
use composegen::render::entrypoint::entrypoint;
use tempfile::TempDir;

use crate::tools;

/// Each shell that runs the script alike: of Debian and Ubuntu, of Alpine, and a third opinion.
pub(crate) fn shells() -> Vec<Vec<String>> {
    [("dash", None), ("busybox", Some("sh")), ("bash", Some("--posix"))]
        .into_iter()
        .filter_map(|(program, argument)| {
            let program = tools::find(program)?.to_str().unwrap().to_owned();
            Some(std::iter::once(program).chain(argument.map(str::to_owned)).collect())
        })
        .collect()
}

pub(crate) struct Script {
    dir: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) said: String,
    /// The program that was started in the end, and its arguments; `None` where the script stopped before.
    pub(crate) argv: Option<Vec<String>>,
    /// What curl got on its standard input.
    pub(crate) input: String,
}

impl Script {
    pub(crate) fn new(knobs: &[Knob]) -> Self {
        Self::made(knobs, false)
    }

    /// With `rpc` the script knows workers; the kernel's list of connections is the file `tcp`, and names are in `hosts`.
    pub(crate) fn made(knobs: &[Knob], rpc: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let header = ["made by a test".to_owned()];
        let text = entrypoint(&header, knobs, 8080, rpc).unwrap();
        let key = dir.path().join("api_key");
        assert_eq!(text.matches("/run/secrets/api_key").count(), 1);
        let text = text.replace("/run/secrets/api_key", key.to_str().unwrap());
        let tcp = dir.path().join("tcp");
        let text = text.replace("/proc/net/tcp", tcp.to_str().unwrap());
        std::fs::write(dir.path().join("entrypoint.sh"), text).unwrap();
        std::fs::write(dir.path().join("model.gguf"), "GGUF").unwrap();
        let keep = "#!/bin/sh\nprintf '%s\\0' \"${0##*/}\" \"$@\" > \"$ARGV\"\n";
        for (name, rest) in [
            ("llama-server", ""),
            ("llama-bench", ""),
            ("ggml-rpc-server", ""),
            ("curl", "cat > \"$INPUT\"\nexit \"${CURL_SAYS:-0}\"\n"),
        ] {
            program(&dir, name, &format!("{keep}{rest}"));
        }
        program(&dir, "getent", "#!/bin/sh\nexec grep -s \" $2\\$\" \"${0%/*}/hosts\"\n");
        Self { dir }
    }

    /// Puts a program in front of the system's own.
    pub(crate) fn program(&self, name: &str, text: &str) {
        program(&self.dir, name, text);
    }

    /// Writes a file beside the script.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("entrypoint.sh")
    }

    /// The model that is there.
    pub(crate) fn model(&self) -> String {
        self.file("model.gguf")
    }

    pub(crate) fn key(&self) -> String {
        self.file("api_key")
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn run<V: AsRef<str>>(
        &self,
        shell: &[String],
        environment: &[(impl AsRef<str>, V)],
        arguments: &[&str],
    ) -> Ran {
        let (argv, input) = (self.dir.path().join("argv"), self.dir.path().join("input"));
        for file in [&argv, &input] {
            let _ = std::fs::remove_file(file);
        }
        let output = Command::new(&shell[0])
            .args(&shell[1..])
            .arg(self.path())
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
            .env("PATH", format!("{}:/usr/bin:/bin", self.dir.path().display()))
            .env("ARGV", &argv)
            .env("INPUT", &input)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"", "nothing of ours goes to standard output");
        Ran {
            code: output.status.code().unwrap(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            argv: words(&argv),
            input: std::fs::read_to_string(&input).unwrap_or_default(),
        }
    }
}

fn program(dir: &TempDir, name: &str, text: &str) {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
}

fn words(file: &Path) -> Option<Vec<String>> {
    let text = String::from_utf8(std::fs::read(file).ok()?).unwrap();
    Some(text.strip_suffix('\0')?.split('\0').map(str::to_owned).collect())
}
