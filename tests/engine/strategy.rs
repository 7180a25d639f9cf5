//! A strategy in a directory of its own, driven by composegen as a user would, with the CPU image and the small model
//! that `.ci/cpu-image` makes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::engine::Engine;
use crate::tools;

pub(crate) const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Removed with its container and network when dropped.
pub(crate) struct Strategy<'a> {
    pub(crate) engine: &'a Engine,
    folder: tempfile::TempDir,
    pub(crate) project: String,
    pub(crate) port: u16,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\n{}{}", self.code, self.out, self.err)
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Said {
    /// Fails the test where the command did not end as it had to.
    #[track_caller]
    pub(crate) fn ends(self, code: i32, with: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(self.err.contains(with) || self.out.contains(with), "no `{with}` in {self}");
        self
    }
}

/// Where the model lies, on the machine and in the engine's eyes.
pub(crate) fn models() -> PathBuf {
    tools::target("engines/models").canonicalize().unwrap_or_default()
}

/// The CPU image that the engine has, or what is missing.
pub(crate) fn image(engine: &Engine) -> Result<String, String> {
    if !models().join(MODEL).is_file() {
        return Err(format!("{MODEL} is not in target/engines/models"));
    }
    let list = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "composegen/cpu"];
    let output = engine.docker(&list).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tag = text.lines().find(|tag| !tag.ends_with("<none>"));
    tag.map(str::to_owned).ok_or_else(|| "has no image composegen/cpu".to_owned())
}

/// Gives the machine's CPU image to another engine that has it not, by its command line, and takes those away that an
/// earlier run left there: one of them would be taken for it.
pub(crate) fn hand_over(other: &dyn Fn(&[&str]) -> Command) -> Result<(), String> {
    let machine = Engine::machine();
    let image = image(&machine)?;
    let run = |args: &[&str]| {
        let output = other(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = run(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    let tags = || list.lines().filter(|tag| tag.contains("composegen/cpu:"));
    for old in tags().filter(|tag| !tag.ends_with(&image)) {
        run(&["image", "rm", "--force", old]);
    }
    if tags().any(|tag| tag.ends_with(&image)) {
        return Ok(());
    }
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    machine.run(&["save", "--output", archive.to_str().unwrap(), &image]);
    run(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    Ok(())
}

impl<'a> Strategy<'a> {
    /// `more` is added to the preset.
    pub(crate) fn new(engine: &'a Engine, more: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let project = format!("composegen-test-{}-{count}", std::process::id());
        let port = free_port();
        let strategy = Self { engine, folder: tempfile::tempdir().unwrap(), project, port };
        strategy.preset("server", more);
        strategy
    }

    /// Writes another preset beside the first.
    pub(crate) fn preset(&self, name: &str, more: &str) {
        let presets = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/presets");
        let mut text: toml::Table = more.parse().unwrap();
        let mut top = |key: &str, value: String| {
            text.entry(key).or_insert(value.into());
        };
        top("extends", format!("{presets}/smollm2"));
        top("hardware", format!("{presets}/hardware/amd64"));
        let mut set = |table: &str, key: &str, value: toml::Value| {
            let table = text.entry(table).or_insert_with(|| toml::Table::new().into());
            table.as_table_mut().unwrap().entry(key).or_insert(value);
        };
        set("image", "name", image(self.engine).unwrap().into());
        set("server", "port", i64::from(self.port).into());
        set("container", "models_dir", models().to_str().unwrap().into());
        fs_err::write(self.path().join(format!("{name}.toml")), text.to_string()).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The output directory, whose name is the project's.
    pub(crate) fn out(&self) -> PathBuf {
        self.path().join(&self.project)
    }

    /// `composegen` here, at this engine.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
        command.current_dir(self.path()).env("NO_COLOR", "1").args(args);
        self.engine.reach(&mut command);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    pub(crate) fn up(&self) -> Said {
        self.run(&["up", "server.toml", "--out", &self.project])
    }

    pub(crate) fn down(&self) -> Said {
        self.run(&["down", &self.project])
    }

    /// The real Compose in the output directory.
    pub(crate) fn compose(&self, version: &str, args: &[&str]) -> Option<Said> {
        let mut command = tools::find(&format!("docker-compose-{version}"))?;
        command.current_dir(self.out()).arg("--env-file=server.env").args(args);
        self.engine.reach(&mut command);
        Some(command.output().unwrap().into())
    }

    pub(crate) fn container(&self) -> String {
        format!("{}-llama-1", self.project)
    }

    pub(crate) fn inspect(&self) -> serde_json::Value {
        let text = self.engine.run(&["container", "inspect", &self.container()]);
        let mut list: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        list.remove(0)
    }

    /// Asks the server from inside of its container, since not every engine's ports are this machine's.
    pub(crate) fn ask(&self, path: &str, body: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut args = vec!["exec".to_owned(), self.container(), "curl".into()];
        args.extend(["--silent", "--fail", "--max-time", "300"].map(str::to_owned));
        if !body.is_empty() {
            args.extend(
                ["--header", "Content-Type: application/json", "--data"].map(str::to_owned),
            );
            args.push(body.to_owned());
        }
        args.push(url);
        String::from_utf8(self.engine.run(&args)).unwrap()
    }

    /// Containers and networks of the project.
    pub(crate) fn left(&self) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let list = |args: &[&str]| String::from_utf8(self.engine.run(args)).unwrap();
        let mut left = list(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        left.push_str(&list(&["network", "ls", "--filter", &filter, "--format", "{{.Name}}"]));
        left.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        assert_eq!(self.left(), Vec::<String>::new());
    }
}

impl Drop for Strategy<'_> {
    fn drop(&mut self) {
        for name in self.left() {
            let what = if name.ends_with("_default") { "network" } else { "container" };
            let _ = self.engine.docker(&[what, "rm", "--force", &name]).output();
            let _ = self.engine.docker(&[what, "rm", &name]).output();
        }
    }
}

/// A port of this machine that nobody has at the moment, and that nobody gets by chance before it is used: it is below
/// those that the kernel gives to whoever asks for any, and each is handed out once by this process.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let at = std::process::id().wrapping_mul(97) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 16_384 + u16::try_from(at % 16_384).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
