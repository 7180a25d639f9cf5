//! What counts as a change, and what the report does with nothing at all.

use super::Folder;

#[test]
fn settings_of_a_preset_are_part_of_a_change() {
    let folder = Folder::new(false);
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    folder.git(&["add", "."]);
    folder.git(&["commit", "--quiet", "-m", "before"]);
    let more = "\n[batching]\nthreads = 3\n[sampling]\ntemp = 0.1\n";
    folder.write("presets/ud-q6.toml", &[&folder.read("presets/ud-q6.toml"), more].concat());
    folder.change("presets/q6.toml", "file = \"", "file = \"other/");
    let text = folder.ok(&["report", "--format", "markdown", "--base", "main"]);
    for row in ["| ud-q6 | batching.threads |", "| ud-q6 | sampling.temp |", "| q6 | model.file |"]
    {
        assert!(text.contains(row), "{text}");
    }
    let same = text.lines().find(|line| line.starts_with("Nothing differs for")).unwrap();
    assert!(!same.contains("ud-q6,") && same.contains("ud-q5,"), "{same}");
}

#[test]
fn there_is_a_page_before_anything_was_measured() {
    let folder = Folder::new(false);
    std::fs::remove_dir_all(folder.path.join("presets")).unwrap();
    std::fs::create_dir(folder.path.join("presets")).unwrap();
    folder.write("presets/a.toml", "[model]\nfile = \"a.gguf\"\n[context]\nctx_size = 4096\n");
    folder.ok(&["report"]);
    // One that is named, and is not there, is a mistake.
    let (code, said) = folder.refused(&["report", "--ledger", "other.jsonl"]);
    assert!(code == 7 && said.contains("there is no ledger `other.jsonl`"), "{code}: {said}");
}
