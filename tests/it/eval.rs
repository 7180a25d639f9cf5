//! `composegen eval` before anything is asked, and the table in which its scores stand beside published ones. What it does
//! with an engine is in the engine tests.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(args)
        .current_dir(dir)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const GOOD: &str = r#"{"id":"a","text":"Do.","difficulty":"easy","case":[{"stdout":"1"}]}"#;

#[test]
fn what_is_wrong_is_said_before_anything_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("good.jsonl", &format!("{GOOD}\n\n"));
    write("twice.jsonl", &format!("{GOOD}\n{GOOD}\n"));
    write("odd.jsonl", &format!("{GOOD}\n{{\"id\":\"b\",\"text\":\"Do.\"}}\n"));
    write("foreign.jsonl", "{\"instruction\":\"x\",\"output\":\"y\"}\n");
    write("empty.jsonl", "\n");
    write("bad.toml", "[[problem]]\nid = \"a\"\ntext = \"b\"\nfuntion = \"f\"\n");
    write("words.txt", "Please.");
    let fails = |args: &[&str], code: i32, message: &str| {
        let all = [&["eval", "--url", "http://127.0.0.1:1"], args].concat();
        let output = run(dir.path(), &all);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(message), "{args:?}: {said}");
    };
    fails(&[], 2, "--suite <FILE>");
    fails(&["--suite", "none.jsonl"], 7, "none.jsonl");
    fails(&["--suite", "twice.jsonl"], 1, "twice.jsonl:2: another problem is called `a`");
    fails(&["--suite", "odd.jsonl"], 1, "odd.jsonl:2: it has no tests\ndocs/eval.md");
    fails(&["--suite", "foreign.jsonl"], 1, "foreign.jsonl:1: no format that is known here");
    fails(&["--suite", "empty.jsonl"], 1, "`empty.jsonl` is empty");
    fails(&["--suite", "bad.toml"], 1, "bad.toml, problem 1: unknown field `funtion`");
    let good = ["--suite", "good.jsonl"];
    let with = |more: &[&'static str]| [&good[..], more].concat();
    fails(
        &with(&["--difficulty", "hard"]),
        2,
        "none of the 1 problems of `good.jsonl` is one of: hard",
    );
    fails(&with(&["--from", "2025-1-1"]), 2, "`--from 2025-1-1`: write a day as 2025-01-31");
    fails(&with(&["--sweep", "temp=hot"]), 2, "`--sweep`: `hot` is not a number from 0 to 100");
    fails(&with(&["--sweep", "seed=1,2"]), 2, "ask for more `--samples`");
    fails(&with(&["--sweep", "temp=1", "--sweep", "temp=2"]), 2, "`temp` is swept twice");
    fails(&with(&["--instructions", "words.txt"]), 2, "`words.txt` nowhere says `{problem}`");
    fails(&with(&["--url", "http://127.0.0.1:1"]), 2, "two of them would be the server at");
    // All is well with it: it needs an engine, and then a server.
    fails(&good, 4, "no engine answers at");
    assert!(!dir.path().join("ledger.jsonl").exists() && !dir.path().join("eval.jsonl").exists());
}

#[test]
fn published_scores_stand_beside_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let own = r#"{"v":1,"at":"2026-02-13T10:30:00Z","source":"measured","by":"composegen","what":"eval","key":{"preset":{"name":"ud-q6"}},"outcome":"ok","eval":{"suite":"lcb","digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","filter":"from 2024-08-01","model":"qwen","problems":100,"samples":1,"passed":30,"pass_at_1":0.3,"interval":{"low":0.2189,"high":0.3958,"method":"wilson"},"tokens":120000,"seconds":5000.0,"sampling":{"temp":0.6,"top_p":1.0,"max_tokens":8192.0}}}"#;
    write("ledger.jsonl", &format!("{own}\n"));
    let figure = "[[result]]\nsuite = \"lcb, v6\"\nmodel = \"Example 70B\"\npass_at_1 = 0.415\n\
                  source = \"https://example.org/card\"\ndate = \"2026-01-31\"\n\
                  [[result]]\nsuite = \"other\"\nmodel = \"Example 7B\"\npass_at_1 = 0.1\nsource = \"a paper\"\n";
    write("figures.toml", figure);
    let evals = |more: &[&str]| run(dir.path(), &[&["ledger", "evals"], more].concat());
    let said = evals(&["--suite", "lcb", "--published", "figures.toml"]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    let table = text(&said.stdout);
    let lines: Vec<String> =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines[1..],
        [
            "lcb v6 Example 70B - 41.5 % - - - - https://example.org/card, 2026-01-31",
            "lcb from 2024-08-01 ud-q6 temp 0.6 30.0 % 21.9 to 39.6 100 1200 50.0 measured 2026-02-13",
        ]
    );
    assert_eq!(text(&evals(&["--published", "figures.toml"]).stdout).lines().count(), 4);
    let json = evals(&["--format", "json", "--published", "figures.toml"]).stdout;
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["published"][0]["source"], "https://example.org/card");
    assert_eq!(json["runs"][0]["run"]["eval"]["pass_at_1"], 0.3);
    assert!(text(&run(dir.path(), &["ledger"]).stdout).contains("lcb 30.0 %"));
    // One that nobody vouches for has no place beside measured ones.
    write("figures.toml", &figure.replace("source = \"a paper\"\n", ""));
    let output = evals(&["--published", "figures.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("result 2 has no `source`"), "{}", text(&output.stderr));
}
