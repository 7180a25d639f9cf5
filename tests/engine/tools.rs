//! Programs that judge, and whether a run may do without them.

use std::path::PathBuf;
use std::process::Command;

/// Whether the variable asks that nothing is skipped.
#[expect(clippy::disallowed_methods, reason = "this is how CI tells the tests to be strict")]
pub(crate) fn required(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "1")
}

/// Below `target/` of the repository.
pub(crate) fn target(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target").join(path)
}

/// The program in `target/tools/bin`, else in PATH; absent and said so where there is none.
pub(crate) fn find(name: &str) -> Option<Command> {
    let own = target("tools/bin").join(name);
    let program = if own.exists() { own } else { name.into() };
    // Not all of them know `--version`; that they can be started is enough.
    if Command::new(&program).arg("--version").output().is_err() {
        assert!(!required("COMPOSEGEN_REQUIRE_TOOLS"), "{name} not found");
        println!("skipped: {name} not found");
        return None;
    }
    Some(Command::new(program))
}
