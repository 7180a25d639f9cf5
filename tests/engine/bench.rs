//! `composegen bench` with the real server: started for it, measured, gone again.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::Case;
use crate::engine::Engine;
use crate::strategy::{MODEL, Said, Strategy};

pub(crate) const CASES: &[Case] = &[
    ("bench::one_at_a_time", one_at_a_time),
    ("bench::side_by_side", side_by_side),
    ("bench::what_ran_runs_on", what_ran_runs_on),
    ("bench::interrupted_at_any_moment", interrupted_at_any_moment),
    ("bench::a_server_that_ends", a_server_that_ends),
    ("bench::flags_are_swept", flags_are_swept),
    ("bench::out_of_reach", out_of_reach),
];

/// Presets `NAME.toml` whose servers are the project's; `bench` adds `-bench` to its name.
struct Presets<'a>(Strategy<'a>);

impl<'a> Presets<'a> {
    fn new(engine: &'a Engine, all: &[(&str, &str)]) -> Self {
        let presets = Self(Strategy::new(engine, ""));
        for (name, more) in all {
            presets.set(name, more);
        }
        presets
    }

    fn set(&self, name: &str, more: &str) {
        // Directories of the same name in different tests would be the same project.
        let more = format!("{more}\n[container]\nproject = \"{}-{name}\"\n", self.0.project);
        self.0.preset(name, &more);
    }

    /// With little to do.
    fn bench(&self, args: &[&str]) -> std::process::Command {
        let few = ["--depth", "48", "--tokens", "4", "--warmup", "0", "--answer-tokens", "8"];
        self.0.command(&[&["bench"], args, &few].concat())
    }

    fn run(&self, args: &[&str]) -> Said {
        self.bench(args).output().unwrap().into()
    }

    fn ledger_file(&self) -> PathBuf {
        self.0.path().join("ledger.jsonl")
    }

    fn ledger(&self) -> Vec<Value> {
        let text = fs_err::read_to_string(self.ledger_file()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Containers and networks whose names begin as the projects' do, and the state of the containers.
    fn left(&self) -> Vec<String> {
        let filter = format!("name=^{}", self.0.project);
        let list = |args: &[&str]| String::from_utf8(self.0.engine.run(args)).unwrap();
        let format = "{{.Names}} {{.State}}";
        let mut left = list(&["ps", "--all", "--filter", &filter, "--format", format]);
        left.push_str(&list(&["network", "ls", "--filter", &filter, "--format", "{{.Name}}"]));
        left.lines().map(str::to_owned).collect()
    }

    /// The container of a preset that `up` started.
    fn id(&self, name: &str) -> String {
        let name = format!("{}-{name}-llama-1", self.0.project);
        let format = "{{.Id}} {{.State.Running}}";
        let text = self.0.engine.run(&["container", "inspect", "--format", format, &name]);
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Presets<'_> {
    fn drop(&mut self) {
        for line in self.left() {
            let name = line.split(' ').next().unwrap_or_default();
            let what = if name.ends_with("_default") { "network" } else { "container" };
            let args: &[&str] = if what == "network" {
                &[what, "rm", name]
            } else {
                &[what, "rm", "--force", name]
            };
            let _ = self.0.engine.docker(args).output();
        }
    }
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// Another engine's ports need not be this machine's.
fn within_reach(engine: &Engine) -> bool {
    engine.host.is_none()
}

const NONE: Vec<String> = Vec::new();

/// Of two times four samples that lie apart, the verdict is a difference; on a machine that others use, they may not.
fn verdict(quick: &Value, slow: &Value) -> &'static str {
    let of = |run: &Value| -> Vec<f64> {
        let samples = at(run, "/speeds/0/prompt").as_array().unwrap();
        samples.iter().map(|sample| sample.as_f64().unwrap()).collect()
    };
    let (quick, slow) = (of(quick), of(slow));
    let above = |a: &[f64], b: &[f64]| a.iter().all(|a| b.iter().all(|b| a > b));
    if above(&quick, &slow) || above(&slow, &quick) {
        "more than chance (p = 0.029)"
    } else {
        "too close to call (p = "
    }
}

/// Tokens of the prompt one by one against all at once.
fn one_at_a_time(engine: &Engine) {
    if !within_reach(engine) {
        return;
    }
    let presets = Presets::new(engine, &[("quick", ""), ("slow", "[batching]\nubatch_size = 1\n")]);
    let said = presets.run(&["quick.toml", "slow.toml", "--repeat", "4"]).ends(0, "quick");
    let why =
        format!("one at a time, each started 4 times, since both use port {}", presets.0.port);
    assert!(said.err.contains(&why), "{said}");
    let order: String = said
        .err
        .lines()
        .filter(|line| line.contains(", 48 tokens, "))
        .filter_map(|line| line.chars().next())
        .collect();
    assert_eq!(order, "qssqqssq", "{said}");
    assert!(said.out.contains(" GB of RAM"), "{said}");
    assert_eq!(presets.left(), NONE, "{said}");

    let runs = presets.ledger();
    let [quick, slow] = runs.as_slice() else { panic!("{runs:?}") };
    let expected = verdict(quick, slow);
    let line = said.out.lines().find(|line| line.contains("prompt t/s") && line.contains("(p = "));
    assert!(line.is_some_and(|line| line.contains(expected)), "no `{expected}` in {said}");
    assert_eq!(at(quick, "/key/preset/name"), "quick");
    assert!(at(quick, "/key/preset/digest") != at(slow, "/key/preset/digest"));
    assert_eq!(at(quick, "/key/llama/build"), 11434);
    assert_eq!(at(quick, "/key/gguf/file"), MODEL);
    let image = crate::strategy::image(engine).unwrap();
    let format = "{{.Id}}";
    let id = engine.run(&["image", "inspect", "--format", format, &image]);
    for run in &runs {
        assert_eq!(at(run, "/key/image"), String::from_utf8_lossy(&id).trim());
        assert!(at(run, "/key/gguf/header").as_str().unwrap().starts_with("sha256:"));
        let size = fs_err::metadata(crate::strategy::models().join(MODEL)).unwrap().len();
        assert_eq!(at(run, "/key/gguf/bytes"), size);
        assert!(at(run, "/key/devices/0").is_string(), "the processor: {run}");
        assert_eq!(at(run, "/ctx_size"), 4096);
        assert_eq!(at(run, "/speeds/0/prompt").as_array().unwrap().len(), 4);
        // The weights alone are 0.1 GB.
        let ram = at(run, "/memory/ram_gb").as_f64().unwrap();
        assert!((0.1..2.0).contains(&ram), "{ram}");
        assert_eq!(at(run, "/answers/0/tokens"), 8);
        assert_eq!(at(run, "/answers/0/finished"), false);
    }

    let ledger = |args: &[&str]| presets.0.run(&[&["ledger"], args].concat());
    ledger(&["--preset", "slow", "--fail-below", "1000000"]).ends(9, "slow: ");
    ledger(&["--preset", "slow", "--fail-below", "0.001"]).ends(0, "slow");
    ledger(&["compare", "quick", "slow"]).ends(0, expected);
}

fn side_by_side(engine: &Engine) {
    if !within_reach(engine) {
        return;
    }
    let port = crate::strategy::free_port();
    let other = format!("[batching]\nubatch_size = 1\n[server]\nport = {port}\n");
    let presets = Presets::new(engine, &[("a", ""), ("b", &other)]);
    let args = ["a.toml", "b.toml", "--answers", "0", "--format", "json"];
    let said = presets.run(&args).ends(0, "written to");
    assert!(!said.err.contains("one at a time"), "{said}");
    assert_eq!(said.err.matches(": healthy after").count(), 2, "{said}");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let sample = |run: usize, i: usize| {
        at(&report, &format!("/runs/{run}/speeds/0/prompt/{i}")).as_f64().unwrap()
    };
    let slower = (0..6).filter(|i| sample(1, *i) < sample(0, *i)).count();
    // Any other choice of six signs is not rare enough.
    let expected = if matches!(slower, 0 | 6) { "different" } else { "too-close" };
    assert_eq!(at(&report, "/verdicts/0/verdict"), expected, "{said}");
    assert_eq!(at(&report, "/verdicts/0/run"), 1, "{said}");
    assert_eq!(presets.left(), NONE, "{said}");
}

fn what_ran_runs_on(engine: &Engine) {
    if !within_reach(engine) {
        return;
    }
    let presets = Presets::new(engine, &[("a", ""), ("b", "[batching]\nubatch_size = 64\n")]);
    presets.0.run(&["up", "a.toml"]).ends(0, "healthy after");
    let before = presets.id("a");
    assert!(before.ends_with("true\n"), "{before}");
    // As the files say: it is measured as it is.
    let once = ["--repeat", "1", "--answers", "0"];
    let said = presets.run(&[&["a.toml"], once.as_slice()].concat()).ends(0, "written to");
    assert!(!said.err.contains("healthy after"), "{said}");
    assert_eq!(presets.id("a"), before);
    // It makes room for another one with its port, and comes back.
    let two = ["a.toml", "b.toml", "--starts", "1"];
    let said = presets.run(&[two.as_slice(), once.as_slice()].concat()).ends(0, "runs again");
    assert!(said.out.contains("no verdict: it takes 4 measurements of each"), "{said}");
    assert_eq!(presets.id("a"), before);
    assert_eq!(presets.left().len(), 2, "{:?}", presets.left());
    // It is what it was, also where the preset says something else by now.
    presets.set("a", "[batching]\nubatch_size = 32\n");
    let said = presets.run(&[&["a.toml"], once.as_slice()].concat()).ends(0, "pausing ");
    assert!(said.err.contains("runs again"), "{said}");
    assert_eq!(presets.id("a"), before);
    let runs = presets.ledger();
    let args = at(runs.last().unwrap(), "/args").to_string();
    assert!(args.contains("\"--ubatch-size\",\"32\""), "{args}");
    // Nothing is started where nothing is to be.
    presets.0.run(&["down", "deploy/a"]).ends(0, "stopping");
    presets.run(&["a.toml", "--no-start"]).ends(23, "no answer from");
    assert_eq!(presets.left(), NONE);
}

fn interrupted_at_any_moment(engine: &Engine) {
    if !within_reach(engine) {
        return;
    }
    let presets = Presets::new(engine, &[("a", ""), ("b", "[batching]\nubatch_size = 64\n")]);
    presets.0.run(&["up", "a.toml"]).ends(0, "healthy after");
    let before = presets.id("a");
    for moment in [300, 700, 1500, 3000, 6000] {
        let mut command = presets.bench(&["a.toml", "b.toml", "--repeat", "20"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        let id = child.id().to_string();
        let killed = std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(killed.success());
        let said = Said::from(child.wait_with_output().unwrap());
        match said.code {
            Some(130) => assert!(said.err.contains("interrupted; "), "{moment} ms: {said}"),
            // Before the signal was taken over nothing had been started.
            None => {}
            code => panic!("{moment} ms: {code:?} {said}"),
        }
        assert_eq!(presets.id("a"), before, "{moment} ms: {said}");
        assert_eq!(presets.left().len(), 2, "{moment} ms: {:?} {said}", presets.left());
        assert!(!presets.ledger_file().exists());
    }
}

/// The reason is the server's end, not that it gave no answer.
fn a_server_that_ends(engine: &Engine) {
    if !within_reach(engine) {
        return;
    }
    let presets = Presets::new(engine, &[("a", "")]);
    let mut command = presets.bench(&["a.toml", "--repeat", "20", "--depth", "3000"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let name = format!("{}-a-bench-llama-1", presets.0.project);
    let healthy = ["exec", &name, "/usr/local/bin/entrypoint", "health"];
    let is_healthy = |_| {
        std::thread::sleep(Duration::from_millis(200));
        engine.docker(&healthy).output().unwrap().status.success()
    };
    assert!((0..600).any(is_healthy), "{name} was never healthy");
    std::thread::sleep(Duration::from_secs(1));
    engine.run(&["kill", &name]);
    Said::from(child.wait_with_output().unwrap()).ends(18, "killed from outside");
    assert_eq!(presets.left(), NONE);
    assert!(!presets.ledger_file().exists());
}

fn flags_are_swept(engine: &Engine) {
    if !within_reach(engine) {
        return;
    }
    let presets = Presets::new(engine, &[("a", "[batching]\nubatch_size = 64\n")]);
    let sweeps = ["--sweep", "ctx-size=512,1024", "--sweep", "temp=0,1.5"];
    let few = ["a.toml", "--starts", "1", "--repeat", "2"];
    let said = presets.run(&[few.as_slice(), sweeps.as_slice()].concat()).ends(0, "B AGAINST A");
    assert!(said.out.contains("answer at temp=1.5: 8 tokens"), "{said}");
    let runs = presets.ledger();
    let [one, all] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!(at(one, "/key/preset/name"), "a ctx_size=512");
    assert_eq!(at(all, "/key/preset/name"), "a ctx_size=1024");
    assert!(at(one, "/key/preset/digest") != at(all, "/key/preset/digest"));
    // As the servers themselves say.
    assert_eq!((at(one, "/ctx_size"), at(all, "/ctx_size")), (&512.into(), &1024.into()));
    for run in &runs {
        let temps: Vec<&Value> =
            (0..2).map(|i| at(run, &format!("/answers/{i}/sampling/temp"))).collect();
        assert_eq!(temps, [0.0, 1.5], "{run}");
    }
    assert_eq!(presets.left(), NONE, "{said}");
    let wrong = ["a.toml", "--sweep", "ubatch-size=0"];
    presets.run(&wrong).ends(2, "`0` is not a whole number from 1");
    let wrong = ["a.toml", "--sweep", "cache_type_k=8"];
    presets.run(&wrong).ends(2, "is no number that can be swept");
}

/// An engine whose ports are not this machine's is told from a server that does not run.
fn out_of_reach(engine: &Engine) {
    if within_reach(engine) {
        return;
    }
    let presets = Presets::new(engine, &[("a", "")]);
    let said = presets.run(&["a.toml"]).ends(23, "it is healthy where the engine is");
    assert!(said.err.contains("no answer from"), "{said}");
    assert_eq!(presets.left(), NONE, "{said}");
}
