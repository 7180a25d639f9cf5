//! Writes a set of generated files into a directory: all of them or none, whenever it is interrupted.
//!
//! New files are staged in a hidden directory, flushed, and named in a journal. Then the old `docker-compose.yml` is
//! moved away, the other files are put in place, and the new `docker-compose.yml` comes last: where one stands, it
//! stands among files of its own generation. A journal that was left behind is carried out when the directory is
//! opened next; a stage without one is thrown away.

mod append;
mod edited;
mod error;
mod journal;
mod lock;
mod roll;
mod single;
mod stage;

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use crate::artifact::Artifact;

pub use append::{append, append_with, appendable};
pub use edited::{Edited, edited};
pub use error::StoreError;
pub use single::single;

/// The hidden directory inside of an output directory that exists only while files are being written.
pub const STAGE: &str = ".composegen";

/// The files that make a set of files usable.
const GATES: &[&str] = &[GATE, "kustomization.yaml"];
const GATE: &str = "docker-compose.yml";

/// How long to wait for another build in the same directory.
const PATIENCE: Duration = Duration::from_secs(10);

/// An output directory, locked against other builds until it is dropped.
#[derive(Debug)]
pub struct Directory {
    path: Utf8PathBuf,
    /// It was not there before.
    new: bool,
    handle: fs::File,
    recovery: Recovery,
}

/// What an interrupted build had left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing.
    Clean,
    /// Staged files that were not complete, or had been put in place already; they are gone.
    Dropped,
    /// A complete set; it has been put in place. Files that were edited in the meantime are kept beside, with `.saved`
    /// added to their names.
    Finished { saved: Vec<Utf8PathBuf> },
}

/// What [`Directory::commit`] did, each list in the order in which the files were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub written: Vec<Utf8PathBuf>,
    /// Their content was right already; they were not touched.
    pub unchanged: Vec<Utf8PathBuf>,
    pub removed: Vec<Utf8PathBuf>,
}

/// Opens an output directory, creating it where it does not exist: waits for other builds, then finishes or drops what
/// an interrupted one left behind.
pub fn open(path: &Utf8Path) -> Result<Directory, StoreError> {
    open_with(path, &mut Run { durable: true, step: &mut |_| {} })
}

/// Whether a build of this directory was interrupted and not yet finished by [`open`]. Changes nothing.
pub fn interrupted(path: &Utf8Path) -> bool {
    path.join(STAGE).join(journal::NAME).exists()
}

fn open_with(path: &Utf8Path, run: &mut Run<'_>) -> Result<Directory, StoreError> {
    let new = !path.exists();
    fs::create_dir_all(path)?;
    let handle = fs::File::open(path)?;
    lock::lock(&handle, path, PATIENCE)?;
    let recovery = roll::recover(path, run)?;
    Ok(Directory { path: path.to_owned(), new, handle, recovery })
}

impl Directory {
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// What an earlier, interrupted build had left and [`open`] has cleared up.
    pub const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Makes the directory hold these files, and no longer those of `remove`. Files whose content is right are left
    /// alone, their time of change included; files of neither list are none of its business.
    pub fn commit(
        &self,
        files: &[Artifact],
        remove: &[Utf8PathBuf],
    ) -> Result<Written, StoreError> {
        self.commit_with(files, remove, &mut Run { durable: true, step: &mut |_| {} })
    }

    fn commit_with(
        &self,
        files: &[Artifact],
        remove: &[Utf8PathBuf],
        run: &mut Run<'_>,
    ) -> Result<Written, StoreError> {
        let (journal, written) = stage::compare(&self.path, files, remove)?;
        if journal.is_empty() {
            return Ok(written);
        }
        if let Err(error) = stage::stage(self, files, &journal, run) {
            // What is left of the stage does no harm, and the first error is the one that tells.
            let _ = roll::drop_stage(&self.path, run);
            if self.new {
                // Only where it is empty.
                let _ = fs::remove_dir(&self.path);
            }
            return Err(error);
        }
        roll::carry_out(&self.path, &journal, roll::Edits::Overwrite, run)?;
        Ok(written)
    }
}

/// How changes to the file system are made: whether they are flushed, and what happens after each.
struct Run<'a> {
    durable: bool,
    /// Called after every change with what it was. One that does not return is the end of the process.
    step: &'a mut dyn FnMut(&str),
}

impl Run<'_> {
    fn step(&mut self, done: &str) {
        (self.step)(done);
    }
}

fn is_gate(path: &Utf8Path) -> bool {
    path.file_name().is_some_and(|name| GATES.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use camino::{Utf8Path, Utf8PathBuf};
    use proptest::prelude::*;

    use super::{GATE, Recovery, Run, STAGE, StoreError, Written, interrupted, open, open_with};
    use crate::artifact::Artifact;

    /// What a directory holds: text and executable bit by path.
    type Set = BTreeMap<Utf8PathBuf, (String, bool)>;

    fn on_disk(out: &Utf8Path) -> Set {
        let mut set = Set::new();
        let mut folders = vec![out.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir_utf8().unwrap() {
                let path = entry.unwrap().into_path();
                if path == out.join(STAGE) {
                } else if path.is_dir() {
                    folders.push(path);
                } else {
                    let executable = path.metadata().unwrap().permissions().mode() & 0o100 != 0;
                    let text = fs_err::read_to_string(&path).unwrap();
                    set.insert(path.strip_prefix(out).unwrap().to_owned(), (text, executable));
                }
            }
        }
        set
    }

    fn artifacts(set: &Set) -> Vec<Artifact> {
        let artifact = |(path, (text, executable)): (&Utf8PathBuf, &(String, bool))| {
            let file = Artifact::new(path.clone(), text.clone());
            if *executable { file.executable() } else { file }
        };
        set.iter().map(artifact).collect()
    }

    /// Makes the directory hold `new` instead of `old`, and is killed after so many steps. Counts them down.
    fn change(out: &Utf8Path, old: &Set, new: &Set, steps: &mut usize) -> bool {
        until_killed(steps, |run| {
            let remove: Vec<Utf8PathBuf> =
                old.keys().filter(|path| !new.contains_key(*path)).cloned().collect();
            open_with(out, run).unwrap().commit_with(&artifacts(new), &remove, run).unwrap();
        })
    }

    fn until_killed(steps: &mut usize, act: impl FnOnce(&mut Run<'_>)) -> bool {
        let mut step = |_: &str| match steps.checked_sub(1) {
            Some(left) => *steps = left,
            None => resume_unwind(Box::new("killed")),
        };
        let killed =
            catch_unwind(AssertUnwindSafe(|| act(&mut Run { durable: false, step: &mut step })));
        killed.is_err()
    }

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("out")).unwrap();
        (folder, path)
    }

    /// Kills the change after every step, and the recovery from that after every step of its own.
    fn kill_everywhere(old: &Set, new: &Set) {
        for steps in 0.. {
            let mut recoveries = 0;
            loop {
                let (_folder, out) = folder();
                assert!(!change(&out, &Set::new(), old, &mut usize::MAX.clone()));
                assert_eq!(on_disk(&out), *old);
                if !change(&out, old, new, &mut steps.clone()) {
                    assert_eq!(on_disk(&out), *new);
                    return;
                }
                let look = || {
                    let found = on_disk(&out);
                    let whole = found == *old || found == *new;
                    assert!(whole || !found.contains_key(Utf8Path::new(GATE)), "mixed: {found:?}");
                };
                look();
                let decided = interrupted(&out);
                let killed = until_killed(&mut recoveries.clone(), |run| {
                    open_with(&out, run).unwrap();
                });
                look();
                open(&out).unwrap();
                let found = on_disk(&out);
                assert!(found == *old || found == *new, "after {steps} steps: {found:?}");
                assert!(!decided || found == *new, "after {steps} steps it was decided");
                assert!(!out.join(STAGE).exists());
                if !killed {
                    break;
                }
                recoveries += 1;
            }
        }
    }

    fn set(files: &[(&str, &str)]) -> Set {
        let file = |(path, text): &(&str, &str)| {
            (Utf8PathBuf::from(path), ((*text).to_owned(), *path == "entrypoint.sh"))
        };
        files.iter().map(file).collect()
    }

    #[test]
    fn killed_anywhere_it_is_old_or_new() {
        let first = set(&[
            ("docker-compose.yml", "1"),
            ("Dockerfile", "1"),
            ("entrypoint.sh", "same"),
            ("env/a.env", "1"),
            ("gone/b.env", "1"),
            ("composegen.lock", "1"),
        ]);
        let second = set(&[
            ("docker-compose.yml", "2"),
            ("Dockerfile", "2"),
            ("entrypoint.sh", "same"),
            ("env/a.env", "2"),
            ("new/c.env", "2"),
            ("composegen.lock", "2"),
        ]);
        let mut same_gate = second.clone();
        same_gate.insert(GATE.into(), first[Utf8Path::new(GATE)].clone());
        let mut without_gate = second.clone();
        without_gate.remove(Utf8Path::new(GATE));
        for (old, new) in [
            (&Set::new(), &first),
            (&first, &second),
            (&first, &same_gate),
            (&first, &without_gate),
            (&without_gate, &first),
            (&first, &Set::new()),
            (&first, &first),
        ] {
            kill_everywhere(old, new);
        }
    }

    fn any_set() -> impl Strategy<Value = Set> {
        let paths = ["docker-compose.yml", ".env", "a/x.env", "a/b/y.env", "run.sh"];
        prop::array::uniform5(prop::option::weighted(0.8, 0..2_u8)).prop_map(move |texts| {
            let file = |(path, text): (&str, Option<u8>)| {
                Some((path.into(), (text?.to_string().repeat(9), path == "run.sh")))
            };
            paths.into_iter().zip(texts).filter_map(file).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn killed_anywhere_any_set_is_old_or_new(old in any_set(), new in any_set()) {
            kill_everywhere(&old, &new);
        }
    }

    #[test]
    fn leaves_alone_what_is_right() {
        let (_folder, out) = folder();
        let old = set(&[("docker-compose.yml", "1"), (".env", "1"), ("other.env", "1")]);
        let new = set(&[("docker-compose.yml", "1"), (".env", "2"), ("other.env", "1")]);
        let directory = open(&out).unwrap();
        directory.commit(&artifacts(&old), &[]).unwrap();
        let stamp = |path: &str| {
            let metadata = out.join(path).metadata().unwrap();
            (metadata.ino(), metadata.mtime_nsec())
        };
        let before = (stamp(GATE), stamp("other.env"));
        let written = directory.commit(&artifacts(&new), &["never-was".into()]).unwrap();
        let paths = |paths: &[&str]| paths.iter().map(Utf8PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            written,
            Written {
                written: paths(&[".env"]),
                unchanged: paths(&["docker-compose.yml", "other.env"]),
                removed: Vec::new()
            }
        );
        assert_eq!(before, (stamp(GATE), stamp("other.env")));
        assert_eq!(directory.recovery(), &Recovery::Clean);
    }

    #[test]
    fn saves_what_was_edited_after_an_interruption() {
        let (_folder, out) = folder();
        let old = set(&[("docker-compose.yml", "1"), (".env", "1")]);
        let new = set(&[("docker-compose.yml", "2"), (".env", "2")]);
        change(&out, &Set::new(), &old, &mut usize::MAX.clone());
        let mut kill = |step: &str| {
            if step == "gate moved away" {
                resume_unwind(Box::new("killed"));
            }
        };
        let mut run = Run { durable: false, step: &mut kill };
        let commit = || open(&out).unwrap().commit_with(&artifacts(&new), &[], &mut run);
        assert!(catch_unwind(AssertUnwindSafe(commit)).is_err());
        assert_eq!(on_disk(&out), set(&[(".env", "1")]));
        fs_err::write(out.join(GATE), "mine").unwrap();
        fs_err::write(out.join(".env"), "mine").unwrap();
        let saved = vec!["docker-compose.yml.saved".into(), ".env.saved".into()];
        assert_eq!(open(&out).unwrap().recovery(), &Recovery::Finished { saved });
        let mut expected = new.clone();
        expected.extend(set(&[("docker-compose.yml.saved", "mine"), (".env.saved", "mine")]));
        assert_eq!(on_disk(&out), expected);
    }

    #[test]
    fn refuses_before_anything_is_decided() {
        let (_folder, out) = folder();
        let old = set(&[("docker-compose.yml", "1"), ("folder/a", "1")]);
        change(&out, &Set::new(), &old, &mut usize::MAX.clone());
        for (files, message) in [
            (&[("../a", "2")][..], "`../a` leads out of the output directory".to_owned()),
            (
                &[("folder", "2")],
                format!("a directory stands where the file `{out}/folder` is to be written"),
            ),
            (&[("docker-compose.yml/a", "2")], "failed to create directory".to_owned()),
        ] {
            let error = open(&out).unwrap().commit(&artifacts(&set(files)), &[]).unwrap_err();
            assert!(error.to_string().starts_with(&message), "{error}");
            assert!(!error.help().is_empty());
            assert_eq!(on_disk(&out), old);
            assert!(!out.join(STAGE).exists());
        }
        let twice = [Artifact::new("a", ""), Artifact::new("a", "")];
        let error = open(&out).unwrap().commit(&twice, &[]).unwrap_err();
        assert!(matches!(error, StoreError::Twice { .. }), "{error}");
    }

    #[test]
    fn touches_no_stage_that_is_not_its_own() {
        let (_folder, out) = folder();
        fs_err::create_dir_all(out.join(STAGE)).unwrap();
        fs_err::write(out.join(STAGE).join("diary"), "").unwrap();
        let error = open(&out).unwrap_err();
        assert_eq!(error.to_string(), format!("`{out}/.composegen/diary` is not from composegen"));
        fs_err::remove_file(out.join(STAGE).join("diary")).unwrap();
        assert_eq!(open(&out).unwrap().recovery(), &Recovery::Dropped);
    }
}
