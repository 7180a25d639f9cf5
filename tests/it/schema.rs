//! The schemas in the repository are those of the types, and every preset names its own in the first line.

use composegen::{cluster, hardware, preset};

use crate::repository::{files, root};

fn current(path: &str, text: &str) {
    let file = root().join(path);
    if std::env::var_os("COMPOSEGEN_WRITE").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is out of date; COMPOSEGEN_WRITE=1 cargo test schema");
}

#[test]
fn schemas_are_current() {
    current("presets/schema.json", &preset::schema::text());
    current("presets/hardware/schema.json", &hardware::schema::text());
    current("presets/clusters/schema.json", &cluster::schema::text());
}

#[test]
fn the_codes_page_is_current() {
    current("docs/codes.md", &composegen::command::codes_page());
}

#[test]
fn the_exit_codes_page_is_current() {
    let mut text = "# Exit codes\n\n| code | meaning |\n|---|---|\n".to_owned();
    for (code, meaning) in composegen::exit::Exit::TABLE {
        text.push_str(&["| ", &code.to_string(), " |", meaning, " |\n"].concat());
    }
    current("docs/exit-codes.md", &text);
}

#[test]
fn every_preset_names_its_schema() {
    for (dir, line) in [
        ("presets", "#:schema ./schema.json"),
        ("presets/base", "#:schema ../schema.json"),
        ("presets/split", "#:schema ../schema.json"),
        ("presets/hardware", "#:schema ./schema.json"),
        ("presets/clusters", "#:schema ./schema.json"),
    ] {
        for path in files(dir, "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().next(), Some(line), "{path}");
        }
    }
}
