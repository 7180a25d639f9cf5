//! `composegen build --image`: a stand-in source compiled through the engine's BuildKit, the cache, failures, Ctrl-C.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::engine::{BASE, Engine, Image};
use crate::proxy::Proxy;
use crate::strategy::Said;
use crate::{Case, project};

pub(crate) const CASES: &[Case] = &[
    ("images::build_again_and_change", build_again_and_change),
    ("images::a_compile_error_is_shown", a_compile_error_is_shown),
    ("images::a_base_that_cannot_be_had", a_base_that_cannot_be_had),
    ("images::interrupted", interrupted),
    ("images::the_engine_goes_away", the_engine_goes_away),
];

/// A preset with a source of its own, and the image that it names.
struct Bench<'a> {
    engine: &'a Engine,
    image: Image<'a>,
    folder: tempfile::TempDir,
}

impl<'a> Bench<'a> {
    fn new(engine: &'a Engine, base: &str) -> Self {
        let bench = Self { engine, image: engine.image(), folder: tempfile::tempdir().unwrap() };
        let presets = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/presets");
        let text = format!(
            "extends = \"{presets}/smollm2\"\nhardware = \"{presets}/hardware/amd64\"\n[image]\nname = \"{}\"\n\
             build_base = \"{base}\"\nruntime_base = \"{base}\"\n",
            bench.image.name
        );
        project::file(bench.path(), "server.toml", &text);
        bench
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn source(&self) -> PathBuf {
        self.path().join("out/llama.cpp")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
        let args = ["build", "server.toml", "--out", "out", "--image"];
        command.current_dir(self.path()).env("NO_COLOR", "1").args(args);
        self.engine.reach(&mut command);
        command
    }

    fn build(&self) -> Said {
        self.command().output().unwrap().into()
    }

    fn has_image(&self) -> bool {
        let args = ["image", "inspect", &self.image.name];
        self.engine.docker(&args).output().unwrap().status.success()
    }
}

/// New in each run, so that no cache has seen it.
fn nonce(engine: &Engine, what: &str) -> String {
    format!("{what}-{}-{}", engine.name, std::process::id())
}

fn build_again_and_change(engine: &Engine) {
    let bench = Bench::new(engine, BASE);
    let word = nonce(engine, "one");
    project::write(&bench.source(), &word);
    project::file(&bench.source(), ".git/config", "left out");
    let said = bench.build().ends(0, "built composegen-test:");
    assert!(said.err.contains("[build 1/1] RUN"), "{said}");
    let says = || {
        let options = ["--entrypoint=/app/llama-server"];
        String::from_utf8(bench.image.run(&options, &["x"])).unwrap()
    };
    assert_eq!(says(), format!("{word} 11434-unknown\nx\n"));
    let inspected = bench.image.inspect();
    assert_eq!(inspected.get("Id").and_then(|id| id.as_str()), Some(said.out.trim()));
    let labels = inspected.pointer("/Config/Labels").unwrap();
    let label = |name: &str| labels.get(name).and_then(|label| label.as_str()).unwrap();
    assert_eq!(label("dev.composegen.image.strategies"), "server");
    assert_eq!(label("dev.composegen.image.llama-commit"), "not pinned");
    let lock = fs_err::read(bench.path().join("out/composegen.lock")).unwrap();
    let digest = composegen::artifact::Digest::of(&lock);
    assert_eq!(label("dev.composegen.image.lock"), digest.as_str());

    // Nothing has changed, and nothing is done; the same for the times of files.
    let file = fs_err::File::open(bench.source().join("main.c")).unwrap();
    file.file().set_modified(std::time::UNIX_EPOCH).unwrap();
    let again = bench.build().ends(0, "built composegen-test:");
    assert!(again.err.contains("[build 1/1] RUN") && again.err.contains(": cached"), "{again}");
    assert!(!again.err.contains("compiled"), "{again}");

    let other = nonce(engine, "two");
    project::set_word(&bench.source(), &other);
    bench.build().ends(0, "built composegen-test:");
    assert_eq!(says(), format!("{other} 11434-unknown\nx\n"));
}

fn a_compile_error_is_shown(engine: &Engine) {
    let bench = Bench::new(engine, BASE);
    project::write(&bench.source(), &nonce(engine, "broken"));
    project::file(&bench.source(), "word.c", "const char *word(void) { return missing; }\n");
    let said = bench.build().ends(21, "the image was not built");
    assert!(said.err.contains("word.c:1:"), "no place: {said}");
    assert!(said.err.contains("'missing' undeclared"), "no error: {said}");
    assert!(!bench.has_image());
}

fn a_base_that_cannot_be_had(engine: &Engine) {
    let bench = Bench::new(engine, "localhost:9/none:1");
    project::write(&bench.source(), "x");
    let said = bench.build().ends(21, "the image was not built");
    assert!(said.err.contains("help: the base image cannot be had"), "{said}");
    assert!(!bench.has_image());
}

/// A build that compiles until it is ended.
fn endless(bench: &Bench<'_>) {
    project::write(&bench.source(), &nonce(bench.engine, "endless"));
    let file = bench.source().join("CMakeLists.txt");
    let text = fs_err::read_to_string(&file).unwrap();
    let sleep = "execute_process(COMMAND ${CMAKE_COMMAND} -E echo now-it-sleeps)\n\
                 execute_process(COMMAND sleep 300)\n";
    fs_err::write(&file, format!("{text}{sleep}")).unwrap();
}

/// Until the step that sleeps has begun.
fn until_it_compiles(child: &mut std::process::Child) -> std::thread::JoinHandle<String> {
    use std::io::{BufRead as _, BufReader};
    let reader = BufReader::new(child.stderr.take().unwrap());
    let (begun, begins) = std::sync::mpsc::channel();
    let rest = std::thread::spawn(move || {
        let mut all = String::new();
        for line in reader.lines().map_while(Result::ok) {
            if line.contains("[build 1/1] RUN") {
                let _ = begun.send(());
            }
            all.push_str(&line);
            all.push('\n');
        }
        all
    });
    begins.recv_timeout(Duration::from_secs(600)).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    rest
}

fn interrupted(engine: &Engine) {
    let bench = Bench::new(engine, BASE);
    endless(&bench);
    let mut command = bench.command();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = until_it_compiles(&mut child);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", said.join().unwrap());
    assert!(!bench.has_image());
    // The engine has really given it up: the same build starts anew and does not wait for a sleeping one.
    project::write(&bench.source(), &nonce(engine, "after"));
    bench.build().ends(0, "built composegen-test:");
}

fn the_engine_goes_away(engine: &Engine) {
    let bench = Bench::new(engine, BASE);
    endless(&bench);
    let proxy = Proxy::new(engine, bench.path());
    let mut command = bench.command();
    command.env("DOCKER_HOST", proxy.host());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = until_it_compiles(&mut child);
    drop(proxy);
    let code = child.wait().unwrap().code();
    let said = said.join().unwrap();
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("the engine went away"), "{said}");
    assert!(!bench.has_image());
}
