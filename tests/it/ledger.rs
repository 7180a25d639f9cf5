//! The ledger as a file: several writers, some of which are killed, and the commands that read it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use composegen::ledger::{Ledger, Run};
use composegen::store;

use crate::repository::{root, snapshots};

const FILE: &str = "COMPOSEGEN_TEST_LEDGER";
const WRITER: &str = "COMPOSEGEN_TEST_WRITER";

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("ledger.jsonl")).unwrap();
    (folder, path)
}

fn line(writer: &str, number: usize) -> String {
    // Long enough to span pages, so that a write that were not one would show.
    Run {
        by: writer.to_owned(),
        note: Some(format!("{number} {}", "x".repeat(9000))),
        ..Run::default()
    }
    .to_string()
}

fn ledger(path: &Utf8Path) -> Ledger {
    Ledger::parse(&std::fs::read_to_string(path).unwrap())
}

/// The numbers that a writer's lines have, in the order of the file.
fn numbers(ledger: &Ledger, writer: &str) -> Vec<usize> {
    let own = ledger.entries.iter().filter(|entry| entry.run.by == writer);
    own.map(|entry| {
        let note = entry.run.note.as_deref().unwrap();
        note.split_once(' ').unwrap().0.parse().unwrap()
    })
    .collect()
}

#[test]
fn two_writers_at_once() {
    const LINES: usize = 60;
    let (_folder, path) = folder();
    std::thread::scope(|scope| {
        for writer in ["one", "two"] {
            let path = &path;
            scope.spawn(move || {
                for number in 0..LINES {
                    store::append(path, &[line(writer, number)]).unwrap();
                }
            });
        }
    });
    let ledger = ledger(&path);
    assert_eq!(ledger.skipped, []);
    for writer in ["one", "two"] {
        assert_eq!(numbers(&ledger, writer), (0..LINES).collect::<Vec<_>>(), "{writer}");
    }
}

/// The child of the test below: appends and says so, until it is killed.
#[test]
#[ignore = "is started by another test"]
fn writer() {
    let Ok(path) = std::env::var(FILE) else { return };
    let writer = std::env::var(WRITER).unwrap();
    for number in 0.. {
        store::append(Utf8Path::new(&path), &[line(&writer, number)]).unwrap();
        // Straight to the descriptor: the harness keeps what is printed.
        writeln!(std::io::stderr(), "wrote {number}").unwrap();
    }
}

#[test]
fn killed_writers_lose_nothing_they_had_written() {
    let (_folder, path) = folder();
    let mut torn: Vec<usize> = Vec::new();
    for round in 0..6_u64 {
        let names = [format!("{round}a"), format!("{round}b")];
        let mut children: Vec<_> = names
            .iter()
            .map(|name| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "ledger::writer", "--ignored", "--nocapture"])
                    .env(FILE, &path)
                    .env(WRITER, name)
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let start = Instant::now();
        while !path.exists() || !names.iter().all(|name| !numbers(&ledger(&path), name).is_empty())
        {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing is written");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(round * 7_919 % 20_000));
        let mut said = Vec::new();
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines();
            said.push(
                lines.map_while(Result::ok).filter(|line| line.starts_with("wrote ")).count(),
            );
        }
        let found = ledger(&path);
        for (name, said) in names.iter().zip(said) {
            let numbers = numbers(&found, name);
            assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "{name}");
            // What was said to be written is there; at most one more was written and not yet said.
            assert!(numbers.len() == said || numbers.len() == said + 1, "{name}: {said}");
        }
        // A kill can cut a line only where a page of the file ends: Linux looks for one between two pages of a write.
        let text = std::fs::read(&path).unwrap();
        let ends: Vec<usize> =
            text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
        let skipped: Vec<usize> = found.skipped.iter().map(|skipped| skipped.line).collect();
        let killed = |line: &&usize| {
            !torn.contains(*line)
                && ends.get(**line - 1).unwrap_or(&text.len()).is_multiple_of(4096)
        };
        let killed = skipped.iter().filter(killed).count();
        assert!(killed <= names.len() && torn.iter().all(|line| skipped.contains(line)));
        assert_eq!(skipped.len(), torn.len() + killed, "{skipped:?} {torn:?}");
        // A crash of the machine can cut a line off anywhere.
        let cut = std::fs::metadata(&path).unwrap().len() - 1 - round * 500;
        std::fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let tail = ends.iter().filter(|end| (**end as u64) < cut).count() + 1;
        torn = skipped.into_iter().filter(|line| *line < tail).collect();
        torn.extend((round > 0).then_some(tail));
    }
}

fn run(dir: &Utf8Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(args)
        .current_dir(dir)
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n--- out\n{out}--- err\n{err}", output.status.code().unwrap())
}

/// The ids are digests of lines that hold a preset's digest, which changes with the presets.
fn without_ids(text: &str) -> String {
    let hex = |word: &str| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit());
    let lines = text.lines().map(|line| {
        line.split(' ')
            .map(|w| if hex(w) { "------------" } else { w })
            .collect::<Vec<_>>()
            .join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_seeds_results_are_its_first_entries() {
    let (_folder, path) = folder();
    let presets = root().join("presets");
    let import =
        |args: &[&str]| run(path.parent().unwrap(), &[&["ledger", "import"], args].concat());
    let output = import(&[presets.as_str()]);
    assert!(output.status.success(), "{}", transcript(&output));
    let first = std::fs::read_to_string(&path).unwrap();
    let again = transcript(&import(&[presets.as_str()]));
    assert!(again.contains("ledger.jsonl: 0 of 11 reported runs are new"), "{again}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first, "nothing was rewritten");

    let here = path.parent().unwrap();
    let list = without_ids(&transcript(&run(here, &["ledger"])));
    snapshots("cli").bind(|| insta::assert_snapshot!("ledger", list));
    let compare = without_ids(&transcript(&run(here, &["ledger", "compare", "q5-256k", "ud-q5"])));
    snapshots("cli").bind(|| insta::assert_snapshot!("ledger-compare", compare));

    // The attempts' commands are those that were run, not the preset's.
    let ledger = Ledger::parse(&first);
    let tried = ledger.entries.iter().find(|entry| entry.run.layers == [17, 8]).unwrap();
    let at = tried.run.args.iter().position(|word| word == "--override-tensor").unwrap();
    assert_eq!(
        tried.run.args[at + 1],
        r"blk\.([0-9]|1[0-6])\.=CUDA0,blk\.(1[7-9]|2[0-4])\.=CUDA1,exps=CPU"
    );
    assert_eq!(tried.run.args.iter().filter(|word| *word == "--override-tensor").count(), 1);
}

#[test]
fn a_regression_is_an_exit_code() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    let code = |args: &[&str]| run(here, args).status.code().unwrap();
    assert_eq!(code(&["ledger"]), 7, "there is none yet");
    let run_of = |preset: &str, tps: &str| {
        format!(
            "{{\"v\":1,\"source\":\"measured\",\"by\":\"t\",\"what\":\"bench\",\"key\":{{\"preset\":{{\"name\":\
             \"{preset}\"}}}},\"outcome\":\"ok\",\"speeds\":[{{\"depth\":512,\"decode\":{tps}}}]}}"
        )
    };
    store::append(&path, &[run_of("a", "[30,31]"), run_of("b", "[10]"), run_of("a", "[20,21,99]")])
        .unwrap();
    let list = |more: &[&str]| run(here, &[&["ledger", "--preset", "a"], more].concat());
    assert_eq!(list(&["--fail-below", "21"]).status.code(), Some(0), "the median is 21");
    let slow = list(&["--fail-below", "21.5"]);
    assert_eq!(slow.status.code(), Some(9));
    assert!(transcript(&slow).contains("a: 21.0 t/s in run "), "{}", transcript(&slow));
    assert_eq!(list(&["--fail-below", "1", "--depth", "4096"]).status.code(), Some(1));
    assert_eq!(code(&["ledger", "--fail-below", "15"]), 9, "b is slow");
    assert_eq!(code(&["ledger", "--preset", "c", "--fail-below", "1"]), 1);
    assert_eq!(code(&["ledger", "compare", "b", "a", "--fail-below", "15"]), 0);
    assert_eq!(code(&["ledger", "compare", "a", "b", "--fail-below", "15"]), 9);
    assert_eq!(code(&["ledger", "compare", "a", "c"]), 2);
    let json = run(here, &["ledger", "compare", "b", "a", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["speeds"][0]["verdict"], "too-few");
    assert_eq!(json["differences"][0]["what"], "preset");
    let rows = run(here, &["ledger", "list", "--format", "json", "--source", "measured"]);
    let rows: serde_json::Value = serde_json::from_slice(&rows.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert_eq!(rows[2]["run"]["speeds"][0]["decode"][2], 99.0);
}

fn bench_of(preset: &str, more: &str, speeds: &str) -> String {
    format!(
        "{{\"v\":1,\"source\":\"measured\",\"by\":\"t\",\"what\":\"bench\",\"key\":{{\"preset\":{{\"name\":\
         \"{preset}\"}}{more}}},\"outcome\":\"ok\",\"speeds\":[{speeds}]}}"
    )
}

#[test]
fn what_was_not_checked_is_no_pass() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    let list = |more: &[&str]| run(here, &[&["ledger"], more].concat());
    let both = "{\"depth\":16,\"decode\":[30]},{\"depth\":512,\"decode\":[10]}";
    let shallow = "{\"depth\":16,\"decode\":[30]}";
    let prompts_first = "{\"depth\":512,\"prompt\":[300]},{\"depth\":4096,\"decode\":[12]}";
    store::append(&path, &[bench_of("a", "", both), bench_of("a", "", shallow)]).unwrap();
    // A later run without this depth does not stand in for the one that has it.
    assert_eq!(list(&["--fail-below", "20", "--depth", "512"]).status.code(), Some(9));
    assert_eq!(list(&["--fail-below", "20"]).status.code(), Some(0));
    for no_bound in ["nan", "inf", "-1"] {
        let bound = format!("--fail-below={no_bound}");
        assert_eq!(list(&[&bound]).status.code(), Some(2), "{no_bound}");
    }
    store::append(&path, &[bench_of("b", "", shallow), bench_of("c", "", prompts_first)]).unwrap();
    let output = list(&["--fail-below", "5", "--depth", "512"]);
    let said = transcript(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for name in ["b", "c"] {
        let note = format!("note: {name} was not checked: no run has a speed at depth 512");
        assert!(said.contains(&note), "{said}");
    }
    assert_eq!(list(&["--preset", "c", "--fail-below", "13"]).status.code(), Some(9));
}

#[test]
fn a_ledger_of_two_machines_is_told_apart() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    let speeds = |tps: u32| format!("{{\"depth\":512,\"decode\":[{tps}]}}");
    let on = |name: &str| format!(",\"devices\":[\"{name}\"],\"llama\":{{\"build\":11434}}");
    let runs =
        [bench_of("a", &on("RTX 4090"), &speeds(30)), bench_of("a", &on("RTX 3060"), &speeds(10))];
    store::append(&path, &runs).unwrap();
    let code = |more: &[&str]| {
        let args = [&["ledger", "--preset", "a", "--fail-below", "20"], more].concat();
        run(here, &args).status.code()
    };
    assert_eq!(code(&["--device", "4090"]), Some(0));
    assert_eq!(code(&["--device", "rtx 3060", "--build", "11434"]), Some(9));
    assert_eq!(code(&["--device", "4090", "--build", "1"]), Some(1), "none is left");
    let compare = |device: &str| {
        let args = ["ledger", "compare", "a", "a", "--device", device, "--fail-below", "20"];
        run(here, &args).status.code()
    };
    assert_eq!((compare("4090"), compare("3060")), (Some(0), Some(9)));
}

#[test]
fn what_was_imported_later_hides_no_regression() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    let slow = bench_of("ud-q6", "", "{\"depth\":512,\"decode\":[10]}");
    store::append(&path, &[slow]).unwrap();
    let check = || run(here, &["ledger", "--preset", "ud-q6", "--fail-below", "20"]);
    assert_eq!(check().status.code(), Some(9));
    let import = ["ledger", "import", root().join("presets").as_str()].map(str::to_owned);
    let import: Vec<&str> = import.iter().map(String::as_str).collect();
    assert!(run(here, &import).status.success());
    assert_eq!(check().status.code(), Some(9));
    let compare = transcript(&run(here, &["ledger", "compare", "q5-256k", "ud-q6"]));
    assert!(compare.contains("ud-q6, measured by t"), "{compare}");
}

#[test]
fn imports_at_the_same_time_add_each_run_once() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    let presets = root().join("presets");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert!(run(here, &["ledger", "import", presets.as_str()]).status.success());
            });
        }
    });
    assert_eq!(ledger(&path).entries.len(), 11);
}

#[test]
fn what_llama_bench_did_not_print_is_refused() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    for text in ["[\n  {\"build_commit\": \"a\"}\n]\n", "| model | t/s |\n", ""] {
        std::fs::write(here.join("rows"), text).unwrap();
        let output = run(here, &["ledger", "import", "--llama-bench", "rows"]);
        let said = transcript(&output);
        assert!(output.status.code() == Some(1) && said.contains("-o jsonl"), "{said}");
        assert!(!path.exists());
    }
}

#[test]
fn a_line_cut_within_a_character_costs_no_other() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    let whole = bench_of("ü", "", "{\"depth\":512,\"decode\":[10]}");
    let cut = whole.find('ü').unwrap() + 1;
    std::fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
    let said = transcript(&run(here, &["ledger"]));
    assert!(said.starts_with("exit 0") && said.contains(":1: passed over: "), "{said}");
    store::append(&path, &[whole]).unwrap();
    let said = transcript(&run(here, &["ledger", "--fail-below", "1"]));
    assert!(said.starts_with("exit 0") && said.contains('ü'), "{said}");
}

#[test]
fn names_do_not_write_on_the_terminal() {
    let (_folder, path) = folder();
    let here = path.parent().unwrap();
    let name = "a\\u001b[2J\\nb";
    store::append(&path, &[bench_of(name, "", "{\"depth\":512,\"decode\":[10]}")]).unwrap();
    for args in [&["ledger"][..], &["ledger", "--fail-below", "20"]] {
        let said = transcript(&run(here, args));
        assert!(!said.contains('\u{1b}') && said.contains("a\u{fffd}[2J\u{fffd}b"), "{said}");
    }
}
