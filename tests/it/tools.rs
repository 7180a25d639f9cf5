//! The programs that judge what we generate: below `target/tools/bin` (made by `.ci/tools`), else on the path.

use std::path::PathBuf;

use crate::repository::root;

/// The program, or `None` with one line that says what is skipped. With `COMPOSEGEN_REQUIRE_TOOLS` it must be there.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let ours = root().join("target/tools/bin").join(name).into_std_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(ours)
        .chain(std::env::split_paths(&path).map(|dir| dir.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("COMPOSEGEN_REQUIRE_TOOLS").is_none(),
            "{name} is not there; .ci/tools installs it"
        );
        println!("skipped: {name} not found");
    }
    found
}

/// Both majors of the real Compose, those that are there.
pub(crate) fn composes() -> Vec<PathBuf> {
    ["docker-compose-2", "docker-compose-5"].into_iter().filter_map(find).collect()
}
