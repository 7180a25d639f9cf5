//! What only a Docker engine can judge. Each test runs on every engine that `.ci/engines` has prepared; where
//! there is none, one line counts what was skipped. `COMPOSEGEN_REQUIRE_ENGINE=1` makes that a failure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    reason = "the line about skipped tests is for the reader of the run"
)]

mod client;
mod dockerfile;
mod engine;
mod project;
mod repository;
mod tools;
mod words;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use engine::Engine;

/// A name and what is to hold on an engine.
type Case = (&'static str, fn(&Engine));

fn main() -> ExitCode {
    let cases: Vec<Case> = [dockerfile::CASES, words::CASES].concat();
    let mut trials = Vec::new();
    let mut skipped = 0;
    for engine in Engine::all() {
        let ready = engine.ready();
        let ignored = ready.is_err() && !tools::required("COMPOSEGEN_REQUIRE_ENGINE");
        for &(name, case) in &cases {
            let (engine, ready) = (engine.clone(), ready.clone());
            let name = format!("{name}::{}", engine.name);
            let run = move || {
                ready?;
                case(&engine);
                Ok(())
            };
            trials.push(Trial::test(name, run).with_ignored_flag(ignored));
            skipped += usize::from(ignored);
        }
        if let Err(missing) = ready {
            println!("engine `{}`: {missing}", engine.name);
        }
    }
    let (trial, missing) = client::trial();
    trials.push(trial);
    if let Some(missing) = missing {
        println!(
            "skipped: 1 test of clients ({missing}; tests/client/real.py says how to make it)"
        );
    }
    if skipped > 0 {
        println!(
            "skipped: {skipped} tests that need a Docker engine (`.ci/engines` prepares them)"
        );
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
