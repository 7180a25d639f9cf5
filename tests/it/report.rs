//! The report: the seed's table comes back, nothing is asked of the network, and what others wrote stays.

mod changed;

use std::path::Path;
use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::repository::{root, snapshots};

/// The seed's overview, word for word but for the language: label, quant, context, cache, layers, speed, quality, status.
const OVERVIEW: [(&str, [&str; 7]); 7] = [
    ("1", ["Q5_K_M", "64K", "q8_0", "26/48", "27.4 t/s", "good", "superseded"]),
    ("2", ["Q5_K_M", "256K", "q8_0", "22/48", "24.9 t/s", "self-correction", "superseded"]),
    ("3", ["UD-Q5_K_XL", "256K", "q8_0", "22/48", "25.8 t/s", "clean", "option"]),
    ("4", ["Q6_K", "256K", "q8_0", "18/48", "21.7 t/s", "clean", "superseded"]),
    ("5", ["UD-Q6_K_XL", "256K", "q8_0", "19/48", "21.4 t/s", "clean", "baseline"]),
    ("5b", ["UD-Q6_K_XL", "256K", "q4_0", "20/48", "~21.0 t/s", "self-correction", "rejected"]),
    ("-", ["Q4_K_M", "64K", "q8_0", "30/48", "31.0 t/s", "rewritten 5 times", "rejected"]),
];

/// The presets of this repository, and the headers of their models as far as those are at hand.
const HEADERS: [(&str, &str); 5] = [
    ("q5-64k", "qcn-q5km.gguf"),
    ("q5-256k", "qcn-q5km.gguf"),
    ("q6", "qcn-q6k.gguf"),
    ("ud-q6", "qcn-ud6-00001-of-00003.gguf"),
    ("q4-64k", "qcn-q4km.gguf"),
];

struct Folder {
    _dir: tempfile::TempDir,
    path: Utf8PathBuf,
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Folder {
    /// A project with the presets; with `headers`, each names the header of its model.
    fn new(headers: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        copy(root().join("presets").as_std_path(), path.join("presets").as_std_path());
        let folder = Self { _dir: dir, path };
        for (name, header) in HEADERS.iter().filter(|_| headers) {
            let header = root().join("tests/it/headers").join(header);
            folder.change(
                &format!("presets/{name}.toml"),
                "[model]\n",
                &format!("[model]\nheader = \"{header}\"\n"),
            );
        }
        folder
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(args)
            .current_dir(&self.path)
            .env_remove("MODELS_DIR")
            .output()
            .unwrap()
    }

    /// Standard output of what has to go well.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path.join(path)).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path.join(path), text).unwrap();
    }

    fn change(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, &text.replacen(from, to, 1));
    }

    fn git(&self, args: &[&str]) {
        let status = Command::new("git")
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .current_dir(&self.path)
            .output()
            .unwrap();
        assert!(status.status.success(), "{args:?}: {}", String::from_utf8_lossy(&status.stderr));
    }
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn overview(report: &Value) -> Vec<(String, Vec<String>)> {
    let rows = report["overview"].as_array().unwrap();
    let known = rows.iter().filter(|row| !row["speed"].is_null());
    let row = |row: &Value| {
        let layers = text(row, "/layers").rsplit(' ').next().unwrap_or_default();
        let cells = [
            text(row, "/quant"),
            text(row, "/context"),
            text(row, "/cache"),
            layers,
            text(row, "/speed/text"),
            text(row, "/quality_words"),
            text(row, "/status_words"),
        ];
        (text(row, "/label").to_owned(), cells.map(str::to_owned).to_vec())
    };
    known.map(row).collect()
}

#[test]
fn the_seeds_overview_comes_back() {
    let expected: Vec<(String, Vec<String>)> = OVERVIEW
        .iter()
        .map(|(label, cells)| ((*label).to_owned(), cells.map(str::to_owned).to_vec()))
        .collect();
    let folder = Folder::new(false);
    // From the presets alone, from a ledger that they were imported into, and from that ledger with other presets.
    assert_eq!(overview(&folder.json(&["report"])), expected);
    folder.ok(&["ledger", "import"]);
    let report = folder.json(&["report"]);
    assert_eq!(overview(&report), expected);
    assert_eq!(report["made_from"][0], "ledger.jsonl: 11 runs");
    for name in ["q5-64k", "q5-256k", "ud-q5", "q6", "ud-q6", "ud-q6-kv-q4", "q4-64k"] {
        let path = format!("presets/{name}.toml");
        let own = folder.read(&path);
        let end = own.find("[[measured]]").unwrap();
        folder.write(&path, &own[..end]);
    }
    assert_eq!(overview(&folder.json(&["report"])), expected);
    // And so do the failed attempts, each with what it led to.
    let trails = report["trails"].as_array().unwrap();
    let trail = |trail: &Value| {
        let attempts = trail["attempts"].as_array().unwrap().iter();
        attempts
            .map(|a| format!("{} {}", text(a, "/words"), text(a, "/outcome")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        trails.iter().map(trail).collect::<Vec<_>>(),
        [
            vec!["17+8 out of memory on CUDA0", "16+8 out of memory on CUDA1", "15+7 ran"],
            vec!["13+6 out of memory on CUDA0", "12+6 ran"],
            vec!["11+5 ran", "13+6 ran"],
        ]
    );
    assert_eq!(text(&report, "/choices/0/name"), "ud-q6");
    assert_eq!(text(&report, "/choices/1/beside"), "21 % faster than 5 UD-Q6_K_XL");
}

const SEED: [&str; 5] = ["report", "--profile", "seed-2026-02", "--title", "The seed's strategies"];

/// `docs/report/` is what the seed's data gives today.
#[test]
fn the_example_is_current() {
    let folder = Folder::new(true);
    let with = |more: &[&str]| {
        let args: Vec<&str> = SEED.iter().chain(more).copied().collect();
        folder.ok(&args);
    };
    with(&["--out", "seed.html", "--svg", "."]);
    with(&["--out", "seed.md", "--format", "markdown"]);
    let mut made = vec!["seed.html".to_owned(), "seed.md".to_owned()];
    for chart in ["speed-by-context", "time-to-answer", "memory", "prediction", "attempts"] {
        made.push(format!("{chart}.svg"));
    }
    for name in made {
        let text = folder.read(&name);
        assert!(!text.contains(root().as_str()), "{name} names a place on this machine");
        let path = root().join("docs/report").join(&name);
        if std::env::var_os("COMPOSEGEN_WRITE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{path} is out of date; COMPOSEGEN_WRITE=1 cargo test --test it report"
        );
    }
}

/// What a browser would be asked to fetch or to run.
fn asks(page: &str) -> Vec<&str> {
    let page = page.replace("http://www.w3.org/2000/svg", "");
    [
        "<script",
        "http://",
        "https://",
        "url(",
        "@import",
        " src=",
        "<link rel=\"style",
        "<iframe",
        " on",
    ]
    .into_iter()
    .filter(|word| match *word {
        " on" => ["onload=", "onclick=", "onerror="].iter().any(|on| page.contains(on)),
        word => page.contains(word),
    })
    .collect()
}

#[test]
fn one_file_the_same_each_time_and_nothing_else() {
    let folder = Folder::new(true);
    // What a preset says is no markup.
    folder.change("presets/ud-q6.toml", "[model]\n", "[model]\nname = \"<b onload=x>&amp;\"\n");
    folder.change(
        "presets/ud-q6.toml",
        "quant = \"UD-Q6_K_XL\"",
        "quant = \"<script>alert(1)</script>|\"",
    );
    folder.ok(&["report", "--out", "a.html", "--svg", "charts"]);
    folder.ok(&["report", "--out", "b.html"]);
    let page = folder.read("a.html");
    assert_eq!(page, folder.read("b.html"));
    assert_eq!(asks(&page), [""; 0]);
    assert!(page.contains("&#60;script&#62;alert(1)"), "as text");
    for chart in ["memory", "prediction", "speed-by-context"] {
        let svg = folder.read(&format!("charts/{chart}.svg"));
        assert_eq!(asks(&svg), [""; 0], "{chart}");
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{chart}");
    }
    let markdown = folder.ok(&["report", "--format", "markdown"]);
    assert!(markdown.contains(r"&lt;script&gt;alert(1)&lt;/script&gt;\|"), "{markdown}");
}

#[test]
fn what_others_wrote_stays() {
    let folder = Folder::new(false);
    let report = ["report", "--out", "page.html"];
    folder.write("page.html", "my page\n");
    let (code, said) = folder.refused(&report);
    assert!(code == 6 && said.contains("is not from composegen"), "{code}: {said}");
    assert_eq!(folder.read("page.html"), "my page\n");
    folder.ok(&["report", "--out", "page.html", "--force"]);
    folder.ok(&report);
    folder.ok(&["report", "--out", "page.html", "--title", "Another"]);
    folder.change("page.html", "<h1>Another", "<h1>Mine");
    let (code, said) = folder.refused(&report);
    assert!(code == 6 && said.contains("was edited since"), "{code}: {said}");
    // A set of charts is written as a whole or not at all.
    folder.ok(&["report", "--svg", "charts"]);
    folder.write("charts/time-to-answer.svg", "<svg/>");
    folder.write("charts/other.svg", "<svg/>");
    let before = folder.read("charts/attempts.svg");
    folder.change("presets/q6.toml", "layers = [13, 6]", "layers = [14, 6]");
    let (code, _) = folder.refused(&["report", "--svg", "charts"]);
    assert_eq!((code, folder.read("charts/attempts.svg")), (6, before.clone()));
    folder.ok(&["report", "--svg", "charts", "--force"]);
    assert_ne!(folder.read("charts/attempts.svg"), before);
    // A chart that there is no longer is removed; what is somebody else's is not.
    std::fs::remove_dir_all(folder.path.join("presets")).unwrap();
    std::fs::create_dir(folder.path.join("presets")).unwrap();
    folder.write("presets/a.toml", "[model]\nfile = \"a.gguf\"\n[[measured]]\nsource = \"me\"\ndecode_tps = 3\n[context]\nctx_size = 4096\n");
    folder.ok(&["report", "--svg", "charts"]);
    let mut left: Vec<String> = Utf8Path::new(&folder.path.join("charts"))
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["other.svg", "speed-by-context.svg"]);
}

#[test]
fn a_pull_request_can_show_what_a_change_did() {
    let folder = Folder::new(true);
    folder.ok(&["ledger", "import"]);
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    folder.git(&["add", "."]);
    folder.git(&["commit", "--quiet", "-m", "before"]);
    let since = |base: &str| {
        let with = ["report", "--format", "markdown", "--profile", "seed-2026-02", "--base", base];
        folder.ok(&with)
    };
    assert!(since("main").contains("no figure differs"), "{}", since("main"));
    folder.change("presets/ud-q6.toml", "layers = [13, 6]", "layers = [14, 6]");
    folder.change("presets/q5-64k.toml", "ctx_size = 65536", "ctx_size = 131072");
    std::fs::remove_file(folder.path.join("presets/qwen-reference.toml")).unwrap();
    std::fs::copy(folder.path.join("presets/q6.toml"), folder.path.join("presets/copy.toml"))
        .unwrap();
    // The run of the new preset, as `bench` would write it, and one of the old preset after it.
    let old: Value = serde_json::from_str(
        folder
            .read("ledger.jsonl")
            .lines()
            .find(|line| line.contains("\"21.4\"") || line.contains("[21.4]"))
            .unwrap(),
    )
    .unwrap();
    let mut new = old.clone();
    new["source"] = "measured".into();
    new["at"] = "2026-03-01T10:00:00Z".into();
    new["key"]["preset"].as_object_mut().unwrap().remove("digest");
    new["speeds"][0]["decode"] = vec![22.0, 22.1, 22.2, 22.3].into();
    folder.write("ledger.jsonl", &format!("{}{new}\n", folder.read("ledger.jsonl")));
    let changed = since("main");
    snapshots("report").bind(|| insta::assert_snapshot!("changes", changed));
    // The same by ledgers, and by runs.
    folder.git(&["show", "HEAD:ledger.jsonl"]);
    let before: String = folder
        .read("ledger.jsonl")
        .lines()
        .filter(|line| !line.contains("2026-03-01"))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("old.jsonl", &before);
    let by_ledger = folder.json(&["report", "--base", "old.jsonl"]);
    assert_eq!(by_ledger["rows"].as_array().unwrap().len(), 1, "{by_ledger}");
    assert_eq!(text(&by_ledger, "/rows/0/change"), "+3.5 %");
    let ids: Vec<Value> =
        serde_json::from_str(&folder.ok(&["ledger", "--preset", "ud-q6", "--format", "json"]))
            .unwrap();
    let id = |i: usize| text(&ids[ids.len() - i], "/id").to_owned();
    let runs = folder.json(&["report", "--between", &id(2), &id(1)]);
    assert_eq!(text(&runs, "/rows/0/after"), "22.1 \u{b1} 0.1");
    let (code, said) = folder.refused(&["report", "--base", "nowhere"]);
    assert!(code == 8 && said.contains("name a ledger's file"), "{code}: {said}");
}

#[test]
fn published_figures_stand_beside_with_their_source() {
    let folder = Folder::new(false);
    let row = "[[result]]\nsuite = \"LiveCodeBench v6\"\nmodel = \"Model X\"\npass_at_1 = 0.71\n";
    folder.write("published.toml", row);
    let args = ["report", "--out", "a.html", "--published", "published.toml"];
    let (code, said) = folder.refused(&args);
    assert!(code == 1 && said.contains("has no `source`"), "{code}: {said}");
    folder.write(
        "published.toml",
        &format!("{row}source = \"its authors' page\"\ndate = \"2026-01-01\"\n"),
    );
    folder.ok(&args);
    let page = folder.read("a.html");
    assert!(
        page.contains("71.0 %") && page.contains("published: its authors&#39; page, 2026-01-01"),
        "{page}"
    );
}
