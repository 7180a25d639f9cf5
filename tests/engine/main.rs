//! What only a Docker engine can judge. Each test runs on every engine that `.ci/engines` has prepared; where
//! there is none, one line counts what was skipped. `COMPOSEGEN_REQUIRE_ENGINE=1` makes that a failure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    reason = "the line about skipped tests is for the reader of the run"
)]

mod bench;
mod check;
mod client;
mod dockerfile;
mod engine;
mod eval;
mod faults;
mod full;
mod gpus;
mod hostile;
mod images;
mod kube;
mod podman;
mod probe;
mod project;
mod proxy;
mod push;
mod replicas;
mod repository;
mod scripted;
mod serving;
mod strategy;
mod swarm;
mod tools;
mod tune;
mod ways;
mod words;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use engine::Engine;

/// A name and what is to hold on an engine.
type Case = (&'static str, fn(&Engine));

fn main() -> ExitCode {
    let plain: Vec<Case> = [dockerfile::CASES, words::CASES, images::CASES].concat();
    let served: Vec<Case> = [
        serving::CASES,
        faults::CASES,
        probe::CASES,
        gpus::CASES,
        tune::CASES,
        check::CASES,
        bench::CASES,
        replicas::CASES,
    ]
    .concat();
    let judged: Vec<Case> = [eval::CASES, eval::SERVED].concat();
    let mut trials = Vec::new();
    let strict = tools::required("COMPOSEGEN_REQUIRE_ENGINE");
    let mut add = |cases: &[Case], engine: &Engine, ready: Result<(), String>| {
        let ignored = ready.is_err() && !strict;
        for &(name, case) in cases {
            let (engine, ready) = (engine.clone(), ready.clone());
            let name = format!("{name}::{}", engine.name);
            let run = move || {
                ready?;
                case(&engine);
                Ok(())
            };
            trials.push(Trial::test(name, run).with_ignored_flag(ignored));
        }
        if ignored { cases.len() } else { 0 }
    };
    let (mut without_engine, mut without_image, mut without_python) = (0, 0, 0);
    for engine in Engine::all() {
        let current = if engine.name == "current" { gpus::CDI } else { &[] };
        let served = [&served, current].concat();
        let ready = engine.ready();
        without_engine += add(&plain, &engine, ready.clone());
        if engine.host.is_none() {
            // The registry is on this machine's loopback, as seen from here.
            without_engine += add(push::CASES, &engine, ready.clone());
        }
        if let Err(missing) = &ready {
            println!("engine `{}`: {missing}", engine.name);
            without_engine += add(&served, &engine, ready.clone());
            without_engine += add(&judged, &engine, ready);
            continue;
        }
        let python = engine.has(eval::IMAGE);
        if let Err(missing) = &python {
            println!("engine `{}`: {missing}", engine.name);
        }
        without_python += add(eval::CASES, &engine, python.clone());
        let image = strategy::image(&engine).map(drop);
        without_image += add(eval::SERVED, &engine, python.and(image.clone()));
        if let Err(missing) = &image {
            println!("engine `{}`: {missing}", engine.name);
        }
        without_image += add(&served, &engine, image);
    }
    let (trial, missing) = client::trial();
    trials.push(trial);
    let (ways, lacking) = ways::trials();
    trials.extend(ways);
    let (full, places) = full::trials();
    trials.extend(full);
    for lacking in lacking.into_iter().chain(places) {
        println!("skipped: {lacking} (`.ci/engines` prepares it)");
    }
    if let Some(missing) = missing {
        println!(
            "skipped: 1 test of clients ({missing}; tests/client/real.py says how to make it)"
        );
    }
    let (swarm, missing) = swarm::trials();
    trials.extend(swarm);
    if let Some(missing) = missing {
        println!("skipped: the tests of a Swarm ({missing})");
    }
    if without_engine > 0 {
        println!(
            "skipped: {without_engine} tests that need a Docker engine (`.ci/engines` prepares them)"
        );
    }
    if without_python > 0 {
        println!(
            "skipped: {without_python} tests that need an image with Python (`.ci/engines` makes it)"
        );
    }
    if without_image > 0 {
        println!(
            "skipped: {without_image} tests that need the CPU image (`.ci/cpu-image` makes it)"
        );
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
