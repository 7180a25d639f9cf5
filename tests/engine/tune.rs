//! `composegen tune`: on the real server with a real limit of memory, and on a stand-in for two GPUs.

mod gpus;

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Case;
use crate::engine::Engine;
use crate::strategy::{Said, Strategy};

pub(crate) const CASES: &[Case] = &[
    ("tune::down_to_what_fits", down_to_what_fits),
    ("tune::nothing_fits", nothing_fits),
    ("tune::killed_it_goes_on", killed_it_goes_on),
    ("tune::interrupted_it_leaves_nothing", interrupted_it_leaves_nothing),
    ("tune::not_beside_itself", not_beside_itself),
    ("tune::layer_by_layer", gpus::layer_by_layer),
];

/// A preset with a limit of memory, in MiB.
fn limited(engine: &Engine, limit: u32, ctx_size: u32) -> Strategy<'_> {
    let more = format!("[context]\nctx_size = {ctx_size}\n[container]\nmemory_limit = {limit}\n");
    Strategy::new(engine, &more)
}

fn args<'a>(strategy: &'a Strategy<'_>, more: &[&'a str]) -> Vec<&'a str> {
    [&["tune", "server.toml", "--out", strategy.project.as_str()], more].concat()
}

fn tune(strategy: &Strategy<'_>, more: &[&str]) -> Said {
    strategy.run(&args(strategy, more))
}

/// The attempts, and the lines that close a tuning.
fn written(strategy: &Strategy<'_>) -> (Vec<Value>, Vec<Value>) {
    let text = fs_err::read_to_string(strategy.path().join("ledger.jsonl")).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.partition(|line| at(line, "/trial/best").is_null())
}

fn ledger(strategy: &Strategy<'_>) -> Vec<Value> {
    written(strategy).0
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// The cache of 8192 tokens alone takes 180 MiB, that of 1024 takes 23 MiB.
fn down_to_what_fits(engine: &Engine) {
    let strategy = limited(engine, 150, 8192);
    let said = tune(&strategy, &["--contexts", "1K"]).ends(0, "best: 1K: ");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.first(), Some(&"server on the CPU"), "{said}");
    assert_eq!(lines.get(1), Some(&"  1  8K: the most that may fit, by the estimate"), "{said}");
    let why = "     out of memory: the kernel ended llama-server for want of memory, ";
    assert!(lines.get(2).is_some_and(|line| line.starts_with(why)), "{said}");
    let next = "  2  1K: the machine ran out of memory with 8K: the context goes down to 1K";
    assert_eq!(lines.get(3), Some(&next), "{said}");
    // 1024 tokens without those that are generated and one more.
    let ok = "     ok: 991 tokens went through, prompt ";
    assert!(lines.get(4).is_some_and(|line| line.starts_with(ok)), "{said}");
    strategy.nothing_is_left();

    let runs = ledger(&strategy);
    let [lost, went] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!(
        (at(lost, "/what"), at(lost, "/outcome")),
        (&"attempt".into(), &"out-of-memory".into())
    );
    assert_eq!((at(lost, "/device"), at(lost, "/ctx_size")), (&"Host".into(), &8192.into()));
    assert_eq!((at(went, "/outcome"), at(went, "/ctx_size")), (&"ok".into(), &1024.into()));
    assert_eq!(at(went, "/speeds/0/depth"), &991);
    assert!(at(went, "/speeds/0/decode/0").as_f64().unwrap() > 0.0, "{went}");
    assert_eq!(at(went, "/key/llama/build"), &11434);
    assert_eq!(at(lost, "/trial/task"), at(went, "/trial/task"));
    let closing = written(&strategy).1;
    let [best] = closing.as_slice() else { panic!("{closing:?}") };
    assert_eq!((at(best, "/ctx_size"), at(best, "/speeds")), (&1024.into(), at(went, "/speeds")));

    // Nothing is tried again, be it known from what was written down or from the ledger alone.
    fs_err::write(strategy.path().join("server.toml"), commented(&strategy)).unwrap();
    fs_err::remove_file(strategy.out().join("server.tune.json")).unwrap();
    let said = tune(&strategy, &["--contexts", "1K", "--write"])
        .ends(0, "server on the CPU; 2 attempts are known");
    assert!(!said.out.contains("  1  "), "{said}");
    let (attempts, closing) = written(&strategy);
    assert_eq!((attempts.len(), closing.len()), (2, 1), "what is said is not said again");
    let preset = fs_err::read_to_string(strategy.path().join("server.toml")).unwrap();
    assert!(preset.contains("ctx_size = 1024 # tokens\n"), "{preset}");
    strategy.nothing_is_left();

    // What else is asked for is tried at what fits.
    let json = tune(&strategy, &["--also", "ubatch=256", "--format", "json"])
        .ends(0, "\"event\":\"done\"");
    let events: Vec<Value> =
        json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| at(event, "/event").as_str()).collect();
    assert_eq!(kinds, ["begin", "try", "ended", "done"], "{json}");
    assert_eq!(at(events.get(1).unwrap(), "/candidate/settings/ubatch_size"), "256");
    let runs = ledger(&strategy);
    assert_eq!(at(runs.last().unwrap(), "/trial/settings/ubatch_size"), "256");
    assert!(at(runs.last().unwrap(), "/args").to_string().contains(r#""--ubatch-size","256""#));
    strategy.nothing_is_left();
}

/// The preset with a comment, as a person has written it.
fn commented(strategy: &Strategy<'_>) -> String {
    let text = fs_err::read_to_string(strategy.path().join("server.toml")).unwrap();
    text.replace("ctx_size = 8192", "ctx_size = 8192 # tokens")
}

fn nothing_fits(engine: &Engine) {
    let more = "[placement]\nload_mode = \"none\"\n[container]\nmemory_limit = 64\n";
    let strategy = Strategy::new(engine, more);
    let said = tune(&strategy, &["--contexts", "1024,512"])
        .ends(5, "there is no smaller context left to try");
    assert_eq!(
        said.out.lines().filter(|line| line.contains("out of memory: ")).count(),
        3,
        "{said}"
    );
    let said = tune(&strategy, &["--contexts", "1024,512"]).ends(5, "--fresh tries again");
    assert!(said.out.contains("3 attempts are known") && !said.out.contains("  1  "), "{said}");
    strategy.nothing_is_left();
}

fn begun(strategy: &Strategy<'_>, more: &[&str]) -> Child {
    let mut command = strategy.command(&args(strategy, more));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
}

fn killed_it_goes_on(engine: &Engine) {
    let strategy = limited(engine, 400, 2048);
    let more = ["--contexts", "1024", "--depth", "64"];
    let child = begun(&strategy, &more);
    let name = strategy.container();
    let running = ["container", "inspect", "--format", "{{.State.Running}}", &name];
    for _ in 0..600 {
        if strategy.engine.docker(&running).output().unwrap().stdout == b"true\n" {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, "-KILL");
    assert_eq!(child.wait_with_output().unwrap().status.code(), None);
    // Its container runs on, and nobody else's business is it.
    assert!(strategy.left().contains(&name), "{:?}", strategy.left());
    let said = tune(&strategy, &more).ends(0, "best: 2K: ");
    assert!(said.err.contains(&format!("removing {name}")), "{said}");
    assert!(said.out.contains("  1  2K: it was interrupted before it ended\n"), "{said}");
    assert_eq!(ledger(&strategy).len(), 1);
    strategy.nothing_is_left();
}

fn interrupted_it_leaves_nothing(engine: &Engine) {
    let strategy = limited(engine, 400, 2048);
    for moment in [100, 200, 400, 700, 1200, 2500, 4000] {
        let child = begun(&strategy, &[]);
        std::thread::sleep(Duration::from_millis(moment));
        signal(&child, "-INT");
        let said = Said::from(child.wait_with_output().unwrap());
        match said.code {
            Some(130) => {
                assert!(said.err.contains("error: interrupted; nothing "), "{moment} ms: {said}");
            }
            // Before the signal was taken over nothing had been started; or all was over.
            None | Some(0) => {}
            code => panic!("{moment} ms: {code:?} {said}"),
        }
        strategy.nothing_is_left();
    }
}

fn not_beside_itself(engine: &Engine) {
    let strategy = Strategy::new(engine, "");
    strategy.up().ends(0, "healthy after");
    tune(&strategy, &[]).ends(15, "tuning takes its place again and again");
    // It was left alone.
    strategy.run(&["status", &strategy.project]).ends(0, "running");
    strategy.down().ends(0, "stopping");
    let child = begun(&strategy, &[]);
    while !strategy.left().contains(&strategy.container()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    strategy.up().ends(7, "another composegen has been at work");
    signal(&child, "-INT");
    Said::from(child.wait_with_output().unwrap()).ends(130, "interrupted");
    strategy.nothing_is_left();
}
