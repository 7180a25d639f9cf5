//! Other ways to an engine, and other engines: Podman's socket, a rootless Docker, TCP with TLS, SSH. Each starts a model, sees it and
//! stops it. What a way needs (`.ci/engines` installs it) is started by its own test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::engine::Engine;
use crate::gpus;
use crate::kube;
use crate::podman::Podman;
use crate::strategy::{MODEL, Strategy, free_port, hand_over, image};
use crate::tools;

type Way = (&'static str, fn() -> Result<(), String>, fn() -> Option<String>);

const WAYS: &[Way] = &[
    ("ways::podman", podman, || program("podman")),
    ("kube::play", kube::plays, || program("podman")),
    ("ways::rootless", rootless, || rootless_parts().err()),
    ("ways::tcp_with_tls", tls, || address().err()),
    ("ways::ssh", ssh, || program("ssh").or_else(|| program(SSHD))),
];

const SSHD: &str = "/usr/sbin/sshd";

/// The trials, and what some of them lack.
pub(crate) fn trials() -> (Vec<Trial>, Vec<String>) {
    let strict = tools::required("COMPOSEGEN_REQUIRE_ENGINE");
    let no_image = image(&Engine::machine()).err();
    let mut lacks = Vec::new();
    let trial = |(name, way, lack): &Way| {
        let missing = no_image.clone().or_else(lack);
        let ignored = missing.is_some() && !strict;
        lacks.extend(missing.iter().map(|missing| format!("{name}: {missing}")));
        let way = *way;
        let run = move || missing.map_or_else(way, Err).map_err(Into::into);
        Trial::test(*name, run).with_ignored_flag(ignored)
    };
    (WAYS.iter().map(trial).collect(), lacks)
}

fn program(name: &str) -> Option<String> {
    let found = Command::new(name).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_err().then(|| format!("there is no `{name}`"))
}

/// Ended with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // A rootless engine takes those with it that it has started, if it is asked to end.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        for _ in 0..100 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn service(command: &mut Command) -> Service {
    Service(
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
    )
}

/// Until the engine answers the Docker CLI.
fn answers(engine: &Engine) {
    for _ in 0..100 {
        if engine.docker(&["version"]).output().unwrap().status.success() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the engine `{}` does not answer", engine.name);
}

/// The whole of what a user does, and what `doctor` calls the way there.
fn serves(engine: &Engine, called: &str, preset: &str) {
    let strategy = Strategy::new(engine, preset);
    let doctor = strategy.run(&["doctor", "server.toml"]);
    let line = doctor.out.lines().find(|line| line.contains(" engine ")).unwrap().to_owned();
    assert!(line.starts_with("good") && line.contains(called), "{doctor}");
    strategy.up().ends(0, "healthy after");
    strategy.run(&["status", &strategy.project]).ends(0, "running");
    strategy.run(&["logs", &strategy.project]).ends(0, "model loaded");
    strategy.up().ends(0, "runs already");
    strategy.down().ends(0, "stopping");
    strategy.nothing_is_left();
    // Ctrl-C reaches as far.
    let mut command = strategy.command(&["up", "server.toml", "--out", &strategy.project]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while strategy.left().len() < 2 {
        std::thread::sleep(Duration::from_millis(50));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let said: crate::strategy::Said = child.wait_with_output().unwrap().into();
    if said.code == Some(0) {
        strategy.down();
    } else {
        said.ends(130, "nothing is left running");
    }
    strategy.nothing_is_left();
}

fn podman() -> Result<(), String> {
    let podman = Podman::new();
    podman.take_image()?;
    // The path of a socket may not be long.
    let folder = tempfile::tempdir().unwrap();
    let host = format!("unix://{}", folder.path().join("podman.sock").display());
    let _service = service(&mut podman.command(&["system", "service", "--time=0", &host]));
    let engine = Engine { name: "podman", host: Some(host), variables: Vec::new() };
    answers(&engine);
    serves(&engine, "Podman", "");
    gpus::forgotten_devices_are_told(&engine);
    Ok(())
}

/// Whom the rootless engine belongs to; `.ci/engines` makes the login.
const LOGIN: &str = "composegen-rootless";

/// The script that Docker brings for it. Debian's package and Docker's own keep it in different places.
fn rootless_parts() -> Result<PathBuf, String> {
    let passwd = fs_err::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    if !passwd.lines().any(|line| line.starts_with(&format!("{LOGIN}:"))) {
        return Err(format!("there is no login `{LOGIN}`"));
    }
    let places =
        ["/usr/share/docker.io/contrib/dockerd-rootless.sh", "/usr/bin/dockerd-rootless.sh"];
    let found = places.into_iter().map(PathBuf::from).find(|path| path.is_file());
    let script = found.ok_or_else(|| format!("none of {} is there", places.join(", ")))?;
    program("rootlesskit").or_else(|| program("slirp4netns")).map_or(Ok(script), Err)
}

/// A Docker whose daemon is a user's own: no root, no cgroups, its network behind a port forwarder.
fn rootless() -> Result<(), String> {
    let script = rootless_parts()?;
    let home = format!("/home/{LOGIN}");
    // The path of a socket may not be long, and the model must lie where that user can read it.
    let folder = tempfile::tempdir().unwrap();
    open_to_run(folder.path());
    let (sockets, models) = (folder.path().join("run"), folder.path().join("models"));
    for made in [&sockets, &models] {
        fs_err::create_dir(made).unwrap();
    }
    fs_err::copy(crate::strategy::models().join(MODEL), models.join(MODEL)).unwrap();
    let owned = Command::new("chown").args(["--", LOGIN]).arg(&sockets).status().unwrap();
    assert!(owned.success());
    let host = format!("unix://{}", sockets.join("docker.sock").display());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", LOGIN, "--regid", LOGIN, "--init-groups", "--reset-env", "env"]);
    command
        .arg(format!("XDG_RUNTIME_DIR={}", sockets.display()))
        .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    command.arg("sh").arg(script).args(["--storage-driver", "fuse-overlayfs"]);
    // Where it finds none of systemd, it must not look for its cgroups there.
    command.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]).current_dir(home);
    let _service = service(&mut command);
    let engine = Engine { name: "rootless", host: Some(host), variables: Vec::new() };
    answers(&engine);
    hand_over(&|args| engine.docker(args))?;
    let preset = format!("[container]\nmodels_dir = {:?}\n", models.display().to_string());
    serves(&engine, "rootless", &preset);
    Ok(())
}

/// Where the current engine listens for TLS.
fn address() -> Result<(String, PathBuf), String> {
    let folder = tools::target("engines/tls");
    let text = fs_err::read_to_string(folder.join("address")).map_err(|error| error.to_string())?;
    Ok((text.trim().to_owned(), folder))
}

/// By certificates of an authority of our own; without them the engine does not listen.
fn tls() -> Result<(), String> {
    let (address, folder) = address()?;
    let host = format!("tcp://{address}");
    let variables = vec![
        ("DOCKER_TLS_VERIFY", "1".to_owned()),
        ("DOCKER_CERT_PATH", folder.display().to_string()),
    ];
    let engine = Engine { name: "tls", host: Some(host.clone()), variables };
    answers(&engine);
    serves(&engine, "(TLS)", "");
    let plain = Engine { name: "plain", host: Some(host.clone()), variables: Vec::new() };
    let doctor = |engine: &Engine| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
        command.arg("doctor");
        engine.reach(&mut command);
        crate::strategy::Said::from(command.output().unwrap())
    };
    doctor(&plain).ends(22, "set DOCKER_TLS_VERIFY=1");
    let empty = tempfile::tempdir().unwrap();
    let variables = vec![
        ("DOCKER_TLS_VERIFY", "1".to_owned()),
        ("DOCKER_CERT_PATH", empty.path().display().to_string()),
    ];
    let nobody = Engine { name: "nobody", host: Some(host), variables };
    doctor(&nobody).ends(22, "DOCKER_CERT_PATH names the folder");
    Ok(())
}

/// A server of our own on the loopback, and a key that it knows; the machine's engine lies behind.
fn ssh() -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for name in ["host", "key"] {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join(name));
        assert!(command.status().unwrap().success());
    }
    let port = free_port();
    let at = |name: &str| path.join(name).display().to_string();
    let settings = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\n\
         PasswordAuthentication no\nUsePAM no\nStrictModes no\nMaxStartups 100\nMaxSessions 100\n",
        at("host"),
        at("key.pub")
    );
    fs_err::write(path.join("sshd_config"), settings).unwrap();
    let client = format!(
        "Host *\nIdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\nStrictHostKeyChecking accept-new\n",
        at("key"),
        at("known")
    );
    fs_err::write(path.join("ssh_config"), client).unwrap();
    // ssh looks for its settings below the user's home alone, which is none of our business.
    let real = which("ssh")?;
    let wrapper = format!("#!/bin/sh\nexec {real} -F {} \"$@\"\n", at("ssh_config"));
    fs_err::create_dir(path.join("bin")).unwrap();
    fs_err::write(path.join("bin/ssh"), wrapper).unwrap();
    open_to_run(&path.join("bin/ssh"));
    fs_err::create_dir_all("/run/sshd").ok();
    let mut command = Command::new(SSHD);
    let _service = service(command.arg("-D").arg("-f").arg(path.join("sshd_config")));
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let host = format!("ssh://{}@127.0.0.1:{port}", user.trim());
    let variables = vec![("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", at("bin")))];
    let engine = Engine { name: "ssh", host: Some(host), variables };
    answers(&engine);
    serves(&engine, "at ssh://", "");
    Ok(())
}

fn which(program: &str) -> Result<String, String> {
    let folders = ["/usr/bin", "/bin", "/usr/local/bin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(program)).find(|p| p.exists());
    found.map(|path| path.display().to_string()).ok_or_else(|| format!("there is no {program}"))
}

fn open_to_run(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
