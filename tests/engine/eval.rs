//! `composegen eval`: answers that are right, wrong, slow, endless and hostile, served by script, for exact scores; and
//! the small model for the way from a preset to the ledger.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::Case;
use crate::engine::Engine;
use crate::hostile::{FUNCTIONS, PROGRAMS, hostile_suite};
use crate::scripted::{Script, Scripted, script};
use crate::strategy::{Said, Strategy};

pub(crate) const CASES: &[Case] = &[
    ("eval::every_format_to_the_digit", every_format_to_the_digit),
    ("eval::hostile_answers_fail", hostile_answers_fail),
    ("eval::nothing_is_asked_twice", nothing_is_asked_twice),
    ("eval::settings_are_kept_apart", settings_are_kept_apart),
    ("eval::what_cannot_run_is_said_first", what_cannot_run_is_said_first),
];

/// With the small model, too.
pub(crate) const SERVED: &[Case] = &[("eval::a_real_model", a_real_model)];

pub(crate) const IMAGE: &str = "composegen/python:trixie";

fn eval(engine: &Engine, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
    command.current_dir(folder).env("NO_COLOR", "1").arg("eval").args(args);
    command.args(["--image", IMAGE, "--test-memory", "256", "--format", "json"]);
    if !args.contains(&"--test-seconds") {
        command.args(["--test-seconds", "5"]);
    }
    if let Some(host) = &engine.host {
        command.env("DOCKER_HOST", host);
    }
    command
}

fn run(engine: &Engine, folder: &Path, args: &[&str]) -> Said {
    eval(engine, folder, args).output().unwrap().into()
}

/// Each answer's problem and verdict in a few words, then the run's scores.
fn verdicts(said: &Said) -> (Vec<(String, String)>, Value) {
    let all: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said}"));
    let first = all.get(0).unwrap_or_else(|| panic!("{said}"));
    let word = |answer: &Value| {
        let fault = answer.pointer("/verdict/fault").and_then(Value::as_str).unwrap_or("passed");
        (answer.get("problem").and_then(Value::as_str).unwrap().to_owned(), fault.to_owned())
    };
    let answers = first.get("answers").and_then(Value::as_array).unwrap();
    (answers.iter().map(word).collect(), first.pointer("/run/eval").unwrap().clone())
}

fn suite(name: &str) -> String {
    format!("{}/tests/engine/suites/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn nothing_is_left(engine: &Engine) {
    let filter = "label=dev.composegen.eval";
    let left = engine.run(&["ps", "--all", "--quiet", "--filter", filter]);
    // Other tests of this file run beside: only what stays is left behind.
    let still = || engine.run(&["ps", "--all", "--quiet", "--filter", filter]);
    for id in String::from_utf8(left).unwrap().lines() {
        let gone = || !String::from_utf8(still()).unwrap().contains(id);
        assert!(
            (0..300).any(|_| gone() || {
                std::thread::sleep(Duration::from_millis(100));
                false
            }),
            "{id}"
        );
    }
}

fn every_format_to_the_digit(engine: &Engine) {
    let right = [
        (
            "runs",
            "from itertools import groupby\nprint(max(len(list(g)) for _, g in groupby(input())))",
        ),
        // `List` and `combinations` are there without an import, as on the platform.
        (
            "nearest",
            "class Solution:\n    def nearest(self, values: List[int], target: int) -> List[int]:\n        print('on the way')\n        \
             return min(combinations(range(len(values)), 2), key=lambda p: abs(values[p[0]] + values[p[1]] - target))",
        ),
        (
            "halves",
            "input()\nn = list(map(int, input().split()))\nprint(sum(n) / 2)\nprint(sum(x % 2 for x in n))",
        ),
        ("echo", "print(input())"),
        // The body alone, and a helper of the prompt.
        ("spread", "    return max(numbers) - min(numbers) if numbers else 0"),
        ("restore", "def restore(word: str) -> str:\n    return scramble(word)"),
        ("countdown", "def countdown(n):\n    return list(range(n, 0, -1))"),
        ("sum", "def sum(n):\n    return n % 10 + sum(n // 10) if n else 0"),
        (
            "depth",
            "class Leaf:\n    def __init__(self, name):\n        self.name = name\n        self.below = []\n\n\
             def depth(leaf):\n    return 1 + max(map(depth, leaf.below), default=0)",
        ),
        ("order", "def order(words):\n    words.sort(key=len, reverse=True)"),
    ];
    let server = Scripted::new(script(&right));
    let folder = tempfile::tempdir().unwrap();
    for (name, count) in [("livecodebench", 4), ("humaneval", 3), ("mbpp", 3)] {
        let file = suite(&format!("{name}.jsonl"));
        let said =
            run(engine, folder.path(), &["--suite", &file, "--url", &server.url]).ends(0, name);
        let (all, score) = verdicts(&said);
        assert!(all.iter().all(|(_, verdict)| verdict == "passed"), "{said}");
        assert_eq!((all.len(), score.get("passed").unwrap().as_u64()), (count, Some(count as u64)));
        assert_eq!(score.get("tokens").unwrap().as_u64(), Some(100 * count as u64));
        assert_eq!(score.get("pass_at_1").unwrap().as_f64(), Some(1.0));
    }
    // The same with faults of every kind.
    let wrong = [
        ("runs", "print(3)"),
        (
            "nearest",
            "class Solution:\n    def nearest(self, values, target):\n        return [1, 2]",
        ),
        ("halves", "input()\nprint('3.50')\nprint(1)"),
        ("echo", "import time\ntime.sleep(1.5)\nprint(input())"),
        ("spread", "def spread(numbers):\n    return 3.5"),
        ("restore", "def scramble(word):\n    return word\n\ndef restore(word):\n    return word"),
        ("countdown", "def countdown(n):\n    return range(n, 0, -1)"),
        ("sum", "total = sum([1, 2])"),
        ("depth", "I have no idea."),
        ("order", "def order(words):\n    return sorted(words, key=len, reverse=True)"),
    ];
    let server = Scripted::new(script(&wrong));
    let mut found = Vec::new();
    for (name, low, high) in
        [("livecodebench", 0.0456, 0.6994), ("humaneval", 0.0, 0.5615), ("mbpp", 0.0, 0.5615)]
    {
        let file = suite(&format!("{name}.jsonl"));
        let said =
            run(engine, folder.path(), &["--suite", &file, "--url", &server.url]).ends(0, name);
        let (all, score) = verdicts(&said);
        let bound =
            |side: &str| score.pointer(&format!("/interval/{side}")).unwrap().as_f64().unwrap();
        assert!((bound("low") - low).abs() < 1e-4 && (bound("high") - high).abs() < 1e-4, "{said}");
        found.extend(all);
    }
    let found: Vec<(&str, &str)> =
        found.iter().map(|(id, word)| (id.as_str(), word.as_str())).collect();
    assert_eq!(
        found,
        [
            ("own_a", "wrong"),
            ("own_b", "wrong"),
            ("own_c", "wrong"),
            ("own_d", "passed"),
            ("Own/0", "wrong"),
            // Its `scramble` is not the one that the tests use.
            ("Own/1", "wrong"),
            ("Own/2", "wrong"),
            ("9001", "raised"),
            ("9002", "no-code"),
            ("9003", "wrong"),
        ]
    );
    // What was filtered is what was asked.
    let filtered = ["--from", "2024-08-04", "--to", "2025-01-31", "--difficulty", "medium,hard"];
    let file = suite("livecodebench.jsonl");
    let args = [&["--suite", &file, "--url", &server.url, "--no-ledger"], &filtered[..]].concat();
    let (all, score) = verdicts(&run(engine, folder.path(), &args).ends(0, "2 of 4 problems"));
    assert_eq!(all.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["own_b", "own_c"]);
    assert_eq!(score.get("filter").unwrap(), "from 2024-08-04, to 2025-01-31, medium or hard");
    let ledger = fs_err::read_to_string(folder.path().join("ledger.jsonl")).unwrap();
    assert_eq!(ledger.lines().count(), 6);
    nothing_is_left(engine);
}

fn hostile_answers_fail(engine: &Engine) {
    let all = [PROGRAMS, FUNCTIONS].concat();
    let answers: Vec<(&str, &str)> = all.iter().map(|(word, code, _)| (*word, *code)).collect();
    let server = Scripted::new(script(&answers));
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("hostile.toml"), hostile_suite()).unwrap();
    let said = run(
        engine,
        folder.path(),
        &["--suite", "hostile.toml", "--url", &server.url, "--parallel", "4", "--judges", "2"],
    );
    let (found, score) = verdicts(&said.ends(0, "hostile"));
    let differ = found.iter().zip(&all).filter(|((problem, fault), (word, _, verdict))| {
        problem != word || verdict.split(" or ").all(|expected| fault != expected)
    });
    let differ: Vec<_> = differ.map(|(found, (word, _, verdict))| (found, word, verdict)).collect();
    assert!(differ.is_empty(), "found, expected: {differ:#?}");
    assert_eq!(found.len(), all.len());
    let passed = all.iter().filter(|(.., verdict)| *verdict == "passed").count();
    assert_eq!(score.get("passed").unwrap().as_u64(), Some(passed as u64));
    nothing_is_left(engine);
}

fn numbers(count: usize) -> (String, Script) {
    let mut text = String::new();
    let mut script = Script::new();
    for i in 0..count {
        let _ = writeln!(
            text,
            "{{\"id\":\"n{i}\",\"text\":\"Print it. (problem n{i})\",\"case\":[{{\"stdout\":\"{i}\"}}]}}"
        );
        script.insert(format!("n{i}"), (format!("print({i})"), Duration::from_millis(50)));
    }
    (text, script)
}

fn nothing_is_asked_twice(engine: &Engine) {
    let folder = tempfile::tempdir().unwrap();
    let (text, mut script) = numbers(6);
    script.get_mut("n4").unwrap().1 = Duration::from_secs(20);
    fs_err::write(folder.path().join("numbers.jsonl"), &text).unwrap();
    let slow = Scripted::new(script);
    let args = ["--suite", "numbers.jsonl", "--model", "m", "--url"];
    let mut child = eval(engine, folder.path(), &[&args[..], &[slow.url.as_str()]].concat())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let journal = folder.path().join("eval.jsonl");
    let written =
        || fs_err::read_to_string(&journal).unwrap_or_default().matches("\"answer\"").count();
    for _ in 0..600 {
        if written() == 4 && slow.asked() == 5 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((written(), slow.asked()), (4, 5));
    nothing_is_left(engine);
    // A line that was cut off costs one answer, and no other.
    let mut lines = fs_err::read_to_string(&journal).unwrap();
    lines.push_str("{\"v\":1,\"key\":\"cut of");
    fs_err::write(&journal, lines).unwrap();

    // A server is told by its address, where it says no more of itself: the same one goes on.
    let said = run(engine, folder.path(), &[&args[..], &[slow.url.as_str()]].concat());
    let (found, score) = verdicts(&said.ends(0, "asked before"));
    assert_eq!((found.len(), score.get("passed").unwrap().as_u64()), (6, Some(6)));
    assert_eq!(slow.asked(), 7, "the one on its way, and the last");
    let said = run(engine, folder.path(), &[&args[..], &[slow.url.as_str()]].concat()).ends(0, "");
    assert_eq!((slow.asked(), said.err.matches("asked before").count()), (7, 6));
    run(
        engine,
        folder.path(),
        &[&args[..], &[slow.url.as_str(), "--fresh", "--only", "n0"]].concat(),
    )
    .ends(0, "");
    assert_eq!(slow.asked(), 8);
}

fn settings_are_kept_apart(engine: &Engine) {
    let folder = tempfile::tempdir().unwrap();
    let (text, script) = numbers(2);
    fs_err::write(folder.path().join("numbers.jsonl"), &text).unwrap();
    let server = Scripted::new(script);
    let run = |more: &[&str]| {
        let args = ["--suite", "numbers.jsonl", "--url", &server.url];
        run(engine, folder.path(), &[&args[..], more].concat()).ends(0, "numbers")
    };
    let mut asked = 0;
    let mut next = |more: &[&str], count: usize| {
        let said = run(more);
        asked += count;
        assert_eq!(server.asked(), asked, "{more:?}");
        said
    };
    let said = next(&["--sweep", "temp=0.6,0.8,1.0", "--samples", "2"], 12);
    let all: Value = serde_json::from_str(&said.out).unwrap();
    let temperatures: Vec<f64> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|done| done.pointer("/run/eval/sampling/temp").unwrap().as_f64().unwrap())
        .collect();
    assert_eq!(temperatures, [0.6, 0.8, 1.0]);
    next(&["--sweep", "temp=0.8", "--samples", "2"], 0);
    next(&["--sweep", "temp=0.8", "--samples", "3"], 2);
    next(&["--sweep", "temp=0.7"], 2);
    next(&[], 2);
    next(&["--max-tokens", "100"], 2);
    next(&["--seed", "7"], 2);
    next(&["--model", "other"], 2);
    fs_err::write(folder.path().join("own.txt"), "Please: {problem}").unwrap();
    next(&["--instructions", "own.txt"], 2);
    // Other limits are another verdict on the same answer.
    next(&["--test-seconds", "6"], 0);
    fs_err::write(folder.path().join("numbers.jsonl"), text.replace("Print it", "Print it now"))
        .unwrap();
    next(&[], 2);
    let seen = server.seen.lock().unwrap();
    let first: Vec<(Value, Value)> = seen
        .iter()
        .take(12)
        .map(|body| (body.get("temperature").unwrap().clone(), body.get("seed").unwrap().clone()))
        .collect();
    for temperature in [0.6, 0.8, 1.0] {
        for seed in [1, 2] {
            let wanted = first
                .iter()
                .filter(|(t, s)| t.as_f64() == Some(temperature) && s == &Value::from(seed));
            assert_eq!(wanted.count(), 2, "{first:?}");
        }
    }
}

fn what_cannot_run_is_said_first(engine: &Engine) {
    let folder = tempfile::tempdir().unwrap();
    let (text, script) = numbers(1);
    fs_err::write(folder.path().join("numbers.jsonl"), text).unwrap();
    let server = Scripted::new(script);
    let with = |image: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_composegen"));
        command.current_dir(folder.path()).args([
            "eval",
            "--suite",
            "numbers.jsonl",
            "--url",
            &server.url,
        ]);
        command.args(["--image", image]);
        if let Some(host) = &engine.host {
            command.env("DOCKER_HOST", host);
        }
        Said::from(command.output().unwrap())
    };
    with("composegen/none:here").ends(2, "docker pull composegen/none:here");
    with(crate::engine::BASE).ends(2, "does not run in");
    assert_eq!(server.asked(), 0);
    nothing_is_left(engine);
}

/// What it answers is not the point: that it is asked at all points, judged, and kept.
fn a_real_model(engine: &Engine) {
    // Where the engine is not this machine's own, its ports are not, either.
    if engine.host.is_some() {
        return;
    }
    let strategy = Strategy::new(engine, "[batching]\nparallel = 2\n");
    let file = suite("humaneval.jsonl");
    let args = [
        "eval",
        "server.toml",
        "--up",
        "--suite",
        &file,
        "--image",
        IMAGE,
        "--limit",
        "2",
        "--max-tokens",
        "48",
        "--sweep",
        "temp=0.2,1.0",
        "--test-seconds",
        "5",
    ];
    let said = strategy.run(&args).ends(0, "healthy after");
    strategy.nothing_is_left();
    assert!(said.out.contains("temp 0.2") && said.out.contains("temp 1"), "{said}");
    let ledger = fs_err::read_to_string(strategy.path().join("ledger.jsonl")).unwrap();
    let runs: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(runs.len(), 2);
    for run in &runs {
        let is = |pointer: &str| run.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!((is("/what"), is("/key/preset/name")), ("eval".into(), "server".into()));
        assert!(is("/key/llama/build").as_u64().is_some_and(|build| build > 10_000), "{run}");
        assert_eq!((is("/eval/problems"), is("/eval/samples")), (2.into(), 1.into()));
        assert!(
            is("/eval/tokens").as_u64().is_some_and(|tokens| tokens > 0 && tokens <= 96),
            "{run}"
        );
        assert!(is("/eval/sampling/top_k").as_f64().is_some(), "{run}");
    }
    // It is another start of the same server: nothing is asked again.
    let said = strategy.run(&args).ends(0, "asked before");
    assert_eq!(said.err.matches("asked before").count(), 4, "{said}");
}
