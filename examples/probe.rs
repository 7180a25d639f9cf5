//! Whether an image's own llama.cpp, on GPUs that are described, says what llama-server said on a real machine.
//!
//! `probe --image IMAGE [--headers DIR]... [--every N] FILE.jsonl...`: rows as `accuracy` takes them; of each file
//! every N-th row is asked.

#[path = "oracle/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use camino::Utf8PathBuf;
use composegen::engine::probe::Header;
use composegen::engine::{Address, Engine, address, connect, run};
use composegen::gguf::{self, Model};
use composegen::probe::{Answer, Question};

use rows::{RIGS, Row, find, gpus};

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(ask_all()) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(error)) => fail(&error),
        Err(error) => fail(&error.into()),
    }
}

#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn fail(error: &Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

#[derive(Default)]
struct Options {
    image: String,
    headers: Vec<Utf8PathBuf>,
    every: usize,
    files: Vec<Utf8PathBuf>,
}

fn options() -> Result<Options, Error> {
    let mut options = Options { every: 1, ..Options::default() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
        match arg.as_str() {
            "--image" => options.image = value()?,
            "--headers" => options.headers.push(value()?.into()),
            "--every" => options.every = value()?.parse()?,
            _ => options.files.push(arg.into()),
        }
    }
    if options.image.is_empty() || options.files.is_empty() {
        return Err(
            "usage: probe --image IMAGE [--headers DIR]... [--every N] FILE.jsonl...".into()
        );
    }
    Ok(options)
}

async fn engine() -> Result<Engine, Error> {
    #[expect(clippy::disallowed_methods, reason = "the engine's address comes from there")]
    let variable = |name: &str| std::env::var(name).ok();
    let around = address::Surroundings {
        variable: &variable,
        exists: &|path| path.exists(),
        read: &|path| fs_err::read_to_string(path).ok(),
    };
    Ok(connect(Address::find(&around)?).await?)
}

/// Model by model, each in a container of its own.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
async fn ask_all() -> Result<bool, Error> {
    let options = options()?;
    let mut by_model: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for file in &options.files {
        for line in fs_err::read_to_string(file)?.lines().step_by(options.every) {
            let row: Row = serde_json::from_str(line)?;
            by_model.entry(row.model.clone()).or_default().push(row);
        }
    }
    let engine = engine().await?;
    let (mut equal, mut asked) = (0, 0);
    let begun = Instant::now();
    for (name, rows) in &by_model {
        let file = find(name, &options.headers)?;
        let model = gguf::open(&file)?;
        let id = engine.open_probe(&options.image, &headers(&file, &model)?).await?;
        let result = ask_model(&engine, &id, &model, rows).await;
        engine.remove(&id).await?;
        let (same, all) = result?;
        println!("{name}: {same} of {all} rows equal to the MiB");
        equal += same;
        asked += all;
    }
    println!(
        "{equal} of {asked} rows equal; {:.2} s a row",
        begun.elapsed().as_secs_f64() / f64::from(asked)
    );
    Ok(equal == asked)
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
async fn ask_model(
    engine: &Engine,
    id: &str,
    model: &Model,
    rows: &[Row],
) -> Result<(u32, u32), Error> {
    let (mut equal, mut asked) = (0, 0);
    for row in rows {
        let rig = row.rig.as_deref().and_then(|rig| RIGS.iter().find(|(name, _)| *name == rig));
        let described =
            row.gpus.as_deref().or(rig.map(|(_, gpus)| *gpus)).ok_or("a row names no GPUs")?;
        let question = Question::new(&gpus(described)?, &model.parts, &row.args);
        let answer = engine.ask(id, &question).await?;
        asked += 1;
        let same = match &answer {
            Answer::Rows(found) => {
                found.len() == row.devices.len()
                    && found.iter().all(|found| {
                        row.devices.get(&found.name).is_some_and(|device| {
                            [device.model, device.context, device.compute]
                                == [found.model, found.context, found.compute]
                        })
                    })
            }
            Answer::Failed(_) => false,
        };
        equal += u32::from(same);
        if !same {
            println!("  {described} {}: {answer:?}", row.args.join(" "));
        }
    }
    Ok((equal, asked))
}

fn headers(file: &camino::Utf8Path, model: &Model) -> Result<Vec<Header>, Error> {
    let header = |part: &gguf::Part| {
        Ok(Header { name: part.name.clone(), bytes: gguf::header_bytes(file, part)? })
    };
    model.parts.iter().map(header).collect()
}
