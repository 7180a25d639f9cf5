//! The script that uses a real llama-server by nothing but what `composegen client` writes, where all it needs is there.

use std::process::Command;

use libtest_mimic::Trial;

use crate::tools;

const MODEL: &str = "engines/models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The trial, and what is missing for it.
pub(crate) fn trial() -> (Trial, Option<String>) {
    let missing = missing();
    let ignored = missing.is_some() && !tools::required("COMPOSEGEN_REQUIRE_CLIENT");
    let said = missing.clone();
    let run = move || match said {
        Some(missing) => Err(missing.into()),
        None => real().map_err(Into::into),
    };
    (Trial::test("client::real_packages", run).with_ignored_flag(ignored), missing)
}

/// The first thing that is not there.
fn missing() -> Option<String> {
    for path in ["client/venv/bin/python", MODEL] {
        if !tools::target(path).is_file() {
            return Some(format!("there is no target/{path}"));
        }
    }
    let images = Command::new("docker").args(["image", "ls", "--quiet", "composegen/cpu"]).output();
    let found = images.is_ok_and(|o| o.status.success() && !o.stdout.trim_ascii().is_empty());
    (!found).then(|| "there is no image composegen/cpu".to_owned())
}

fn real() -> Result<(), String> {
    let output = Command::new(tools::target("client/venv/bin/python"))
        .arg("tests/client/real.py")
        .args(["--composegen", env!("CARGO_BIN_EXE_composegen")])
        .arg("--models")
        .arg(tools::target("engines/models"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).into_owned())
}
