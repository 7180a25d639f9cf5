//! Takes the measurements: warm-up first, then by turns, the order reversed each time.

use std::io::Write as _;

use super::Target;
use crate::bench::{Spread, doubts, prompt};
use crate::cli::Bench;
use crate::command::Failure;
use crate::ledger::{Answer, Speed};
use crate::preset::sweep::{self, Point};
use crate::server::{Completion, Prompt};
use crate::terminal::Terminal;

/// What came of one server.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) speeds: Vec<Speed>,
    pub(super) answers: Vec<Answer>,
}

/// Samples at one depth.
#[derive(Debug, Default)]
struct Samples {
    prompt: Vec<f64>,
    decode: Vec<f64>,
    first_token_ms: Vec<f64>,
}

pub(super) fn all(
    args: &Bench,
    targets: &[Target],
    points: &[Point],
    terminal: &mut Terminal,
) -> Result<Vec<Measured>, Failure> {
    let mut measured: Vec<Measured> = targets.iter().map(|_| Measured::default()).collect();
    let texts = targets.iter().map(|target| target.server.tokenize(prompt::TEXT));
    let texts: Vec<Vec<u64>> = texts.collect::<Result<_, _>>()?;
    let both: Vec<(usize, &Target, &Vec<u64>)> = targets
        .iter()
        .zip(&texts)
        .enumerate()
        .map(|(i, (target, text))| (i, target, text))
        .collect();
    for depth in &args.depth {
        let mut samples: Vec<Samples> = targets.iter().map(|_| Samples::default()).collect();
        for turn in 0..args.warmup + args.repeat {
            let mut order = both.clone();
            if turn % 2 == 1 {
                order.reverse();
            }
            for (i, target, text) in order {
                let done = one(args, target, text, *depth, turn as usize)?;
                let timings = done.timings;
                let counts = turn >= args.warmup;
                writeln!(
                    terminal.err,
                    "{}, {depth} tokens, {}: prompt {:.1} t/s, decode {:.1} t/s",
                    target.server.url(),
                    if counts {
                        format!("{} of {}", turn - args.warmup + 1, args.repeat)
                    } else {
                        "warm-up".to_owned()
                    },
                    timings.prompt_per_second,
                    timings.predicted_per_second
                )?;
                if let Some(samples) = samples.get_mut(i).filter(|_| counts) {
                    samples.prompt.push(round(timings.prompt_per_second));
                    samples.decode.push(round(timings.predicted_per_second));
                    let first = done.first_token.map(|time| round(time.as_secs_f64() * 1e3));
                    samples.first_token_ms.extend(first);
                }
            }
        }
        for (measured, samples) in measured.iter_mut().zip(samples) {
            measured.speeds.push(Speed {
                depth: Some(*depth),
                prompt: Spread::new(samples.prompt),
                decode: Spread::new(samples.decode),
                first_token_ms: Spread::new(samples.first_token_ms),
                approximate: false,
            });
        }
    }
    let turns = points.iter().flat_map(|point| (0..args.answers).map(move |turn| (turn, point)));
    for (turn, point) in turns {
        for (measured, target) in measured.iter_mut().zip(targets) {
            let answer = answer(args, target, point)?;
            writeln!(
                terminal.err,
                "{}, answer {} of {}{}: {} tokens, {}",
                target.server.url(),
                turn + 1,
                args.answers,
                if point.is_empty() {
                    String::new()
                } else {
                    format!(" at {}", sweep::words(point))
                },
                answer.tokens.unwrap_or_default(),
                match answer.doubts.len() {
                    0 => "no doubts".to_owned(),
                    count => format!("{count} signs of self-correction"),
                }
            )?;
            measured.answers.push(answer);
        }
    }
    Ok(measured)
}

/// One completion of which the server's figures can be trusted.
fn one(
    args: &Bench,
    target: &Target,
    text: &[u64],
    depth: u64,
    turn: usize,
) -> Result<Completion, Failure> {
    let tokens = prompt::tokens(text, depth, turn);
    let done = target.server.complete(&Prompt { tokens, generate: args.tokens })?;
    let timings = done.timings;
    let wrong = |what: String| {
        Failure::NoAnswer(format!(
            "{}: {what}\nits figures would not mean what they say: measure a server that nobody else uses",
            target.server.url()
        ))
    };
    if timings.cache_n > 0 || timings.prompt_n != depth {
        return Err(wrong(format!(
            "of {depth} prompt tokens it worked on {} and took {} from its cache",
            timings.prompt_n, timings.cache_n
        )));
    }
    if timings.predicted_n != args.tokens {
        return Err(wrong(format!(
            "it generated {} tokens instead of {}",
            timings.predicted_n, args.tokens
        )));
    }
    let speeds = [timings.prompt_per_second, timings.predicted_per_second];
    if !speeds.iter().all(|speed| speed.is_finite() && *speed > 0.0) {
        return Err(wrong("it does not say how fast it was".to_owned()));
    }
    Ok(done)
}

/// To three decimals: more is noise, and makes lines that nobody reads.
fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

fn answer(args: &Bench, target: &Target, point: &Point) -> Result<Answer, Failure> {
    let sampling: Vec<_> =
        point.iter().map(|(key, value)| (sweep::field(key), sweep::json(*value))).collect();
    let done = target.server.answer(prompt::TASK, args.answer_tokens, &sampling)?;
    let doubts = doubts(&done.text);
    Ok(Answer {
        tokens: Some(done.timings.predicted_n),
        seconds: Some(round(done.total.as_secs_f64())),
        finished: Some(done.finished),
        self_correction: Some(!doubts.is_empty()),
        doubts,
        quality: None,
        sampling: point.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
    })
}
