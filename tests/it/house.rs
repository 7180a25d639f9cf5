//! Who may import whom, and how a file looks: `ARCHITECTURE.md` as a test.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::repository::root;

/// Each module of `src/` with the modules it may import. `ground` stands for the first five.
const TABLE: &[(&str, &[&str])] = &[
    ("artifact", &[]),
    ("diagnostic", &[]),
    ("table", &["diagnostic"]),
    ("units", &[]),
    ("quote", &[]),
    ("exit", &[]),
    ("flags", &["ground"]),
    ("hardware", &["ground"]),
    ("cluster", &["ground", "hardware"]),
    ("gguf", &["ground"]),
    ("profile", &["ground", "hardware", "gguf"]),
    ("preset", &["ground", "flags", "hardware", "cluster", "profile"]),
    ("lock", &["ground"]),
    ("log", &["ground"]),
    ("bench", &["ground"]),
    ("eval", &["ground"]),
    ("ledger", &["ground", "bench"]),
    ("tune", &["ground"]),
    ("check", &["ground", "flags", "hardware", "cluster", "preset", "plan", "strategy"]),
    ("client", &["ground", "preset", "strategy"]),
    ("strategy", &["ground", "hardware", "cluster", "lock", "preset", "plan", "profile"]),
    (
        "plan",
        &[
            "ground", "flags", "hardware", "cluster", "gguf", "profile", "preset", "strategy",
            "lock",
        ],
    ),
    ("probe", &["ground", "plan", "hardware", "gguf"]),
    ("report", &["ground", "bench", "ledger", "preset"]),
    ("render", &["ground", "plan", "hardware", "client", "report"]),
    ("compile", &["ground", "check", "lock", "plan", "preset", "render", "strategy"]),
    ("store", &["ground", "lock"]),
    ("git", &["ground"]),
    ("registry", &["ground"]),
    ("gpu", &["ground", "hardware"]),
    ("engine", &["ground", "eval", "log", "plan", "probe"]),
    ("server", &["ground"]),
    ("terminal", &["ground"]),
    ("cli", &[]),
];

const GROUND: &[&str] = &["artifact", "diagnostic", "table", "units", "quote", "exit"];

/// Tables, which are read by looking one row up.
const LONG: &[&str] = &["src/plan/memory/build/recipe.rs"];

fn sources() -> Vec<Utf8PathBuf> {
    fn walk(dir: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = Utf8PathBuf::from_path_buf(entry.unwrap().path()).unwrap();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension() == Some("rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for dir in ["src", "tests"] {
        walk(&root().join(dir), &mut found);
    }
    found.sort();
    found
}

/// The top module a source file belongs to.
fn module(path: &Utf8Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_str();
    Some(first.trim_end_matches(".rs").to_owned())
}

/// Modules of ours named after `crate::` in code (not in comments).
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{') {
                for part in group.split('}').next().unwrap_or("").split(',') {
                    found.push(part.trim().split("::").next().unwrap_or("").to_owned());
                }
            } else {
                found.push(
                    rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                        .next()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found
}

#[test]
fn imports_follow_the_table() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in sources() {
        let Some(module) = module(&path) else { continue };
        if matches!(module.as_str(), "lib" | "main" | "command") {
            continue;
        }
        let Some(allowed) = table.get(module.as_str()) else {
            wrong.push(format!("{path}: `{module}` is not in the table"));
            continue;
        };
        let ground = allowed.contains(&"ground");
        for import in imports(&std::fs::read_to_string(&path).unwrap()) {
            let known = import == module
                || allowed.contains(&import.as_str())
                || ground && GROUND.contains(&import.as_str());
            if !known {
                wrong.push(format!("{path}: `{module}` imports `{import}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_small_and_finished() {
    let unfinished = ["todo!", "unimplemented!", "FIXME", "XXX", "dbg!("];
    let mut wrong = Vec::new();
    for path in sources().into_iter().filter(|path| !path.ends_with("tests/it/house.rs")) {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.lines().count() > 400 && !LONG.iter().any(|long| path.ends_with(long)) {
            wrong.push(format!("{path} has more than 400 lines"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{path} does not say what it is for"));
        }
        for (i, line) in text.lines().enumerate() {
            if line.ends_with([' ', '\t']) {
                wrong.push(format!("{path}:{}: blank at the end", i + 1));
            }
            if let Some(word) = unfinished.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{path}:{}: {word}", i + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
