//! What cannot work is rejected with a message that a person can act on: each file below `rejects/` is one case, its
//! rendered findings a snapshot.

use std::collections::BTreeMap;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use composegen::compile::{Request, compile};
use composegen::diagnostic::Code;
use composegen::lock::Resolved;
use composegen::preset::resolve::Library;
use composegen::terminal;

use crate::repository::{files, root, snapshots};

/// Findings of building the given presets together, and as the terminal shows them.
fn findings(presets: &[Utf8PathBuf]) -> (Vec<Code>, String) {
    let load = |path: &Utf8Path| -> io::Result<String> {
        std::fs::read_to_string(root().join("tests/it/rejects").join(path))
    };
    let mut library = Library::new(&load);
    let request = Request {
        presets,
        out: Utf8Path::new("out"),
        target: None,
        here: Utf8Path::new("/repository"),
        pinned: &Resolved::default(),
        placements: &BTreeMap::new(),
        builds_image: false,
    };
    compile(&mut library, request).unwrap();
    let codes = library.findings.iter().map(|finding| finding.code).collect();
    (codes, terminal::render(&library.findings, &library.sources, false))
}

/// The file's name begins with the code it is about: `unknown-key.toml`, `unknown-key--in-table.toml`.
#[test]
fn each_file_is_rejected_for_its_reason() {
    for path in files("tests/it/rejects", "toml") {
        let name = path.file_stem().unwrap();
        let (codes, text) = findings(&[Utf8PathBuf::from(path.file_name().unwrap())]);
        let expected = name.split("--").next().unwrap();
        assert!(codes.iter().any(|code| code.as_str() == expected), "{name}: {codes:?}\n{text}");
        snapshots("rejects").bind(|| insta::assert_snapshot!(name, text));
    }
}

/// Files `pairs/NAME/a.toml` and `pairs/NAME/b.toml` cannot be built into one directory.
#[test]
fn presets_that_do_not_belong_together() {
    for name in ["image-mismatch", "container-mismatch", "duplicate-name"] {
        let second = if name == "duplicate-name" { "other/a" } else { "b" };
        let pair = ["a", second].map(|file| Utf8PathBuf::from(format!("pairs/{name}/{file}.toml")));
        let (codes, text) = findings(&pair);
        assert!(codes.iter().any(|code| code.as_str() == name), "{name}: {codes:?}\n{text}");
        snapshots("rejects").bind(|| insta::assert_snapshot!(name, text));
    }
}

#[test]
fn presets_of_two_targets() {
    let pair =
        ["a", "b"].map(|file| Utf8PathBuf::from(format!("pairs/target-mismatch/{file}.toml")));
    let (codes, text) = findings(&pair);
    assert_eq!(codes, [Code::ContainerMismatch], "{text}");
    snapshots("rejects").bind(|| insta::assert_snapshot!("target-mismatch", text));
}

#[test]
fn a_preset_named_like_a_file_beside_its_directory() {
    let (codes, text) = findings(&["pairs/unsafe-name/models.yaml.toml".into()]);
    assert_eq!(codes, [Code::UnsafeName, Code::UnpinnedImage], "{text}");
    assert!(text.contains("the directory `models.yaml` would be where a file of that name is"));
}

#[test]
fn every_code_has_a_case() {
    let mut names: Vec<String> = files("tests/it/rejects", "toml")
        .iter()
        .map(|path| path.file_stem().unwrap().split("--").next().unwrap().to_owned())
        .collect();
    names.extend(["image-mismatch", "container-mismatch", "duplicate-name"].map(str::to_owned));
    // What takes a model's header to find out has its cases in `auto.rs`.
    names.extend(["no-placement", "stale-placement"].map(str::to_owned));
    for code in Code::ALL {
        assert!(names.iter().any(|name| name == code.as_str()), "no case for {code}");
    }
}
