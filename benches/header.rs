//! How long reading the header of a large model takes: `cargo bench --bench header [-- MODEL.gguf ...]`.
//!
//! Without files it writes a header as large as that of a 60 GB model and reads it back from the page cache.
#![expect(clippy::print_stdout, reason = "the figure is the output")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the writer is that of the tests"
)]

use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use composegen::gguf::open;

#[path = "../tests/it/gguf/synthetic.rs"]
#[expect(dead_code, reason = "the tests write more kinds of files")]
mod synthetic;

const RUNS: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named: Vec<Utf8PathBuf> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).map(Into::into).collect();
    if named.is_empty() {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("synthetic.gguf");
        std::io::Write::write_all(
            &mut std::fs::File::create(&path)?,
            &synthetic::large().header(),
        )?;
        measure(Utf8Path::from_path(&path).ok_or("a temporary folder that is not UTF-8")?)?;
    }
    named.iter().try_for_each(|path| measure(path))
}

fn measure(path: &Utf8Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut times: Vec<Duration> = Vec::with_capacity(RUNS);
    let mut tensors = 0;
    let mut header = 0;
    for _ in 0..RUNS {
        let start = Instant::now();
        let model = open(path)?;
        times.push(start.elapsed());
        tensors = model.tensors.len();
        header = model.parts.iter().map(|part| part.data_start).sum();
    }
    times.sort_unstable();
    let at = |index: usize| times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{path}: {tensors} tensors, {:.1} MiB of header: median {:.2} ms, fastest {:.2} ms, slowest {:.2} ms of {RUNS}",
        composegen::units::Bytes(header).mib(),
        at(RUNS / 2),
        at(0),
        at(RUNS - 1),
    );
    Ok(())
}
