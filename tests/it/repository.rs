//! Where the repository's files are, and how snapshots of them are kept.

use camino::{Utf8Path, Utf8PathBuf};

/// The repository's top.
pub(crate) fn root() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of one ending below a directory of the repository, sorted; not those of its subdirectories.
pub(crate) fn files(dir: &str, ending: &str) -> Vec<Utf8PathBuf> {
    let mut files: Vec<Utf8PathBuf> = std::fs::read_dir(root().join(dir))
        .unwrap()
        .map(|entry| Utf8PathBuf::from_path_buf(entry.unwrap().path()).unwrap())
        .filter(|path| path.extension() == Some(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no *.{ending} in {dir}");
    files
}

/// Settings that put snapshots into `snapshots/<folder>/<name>.snap`.
pub(crate) fn snapshots(folder: &str) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}
