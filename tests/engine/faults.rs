//! Everything that can be made to go wrong without a GPU: each ends in its own words and exit code, and leaves nothing.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use crate::Case;
use crate::engine::Engine;
use crate::proxy::Proxy;
use crate::strategy::{MODEL, Said, Strategy, models};

pub(crate) const CASES: &[Case] = &[
    ("faults::a_refused_flag", a_refused_flag),
    ("faults::a_memory_limit", a_memory_limit),
    ("faults::model_files", model_files),
    ("faults::an_unknown_architecture", an_unknown_architecture),
    ("faults::a_taken_port", a_taken_port),
    ("faults::a_killed_container", a_killed_container),
    ("faults::interrupted_at_any_moment", interrupted_at_any_moment),
    ("faults::two_at_once", two_at_once),
    ("faults::the_engine_goes_away", the_engine_goes_away),
    ("faults::a_command_is_interrupted", a_command_is_interrupted),
    ("faults::the_engine_goes_away_from_a_command", the_engine_goes_away_from_a_command),
    ("faults::no_image", no_image),
    ("faults::no_gpu", no_gpu),
    ("faults::a_timeout", a_timeout),
];

fn a_refused_flag(engine: &Engine) {
    let strategy = Strategy::new(engine, "extra_args = [\"--no-such-flag\"]");
    // By the image's own list, before anything is started.
    let said = strategy.up().ends(14, "`--no-such-flag` (b11434 has no such flag either)");
    assert!(said.err.contains("has llama.cpp b11434,"), "{said}");
    strategy.nothing_is_left();
    // The list is kept: without one of its lines it is that of an older build.
    let kept = strategy.out().join(".llama-flags");
    let list = fs_err::read_to_string(&kept).unwrap();
    fs_err::write(&kept, list.replace("\n--ctx-size\n", "\n")).unwrap();
    strategy.preset("server", "");
    let said = strategy.up().ends(14, "`--ctx-size` (b11434 has it)");
    assert!(said.err.contains("help: build llama.cpp b11434 or a later one"), "{said}");
    fs_err::remove_file(&kept).unwrap();
    // A value that only llama-server can judge.
    strategy.preset("server", "extra_args = [\"--pooling\", \"sideways\"]");
    strategy.up().ends(14, "--pooling");
    strategy.nothing_is_left();
    assert_eq!(fs_err::read_to_string(&kept).unwrap(), list);
}

fn a_memory_limit(engine: &Engine) {
    let more = "[placement]\nload_mode = \"none\"\n[container]\nmemory_limit = 64\n";
    let strategy = Strategy::new(engine, more);
    strategy.up().ends(11, "the kernel ended llama-server for want of memory");
    strategy.nothing_is_left();
}

fn model_files(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let folder = strategy.path().join("models");
    fs_err::create_dir(&folder).unwrap();
    let bytes = fs_err::read(models().join(MODEL)).unwrap();
    let put = |name: &str, bytes: &[u8]| fs_err::write(folder.join(name), bytes).unwrap();
    put("short.gguf", bytes.split_at(50_000_000).0);
    put("other.gguf", b"<!DOCTYPE html>");
    put("b-00001-of-00002.gguf", &bytes);
    let up = |file: &str, words: &str| {
        let more = format!(
            "[model]\nfile = \"{file}\"\n[container]\nmodels_dir = \"{}\"\n",
            folder.display()
        );
        strategy.preset("server", &more);
        strategy.up().ends(12, words);
        strategy.nothing_is_left();
    };
    up("none.gguf", "none.gguf` is not there");
    up("short.gguf", "the model is cut off");
    up("other.gguf", "no GGUF file");
    up("a-00001-of-00002.gguf", "a part of the model, is not there");
    up("b-00001-of-00002.gguf", "b-00002-of-00002.gguf`, a part of the model, is not there");
}

/// Only the server can know this one. The engine must see the file, so that it goes where the model is.
fn an_unknown_architecture(engine: &Engine) {
    let mut bytes = fs_err::read(models().join(MODEL)).unwrap();
    let key = b"general.architecture";
    let at = bytes.windows(key.len()).position(|part| part == key).unwrap() + key.len() + 12;
    bytes.get_mut(at..at + 5).unwrap().copy_from_slice(b"llamx");
    let strategy = Strategy::new(engine, "");
    if engine.host.is_some() {
        // Another engine sees no files of ours but the model.
        return;
    }
    fs_err::write(strategy.path().join("x.gguf"), bytes).unwrap();
    let folder = strategy.path().display().to_string();
    open_to_all(strategy.path());
    let more = format!("[model]\nfile = \"x.gguf\"\n[container]\nmodels_dir = \"{folder}\"\n");
    strategy.preset("server", &more);
    strategy.up().ends(13, "does not know the architecture `llamx`");
    strategy.nothing_is_left();
}

/// The server runs as another user.
fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn a_taken_port(engine: &Engine) {
    let first = Strategy::new(engine, "");
    first.up().ends(0, "healthy after");
    let more = format!("[server]\nport = {}\n", first.port);
    let second = Strategy::new(engine, &more);
    second.up().ends(15, &format!("`{}` has published", first.container()));
    second.nothing_is_left();
    first.down().ends(0, "stopping");
    // A program of this machine has it; another engine's ports are not this machine's.
    if engine.host.is_none() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        second.preset("server", &format!("[server]\nport = {port}\n"));
        second.up().ends(15, "is in use by another program");
        second.nothing_is_left();
    }
}

fn a_killed_container(engine: &Engine) {
    // A health check that never passes keeps `up` waiting: the model is loaded and the port is another.
    let strategy = Strategy::new(engine, "");
    let child = waiting(&strategy);
    engine.run(&["kill", &strategy.container()]);
    Said::from(child.wait_with_output().unwrap()).ends(18, "killed from outside");
    strategy.nothing_is_left();
}

/// An `up` that waits, since its server's health is asked at a prefix that it does not serve.
fn waiting(strategy: &Strategy<'_>) -> std::process::Child {
    strategy.preset("server", "[container]\nenvironment = { API_PREFIX = \"/elsewhere\" }\n");
    let mut command = strategy.command(&["up", "server.toml", "--out", &strategy.project]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let name = strategy.container();
    let args = ["container", "inspect", "--format", "{{.State.Running}}", &name];
    for _ in 0..300 {
        let output = strategy.engine.docker(&args).output().unwrap();
        if output.stdout == b"true\n" {
            return child;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    panic!("{name} did not start: {}", Said::from(child.wait_with_output().unwrap()));
}

fn interrupt(child: &std::process::Child) {
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

fn interrupted_at_any_moment(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    // The compile is over after some 100 ms; from there to the first answer it is two seconds.
    for moment in [150, 250, 300, 350, 400, 450, 500, 600, 700, 900, 1200, 1600] {
        let mut command = strategy.command(&["up", "server.toml", "--out", &strategy.project]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        interrupt(&child);
        let said = Said::from(child.wait_with_output().unwrap());
        match said.code {
            Some(130) => assert!(said.err.contains("interrupted; "), "{moment} ms: {said}"),
            // Before the signal was taken over nothing had been started; the signal itself ends it.
            None => {}
            Some(0) => {
                strategy.down().ends(0, "stopping");
            }
            code => panic!("{moment} ms: {code:?} {said}"),
        }
        strategy.nothing_is_left();
    }
    let child = waiting(&strategy);
    interrupt(&child);
    Said::from(child.wait_with_output().unwrap()).ends(130, "nothing is left running");
    strategy.nothing_is_left();
}

fn two_at_once(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let child = waiting(&strategy);
    strategy.up().ends(7, "another composegen has been at work");
    // But it can be stopped from beside.
    strategy.down().ends(0, "stopping");
    let said = Said::from(child.wait_with_output().unwrap());
    assert!(said.code != Some(0), "{said}");
    strategy.nothing_is_left();
}

fn the_engine_goes_away(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let proxy = Proxy::new(engine, strategy.path());
    strategy.preset("server", "[container]\nenvironment = { API_PREFIX = \"/elsewhere\" }\n");
    let mut command = strategy.command(&["up", "server.toml", "--out", &strategy.project]);
    command.env("DOCKER_HOST", proxy.host());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while strategy.left().len() < 2 {
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(proxy);
    let said = Said::from(child.wait_with_output().unwrap()).ends(4, "the engine went away");
    assert!(said.err.contains("composegen down"), "{said}");
    // As it says: when the engine answers again, what is left can be removed.
    strategy.down().ends(0, "stopping");
    strategy.nothing_is_left();
    let mut command = strategy.command(&["up", "server.toml", "--out", &strategy.project]);
    let output = command.env("DOCKER_HOST", "unix:///nowhere.sock").output().unwrap();
    Said::from(output).ends(4, "no engine answers at unix:///nowhere.sock");
}

/// A one-off command that lasts, once its container runs.
fn lasting(strategy: &Strategy<'_>, host: Option<String>) -> std::process::Child {
    let mut command = strategy.command(&["run", "server.toml", "--out", &strategy.project]);
    command.args(["--", "sleep", "600"]).envs(host.map(|host| ("DOCKER_HOST", host)));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let project = format!("label=com.docker.compose.project={}", strategy.project);
    while strategy.engine.run(&["ps", "--quiet", "--filter", &project]).is_empty() {
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn a_command_is_interrupted(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let child = lasting(&strategy, None);
    interrupt(&child);
    Said::from(child.wait_with_output().unwrap()).ends(130, "the container is removed");
    strategy.nothing_is_left();
}

fn the_engine_goes_away_from_a_command(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let proxy = Proxy::new(engine, strategy.path());
    let child = lasting(&strategy, Some(proxy.host()));
    drop(proxy);
    let said = Said::from(child.wait_with_output().unwrap()).ends(4, "the engine went away");
    assert!(said.err.contains("composegen down"), "{said}");
    strategy.down().ends(0, "stopping");
    strategy.nothing_is_left();
}

fn no_image(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    let file = strategy.path().join("server.toml");
    let text = fs_err::read_to_string(&file).unwrap();
    let image = crate::strategy::image(engine).unwrap();
    fs_err::write(&file, text.replace(&image, "composegen-test:none")).unwrap();
    strategy.up().ends(20, "--image` makes it");
    strategy.nothing_is_left();
}

/// The engine's own refusal, since neither engine has NVIDIA's runtime.
fn no_gpu(engine: &Engine) {
    let hardware = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/presets/hardware");
    let more =
        format!("hardware = \"{hardware}/rtx4090-rtx5070ti\"\n[image]\nbackend = \"cuda\"\n");
    let strategy = Strategy::new(engine, &more);
    strategy.up().ends(16, "could not select device driver \"nvidia\"");
    strategy.nothing_is_left();
}

fn a_timeout(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    strategy.preset("server", "[container]\nenvironment = { API_PREFIX = \"/elsewhere\" }\n");
    let args = ["up", "server.toml", "--out", &strategy.project, "--timeout", "4"];
    strategy.run(&args).ends(19, "did not answer within");
    strategy.nothing_is_left();
}
