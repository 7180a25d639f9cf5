//! A disk that is full: the engine's while an image is built, and ours while files are written.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::engine::{BASE, Engine};
use crate::strategy::Said;
use crate::{project, tools};

/// Trials, and what some of them lack.
pub(crate) fn trials() -> (Vec<Trial>, Vec<String>) {
    let strict = tools::required("COMPOSEGEN_REQUIRE_ENGINE");
    let image = Engine::machine().docker(&["image", "inspect", ENGINE]).output();
    let engine = image.is_ok_and(|found| found.status.success());
    // The image may be another checkout's, whose base this one has not.
    let base = tools::target("engines/base/trixie.tar");
    let engine = (!engine || !base.exists())
        .then(|| format!("full::engine: there is no image {ENGINE}, or no {}", base.display()));
    let mount = (!can_mount()).then(|| "full::files: nothing can be mounted here".to_owned());
    let trial = |name: &str, test: fn(), lack: &Option<String>| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(lack.is_some() && !strict)
    };
    let trials =
        vec![trial("full::engine", the_engines, &engine), trial("full::files", ours, &mount)];
    (trials, engine.into_iter().chain(mount).collect())
}

const ENGINE: &str = "composegen/engine:current";

/// An engine of its own, with room for a base image and little else.
struct Small {
    name: String,
    folder: tempfile::TempDir,
}

impl Small {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let small = Self { name: format!("composegen-test-full-{}", std::process::id()), folder };
        let volume = format!("{}:/run/current", small.folder.path().display());
        let mut args = vec!["run", "--detach", "--name", &small.name, "--volume", &volume];
        args.extend(["--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=SYS_PTRACE"]);
        for option in ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"] {
            args.extend(["--security-opt", option]);
        }
        args.extend(["--device=/dev/fuse", "--tmpfs=/var/lib/docker:size=400m"]);
        args.extend(["--volume=/sys/fs/cgroup:/sys/fs/cgroup", ENGINE]);
        args.extend(["dockerd", "--host", "unix:///run/current/docker.sock"]);
        Engine::machine().run(&args);
        small
    }

    fn engine(&self) -> Engine {
        let socket = self.folder.path().join("docker.sock");
        Engine {
            name: "full",
            host: Some(format!("unix://{}", socket.display())),
            variables: Vec::new(),
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Engine::machine().docker(&["rm", "--force", "--volumes", &self.name]).output();
    }
}

fn the_engines() {
    let small = Small::new();
    let engine = small.engine();
    for _ in 0..60 {
        if engine.docker(&["version"]).output().unwrap().status.success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let base = tools::target("engines/base/trixie.tar");
    engine.run(&["import", "--change", "CMD [\"/bin/sh\"]", base.to_str().unwrap(), BASE]);
    let folder = tempfile::tempdir().unwrap();
    let presets = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/presets");
    let text = format!(
        "extends = \"{presets}/smollm2\"\nhardware = \"{presets}/hardware/amd64\"\n[image]\nname = \"full:1\"\n\
         build_base = \"{BASE}\"\nruntime_base = \"{BASE}\"\n"
    );
    project::file(folder.path(), "server.toml", &text);
    project::write(&folder.path().join("out/llama.cpp"), "full");
    let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
    command.current_dir(folder.path()).args(["build", "server.toml", "--out", "out", "--image"]);
    engine.reach(&mut command);
    // The compiler alone takes more than there is.
    let said = Said::from(command.output().unwrap()).ends(21, "the image was not built");
    assert!(said.err.contains("help: the engine's disk is full"), "{said}");
    let images =
        String::from_utf8(engine.run(&["image", "ls", "--format", "{{.Repository}}"])).unwrap();
    assert_eq!(images.trim(), "composegen/base");
    assert_eq!(engine.run(&["ps", "--all", "--quiet"]), b"");
}

/// Whether a file system of our own can be had.
fn can_mount() -> bool {
    within(Path::new("/tmp"), 64, "true").is_ok_and(|said| said.code == Some(0))
}

/// Runs a script where `place` is a file system of so many KiB.
fn within(place: &Path, kib: u32, script: &str) -> std::io::Result<Said> {
    let script =
        format!("mount -t tmpfs -o size={kib}k none \"$0\" && cd \"$0\" && {{ {script}; }}");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(place);
    Ok(command.env("NO_COLOR", "1").output()?.into())
}

fn ours() {
    let folder = tempfile::tempdir().unwrap();
    let composegen = env!("CARGO_BIN_EXE_composegen");
    let presets = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
    let build = |out: &str, more: &str| {
        format!("{composegen} build {presets}/smollm2-cpu.toml --out {out} {more}")
    };
    let full = "No space left on device";
    // Nothing was there, and nothing is.
    let script = format!("{}; code=$?; ls -A; exit $code", build("out", ""));
    let said = within(folder.path(), 16, &script).unwrap().ends(7, full);
    assert!(said.err.contains("help: free some space and run it again"), "{said}");
    assert_eq!(said.out, "");
    // What was there stays as it was, to the byte.
    let script = format!(
        "cp {presets}/hardware/*.toml . && sed 's/hardware = .*/hardware = \"laptop\"/; s/ctx_size = 4096/ctx_size = 2048/' \
         {presets}/smollm2-cpu.toml >smollm2-cpu.toml && mkdir hardware && mv laptop.toml hardware && \
         {} 2>/dev/null && find out -type f -exec sha256sum {{}} + | sort >sums && \
         dd if=/dev/zero of=fill bs=1k 2>/dev/null; \
         {composegen} build smollm2-cpu.toml --out out --force; code=$?; \
         find out -type f -exec sha256sum {{}} + | sort | cmp - sums && exit $code",
        build("out", "")
    );
    within(folder.path(), 160, &script).unwrap().ends(7, full);
    // A line of the ledger is whole or not there.
    let script = format!(
        "head -c 4089 /dev/zero | tr '\\0' x >l; echo >>l; dd if=/dev/zero of=fill bs=1k 2>/dev/null; {composegen} ledger import {presets} --ledger l; \
         code=$?; wc -c <l; exit $code"
    );
    let said = within(folder.path(), 64, &script).unwrap().ends(7, full);
    assert_eq!(said.out.trim(), "4090", "{said}");
}
