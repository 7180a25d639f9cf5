//! `composegen push`: a real registry, as a process on this machine, with and without a password.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::engine::{BASE, Engine, Image};
use crate::strategy::Said;
use crate::{Case, project, tools};

pub(crate) const CASES: &[Case] = &[
    ("push::the_digest_is_locked", the_digest_is_locked),
    ("push::who_the_configuration_says", who_the_configuration_says),
    ("push::nothing_to_push", nothing_to_push),
];

/// `me` with the password `se:cret`, by bcrypt.
const PASSWORDS: &str = "me:$2y$05$abcdefghijklmnopqrstuuWqeDdmk0qhXLYvA33lbC9M700ynI2Oa\n";

/// A registry whose files are gone with it.
struct Registry {
    process: Child,
    folder: tempfile::TempDir,
    host: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    /// `None` where the machine has none.
    fn new(passwords: Option<&str>) -> Option<Self> {
        let mut command = tools::find("docker-registry")?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            at("data")
        );
        if let Some(passwords) = passwords {
            project::file(folder.path(), "passwords", passwords);
            let path = at("passwords");
            write!(config, "auth:\n  htpasswd:\n    realm: test\n    path: {path}\n").unwrap();
        }
        project::file(folder.path(), "config.yml", &config);
        let mut process = command
            .args(["serve", &at("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Self { process, folder, host: format!("127.0.0.1:{port}") });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!("the registry does not answer");
    }

    /// What the registry itself calls the tag.
    fn digest(&self, repository: &str, tag: &str) -> String {
        let links = format!("data/docker/registry/v2/repositories/{repository}/_manifests/tags");
        let link = self.folder.path().join(links).join(tag).join("current/link");
        fs_err::read_to_string(link).unwrap()
    }
}

/// A preset for a stack whose image is in the registry, and a small image to push.
struct Bench<'a> {
    image: Image<'a>,
    folder: tempfile::TempDir,
    name: String,
}

impl<'a> Bench<'a> {
    fn new(engine: &'a Engine, registry: &str) -> Self {
        let image = engine.image();
        let folder = tempfile::tempdir().unwrap();
        // A layer of its own: nothing that another run may have pushed.
        project::file(
            folder.path(),
            "Dockerfile",
            &format!("FROM {BASE}\nLABEL test={}\n", image.name),
        );
        engine.must_build(folder.path(), &["--tag", &image.name]);
        let name = format!("{registry}/llama:1");
        let presets = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/presets");
        let preset = format!(
            "extends = \"{presets}/smollm2\"\nhardware = \"{presets}/hardware/amd64\"\ntarget = \"swarm\"\n\
             [image]\nname = \"{name}\"\n"
        );
        project::file(folder.path(), "server.toml", &preset);
        Self { image, folder, name }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn push(&self, args: &[&str], path: Option<&Path>) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
        command.current_dir(self.path()).env("NO_COLOR", "1");
        command.args(["push", "server.toml", "--out", "out"]).args(args);
        command.env("DOCKER_CONFIG", self.path().join("docker"));
        if let Some(path) = path {
            let known = std::env::split_paths("/usr/local/bin:/usr/bin:/bin");
            let all: Vec<PathBuf> = std::iter::once(path.to_owned()).chain(known).collect();
            command.env("PATH", std::env::join_paths(all).unwrap());
        }
        command.output().unwrap().into()
    }

    fn configured(&self, config: &str) {
        project::file(self.path(), "docker/config.json", config);
    }

    fn out(&self, file: &str) -> String {
        fs_err::read_to_string(self.path().join("out").join(file)).unwrap_or_default()
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", "--force", &self.name]).output();
    }
}

fn the_digest_is_locked(engine: &Engine) {
    let Some(registry) = Registry::new(None) else { return };
    let bench = Bench::new(engine, &registry.host);
    let local = bench.image.name.clone();
    let said = bench.push(&["--image", &local], None).ends(0, "layers sent");
    let digest = registry.digest("llama", "1");
    let pinned = format!("{}@{digest}", bench.name);
    assert_eq!(said.out.trim(), pinned);
    assert!(bench.out("composegen.lock").contains(&digest));
    assert!(bench.out("server.stack.yml").contains(&format!("image: \"{pinned}\"")));
    // What is pulled by it is the image that was pushed.
    let id = |name: &str| {
        let format = ["image", "inspect", "--format", "{{.Id}}", name];
        String::from_utf8(engine.run(&format)).unwrap()
    };
    let own = id(&local);
    engine.run(&["image", "rm", &bench.name]);
    engine.run(&["pull", "--quiet", &pinned]);
    assert_eq!(id(&pinned), own);
    engine.run(&["image", "rm", "--force", &pinned]);
    // Again, by the directory alone: the registry has it all, and nothing changes.
    engine.run(&["tag", &local, &bench.name]);
    bench.push(&[], None).ends(0, ": 0 layers sent");
    assert!(bench.out("composegen.lock").contains(&digest));
}

fn who_the_configuration_says(engine: &Engine) {
    let Some(registry) = Registry::new(Some(PASSWORDS)) else { return };
    let bench = Bench::new(engine, &registry.host);
    let local = bench.image.name.clone();
    let image = ["--image", local.as_str()];
    let host = &registry.host;
    bench.push(&image, None).ends(4, &format!("`docker login {host}`"));
    // `me:wrong`
    bench.configured(&format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6d3Jvbmc="}}}}}}"#));
    bench.push(&image, None).ends(4, "the credentials of the Docker configuration are not enough");
    // `me:se:cret`
    bench.configured(&format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6c2U6Y3JldA=="}}}}}}"#));
    let said = bench.push(&image, None).ends(0, "locked");
    assert!(!said.err.contains("cret") && !said.out.contains("cret"), "{said}");

    // By helpers: one for this registry, and one for all.
    let helper = format!(
        "#!/bin/sh\nread -r at\n[ \"$1 $at\" = \"get {host}\" ] || \
         {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
         printf '{{\"ServerURL\":\"%s\",\"Username\":\"me\",\"Secret\":\"se:cret\"}}\\n' \"$at\"\n"
    );
    let programs = bench.path().join("programs");
    project::file(&programs, "docker-credential-test", &helper);
    executable(&programs.join("docker-credential-test"));
    project::file(
        &programs,
        "docker-credential-broken",
        "#!/bin/sh\necho the keyring is locked >&2\nexit 2\n",
    );
    executable(&programs.join("docker-credential-broken"));
    let programs = Some(programs.as_path());
    bench.configured(&format!(r#"{{"credHelpers":{{"{host}":"test"}},"credsStore":"broken"}}"#));
    bench.push(&image, programs).ends(0, "locked");
    bench.configured(r#"{"auths":{},"credsStore":"test"}"#);
    bench.push(&image, programs).ends(0, "locked");
    bench.configured(r#"{"credHelpers":{"other.example":"broken"},"credsStore":"test"}"#);
    bench.push(&image, programs).ends(0, "locked");
    bench.configured(r#"{"credsStore":"broken"}"#);
    bench.push(&image, programs).ends(7, "the keyring is locked");
    bench.configured(r#"{"credsStore":"nowhere"}"#);
    bench.push(&image, programs).ends(7, "cannot run `docker-credential-nowhere`");
    bench.configured("{");
    bench.push(&image, programs).ends(7, "is no configuration of Docker's");
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn nothing_to_push(engine: &Engine) {
    let Some(registry) = Registry::new(None) else { return };
    let bench = Bench::new(engine, &registry.host);
    bench.push(&[], None).ends(20, "the engine has no image");
    bench.push(&["--image", "composegen-test:none"], None).ends(20, "`docker image ls`");
    assert!(!bench.path().join("out").exists());
    let text = fs_err::read_to_string(bench.path().join("server.toml")).unwrap();
    project::file(bench.path(), "server.toml", &text.replace(&bench.name, "llama:1"));
    bench.push(&[], None).ends(2, "names no registry");
    let pinned = format!("{}@sha256:{}", bench.name, "0a".repeat(32));
    project::file(bench.path(), "server.toml", &text.replace(&bench.name, &pinned));
    bench.push(&[], None).ends(2, "has its digest already");
    // A port where nobody listens.
    drop(registry);
    project::file(bench.path(), "server.toml", &text);
    let local = bench.image.name.clone();
    bench.push(&["--image", &local], None).ends(4, "the engine does not reach");
}
