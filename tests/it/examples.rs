//! `examples/` is what `composegen build` writes today.

use std::process::Command;

use crate::repository::root;

#[test]
fn every_example_is_current() {
    let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(["check", "examples"])
        .current_dir(root())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "composegen check examples: {}\n{text}{said}", output.status);
    assert!(said.contains("ud-q6"), "the baseline is among the examples: {said}");
}
