//! YAML, `.env` and comments through the real Compose in both majors, thousands of values at a time.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use composegen::quote::{comment, dotenv, yaml};

use super::values::{Dice, all, hostile};
use crate::tools;

/// Values per file: a few hundred KB, far below what either binary takes.
const BATCH: usize = 2500;

const HEAD: &str = "services:\n  s:\n    image: i\n";

fn config(compose: &Path, dir: &Path) -> Output {
    Command::new(compose)
        .args(["config", "--format", "json"])
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", dir)
        .env("LIVE", "from the shell")
        .output()
        .unwrap()
}

/// What Compose makes of the service; `config` writes it to be read again, so with every dollar doubled.
fn service(compose: &Path, dir: &Path) -> serde_json::Value {
    let output = config(compose, dir);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{compose:?}: {}",
        said.chars().take(2000).collect::<String>()
    );
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    read["services"]["s"].clone()
}

fn undoubled(value: &serde_json::Value) -> String {
    value.as_str().unwrap().replace("$$", "$")
}

fn assert_same(compose: &Path, value: &str, arrived: &serde_json::Value) {
    assert_eq!(undoubled(arrived), value, "{compose:?}");
}

#[test]
fn yaml_scalars_arrive_in_maps_and_lists() {
    for compose in tools::composes() {
        for (seed, batch) in (0_u64..).zip(all(100).chunks(BATCH)) {
            let dir = tempfile::tempdir().unwrap();
            let mut dice = Dice::new(seed);
            let mut map = String::new();
            let mut list = String::new();
            for (i, value) in batch.iter().enumerate() {
                // A comment that its encoder takes must not disturb what follows it.
                if let Ok(comment) = comment::encode(&hostile(&mut dice)) {
                    writeln!(map, "      # {comment}").unwrap();
                }
                let scalar = yaml::compose(value).unwrap();
                writeln!(map, "      K{i}: {scalar}").unwrap();
                writeln!(list, "      - {scalar}").unwrap();
            }
            let text = format!("{HEAD}    environment:\n{map}    command:\n{list}");
            std::fs::write(dir.path().join("compose.yml"), text).unwrap();
            let service = service(&compose, dir.path());
            assert_eq!(service["command"].as_array().unwrap().len(), batch.len());
            for (i, value) in batch.iter().enumerate() {
                assert_same(&compose, value, &service["environment"][format!("K{i}")]);
                assert_same(&compose, value, &service["command"][i]);
            }
        }
    }
}

#[test]
fn dotenv_values_arrive_by_interpolation_and_by_env_file() {
    for compose in tools::composes() {
        for (seed, batch) in (0_u64..).zip(all(200).chunks(BATCH)) {
            let dir = tempfile::tempdir().unwrap();
            let mut dice = Dice::new(seed);
            let mut file = String::new();
            let mut map = String::new();
            for (i, value) in batch.iter().enumerate() {
                if let Ok(comment) = comment::encode(&hostile(&mut dice)) {
                    writeln!(file, "# {comment}").unwrap();
                }
                writeln!(file, "K{i}={}", dotenv::encode(value).unwrap()).unwrap();
                writeln!(map, "      V{i}: \"${{K{i}}}\"").unwrap();
            }
            let text = format!("{HEAD}    env_file: .env\n    environment:\n{map}");
            std::fs::write(dir.path().join(".env"), file).unwrap();
            std::fs::write(dir.path().join("compose.yml"), text).unwrap();
            let environment = &service(&compose, dir.path())["environment"];
            for (i, value) in batch.iter().enumerate() {
                assert_same(&compose, value, &environment[format!("V{i}")]);
                assert_same(&compose, value, &environment[format!("K{i}")]);
            }
        }
    }
}
