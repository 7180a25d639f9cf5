//! A process that is killed while it writes leaves a whole set behind, and nobody ever sees two mixed.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use composegen::artifact::Artifact;
use composegen::store;

const FOLDER: &str = "COMPOSEGEN_TEST_FOLDER";
const FILES: u32 = 120;

/// Every file of a generation begins with its number; the text after it is long enough to be caught half written.
fn files(generation: u64) -> Vec<Artifact> {
    let text =
        |name: &str| format!("{generation}\n{}end", format!("{name} {generation}\n").repeat(400));
    let strategies = (0..FILES).map(|number| format!("{number}.env"));
    ["docker-compose.yml".to_owned(), "Dockerfile".to_owned(), only(generation)]
        .into_iter()
        .chain(strategies)
        .map(|name| Artifact::new(name.clone(), text(&name)))
        .collect()
}

/// A file that no other generation has.
fn only(generation: u64) -> String {
    format!("only/{generation}.env")
}

/// The generation that a file is of; `None` where it is not there.
fn generation(path: &Utf8Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    assert!(text.ends_with("end"), "{path} is half written");
    text.lines().next()?.parse().ok()
}

/// What the directory holds is one generation, whole.
fn assert_whole(out: &Utf8Path, of: u64) {
    for file in files(of) {
        let found = std::fs::read_to_string(out.join(&file.path)).unwrap();
        assert!(found == file.text, "{} is not of generation {of}", file.path);
    }
    let names = |dir: &Utf8Path| -> BTreeSet<String> {
        dir.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect()
    };
    assert_eq!(names(&out.join("only")), BTreeSet::from([format!("{of}.env")]));
}

/// Not a test of its own: what the killed process runs. Writes one generation after the other until it is killed.
#[test]
#[ignore = "runs in a process of its own, started by `killed_while_writing`"]
fn writes_forever() {
    let Some(out) = std::env::var_os(FOLDER) else { return };
    let out = Utf8PathBuf::from(out.into_string().unwrap());
    loop {
        let directory = store::open(&out).unwrap();
        let last = generation(&out.join("docker-compose.yml")).unwrap_or(0);
        directory.commit(&files(last + 1), &[only(last).into()]).unwrap();
    }
}

fn wait_until(done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "the process writes nothing");
    }
}

#[test]
fn killed_while_writing() {
    let folder = tempfile::tempdir().unwrap();
    let out = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let gate = out.join("docker-compose.yml");
    store::open(&out).unwrap().commit(&files(1), &[]).unwrap();
    let (mut dropped, mut finished, mut looks) = (0, 0, 0);
    for round in 0..30_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::writes_forever", "--ignored"])
            .env(FOLDER, &out)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Never twice after the same time: in even rounds anywhere from the first sign of its writing on, in odd ones
        // while the files are being put in place.
        let first = generation(&gate);
        let moving = round % 2 == 1;
        let staging = || out.join(store::STAGE).exists() || generation(&gate) != first;
        wait_until(|| if moving { store::interrupted(&out) } else { staging() });
        let micros = round * 7_919 % if moving { 4_000 } else { 60_000 };
        let end = Instant::now() + Duration::from_micros(micros);
        while Instant::now() < end {
            // As long as one and the same compose file stands, whatever stands beside it is of its generation.
            let seen = generation(&gate);
            let beside = generation(&out.join(format!("{}.env", looks % FILES)));
            if seen.is_some() && generation(&gate) == seen {
                assert_eq!(beside, seen);
                looks += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(generation) = generation(&gate) {
            assert_whole(&out, generation);
        }
        match store::open(&out).unwrap().recovery() {
            store::Recovery::Clean => {}
            store::Recovery::Dropped => dropped += 1,
            store::Recovery::Finished { saved } => {
                assert!(saved.is_empty());
                finished += 1;
            }
        }
        assert_whole(&out, generation(&gate).unwrap());
        assert!(!out.join(store::STAGE).exists());
    }
    let last = generation(&gate).unwrap();
    println!("{last} generations, {looks} looks, {dropped} dropped, {finished} finished");
    assert!(last > 1 && looks > 0 && dropped > 0 && finished > 0, "too little was interrupted");
}

#[test]
fn ten_thousand_files() {
    let folder = tempfile::tempdir().unwrap();
    let out = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let files = |word: &str| -> Vec<Artifact> {
        (0..10_000).map(|n| Artifact::new(format!("{n}.env"), format!("{word} {n}\n"))).collect()
    };
    let time = |what: &str, files: &[Artifact]| {
        let start = Instant::now();
        let written = store::open(&out).unwrap().commit(files, &[]).unwrap();
        println!("{what}: {:?}", start.elapsed());
        written.written.len()
    };
    assert_eq!(time("new", &files("a")), 10_000);
    assert_eq!(time("the same again", &files("a")), 0);
    assert_eq!(time("changed", &files("b")), 10_000);
    assert_eq!(out.read_dir_utf8().unwrap().count(), 10_000);
}
