//! Takes the measurements, step by step, as `bench::turns` has them in order.

use std::io::Write as _;
use std::sync::Arc;

use super::case::Case;
use super::stage::Stage;
use super::watch::{Peaks, Watch, merge};
use crate::bench::turns::{self, Step, Task};
use crate::bench::{Spread, doubts, prompt};
use crate::cli::Bench;
use crate::command::Failure;
use crate::ledger::{Answer, Speed};
use crate::preset::sweep::{self, Point};
use crate::server::{Completion, Prompt, ServerError, process};
use crate::terminal::Terminal;
use crate::units::Bytes;

/// What came of one server.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// One for each depth.
    samples: Vec<Samples>,
    pub(super) answers: Vec<Answer>,
    /// The most that was in use on each GPU of the machine while it worked.
    pub(super) vram: Peaks,
    /// The most that its process has had resident.
    pub(super) ram: Option<Bytes>,
}

/// Samples at one depth, by the start of the server after which they were taken.
#[derive(Clone, Debug, Default)]
struct Samples {
    depth: u64,
    starts: Vec<Sample>,
}

#[derive(Clone, Debug, Default)]
struct Sample {
    prompt: Vec<f64>,
    decode: Vec<f64>,
    first_token_ms: Vec<f64>,
}

impl Measured {
    /// All samples.
    pub(super) fn speeds(&self) -> Vec<Speed> {
        self.each(|starts, of| Spread::new(starts.iter().flat_map(|one| of(one).clone()).collect()))
    }

    /// One figure for each start, the median of its samples: what a start happened to decide is one piece of chance.
    pub(super) fn by_start(&self) -> Vec<Speed> {
        self.each(|starts, of| {
            let medians =
                starts.iter().filter_map(|one| Some(Spread::new(of(one).clone())?.median()));
            Spread::new(medians.collect())
        })
    }

    fn each(
        &self,
        fold: impl Fn(&[Sample], fn(&Sample) -> &Vec<f64>) -> Option<Spread>,
    ) -> Vec<Speed> {
        let speed = |samples: &Samples| Speed {
            depth: Some(samples.depth),
            prompt: fold(&samples.starts, |sample| &sample.prompt),
            decode: fold(&samples.starts, |sample| &sample.decode),
            first_token_ms: fold(&samples.starts, |sample| &sample.first_token_ms),
            approximate: false,
        };
        self.samples.iter().map(speed).collect()
    }
}

/// All steps, for all servers.
struct Session<'a> {
    args: &'a Bench,
    cases: &'a mut [Case],
    /// What requests for answers carry, one after the other.
    points: &'a [Point],
    stage: &'a mut Stage,
    measured: Vec<Measured>,
    /// The tokens of the text that prompts are made of, by the server's own vocabulary.
    texts: Vec<Option<Arc<Vec<u64>>>>,
    /// Measurements that count, at each depth.
    count: u32,
    watch: Option<Watch>,
}

pub(super) fn all(
    args: &Bench,
    cases: &mut [Case],
    points: &[Point],
    stage: &mut Stage,
    terminal: &mut Terminal,
) -> Result<Vec<Measured>, Failure> {
    let task = Task {
        servers: cases.len(),
        depths: &args.depth,
        warmup: args.warmup,
        repeat: args.repeat,
        answers: args.answers.saturating_mul(u32::try_from(points.len()).unwrap_or(u32::MAX)),
    };
    let (steps, count) = if stage.takes_turns() {
        let starts = args.starts();
        (turns::one_by_one(&task, starts), turns::per_start(args.repeat, starts) * starts)
    } else {
        (turns::beside(&task), args.repeat)
    };
    let samples = args.depth.iter().map(|depth| Samples { depth: *depth, starts: Vec::new() });
    let samples: Vec<Samples> = samples.collect();
    let mut session = Session {
        args,
        measured: cases
            .iter()
            .map(|_| Measured { samples: samples.clone(), ..Measured::default() })
            .collect(),
        texts: cases.iter().map(|_| None).collect(),
        count,
        watch: cases.iter().any(|case| case.here && case.gpus.is_some()).then(Watch::new),
        cases,
        points,
        stage,
    };
    if !session.stage.takes_turns() {
        for server in 0..session.cases.len() {
            session.stage.start(server, terminal)?;
        }
        for server in 0..session.cases.len() {
            session.meet(server, terminal)?;
        }
    }
    let mut begun = false;
    for step in steps {
        match step {
            Step::Start { server } => {
                session.alone(server, begun, terminal)?;
                begun = true;
            }
            Step::Sample { server, start, depth, turn, counted } => {
                session.sample(server, (start, depth), turn, counted, terminal)?;
            }
            Step::Answer { server, turn } => session.answer(server, turn, terminal)?,
        }
    }
    for server in 0..session.cases.len() {
        session.weigh(server);
    }
    Ok(session.measured)
}

impl Session<'_> {
    /// Only this server runs, started for this; the very first may be one that ran before.
    fn alone(
        &mut self,
        server: usize,
        begun: bool,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        for other in (0..self.cases.len()).filter(|other| begun || *other != server) {
            self.weigh(other);
            self.stage.stop(other)?;
        }
        self.stage.start(server, terminal)?;
        self.meet(server, terminal)
    }

    /// What the server says of itself, and whether that can be measured.
    fn meet(&mut self, server: usize, terminal: &mut Terminal) -> Result<(), Failure> {
        let Some(case) = self.cases.get(server).filter(|case| case.props.is_none()) else {
            return Ok(());
        };
        let asked = Arc::clone(&case.server);
        let props = self.ask(server, move || asked.props())?;
        let Some(case) = self.cases.get_mut(server) else { return Ok(()) };
        case.fits(self.args, &props)?;
        for note in case.doubtful(&props) {
            writeln!(terminal.err, "note: {}: {note}", case.name)?;
        }
        case.props = Some(props);
        let asked = Arc::clone(&case.server);
        let text = self.ask(server, move || asked.tokenize(prompt::TEXT))?;
        if let Some(into) = self.texts.get_mut(server) {
            *into = Some(Arc::new(text));
        }
        Ok(())
    }

    /// Asks a server while Ctrl-C is listened for.
    fn ask<T: Send + 'static>(
        &mut self,
        server: usize,
        job: impl FnOnce() -> Result<T, ServerError> + Send + 'static,
    ) -> Result<T, Failure> {
        let done = self.stage.work(job)?;
        done.map_err(|error| self.stage.why(server, error.into()))
    }

    fn sample(
        &mut self,
        server: usize,
        (start, place): (usize, usize),
        turn: usize,
        counted: Option<u32>,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let (Some(case), Some(Some(text)), Some(&depth)) =
            (self.cases.get(server), self.texts.get(server), self.args.depth.get(place))
        else {
            return Ok(());
        };
        let (asked, name) = (Arc::clone(&case.server), case.name.clone());
        let tokens = prompt::tokens(text, depth, turn);
        let wanted = Prompt { tokens, generate: self.args.tokens };
        self.glance(None);
        let done = self.ask(server, move || asked.complete(&wanted))?;
        self.glance(Some(server));
        sound(&done, depth, self.args.tokens, &name)?;
        let timings = done.timings;
        writeln!(
            terminal.err,
            "{name}, {depth} tokens, {}: prompt {:.1} t/s, decode {:.1} t/s",
            counted.map_or_else(
                || "warm-up".to_owned(),
                |number| format!("{number} of {}", self.count)
            ),
            timings.prompt_per_second,
            timings.predicted_per_second
        )?;
        let samples = self.measured.get_mut(server).and_then(|all| all.samples.get_mut(place));
        if let (Some(samples), Some(_)) = (samples, counted) {
            if samples.starts.len() <= start {
                samples.starts.resize(start + 1, Sample::default());
            }
            if let Some(sample) = samples.starts.get_mut(start) {
                sample.prompt.push(round(timings.prompt_per_second));
                sample.decode.push(round(timings.predicted_per_second));
                let first = done.first_token.map(|time| round(time.as_secs_f64() * 1e3));
                sample.first_token_ms.extend(first);
            }
        }
        Ok(())
    }

    fn answer(&mut self, server: usize, turn: u32, terminal: &mut Terminal) -> Result<(), Failure> {
        let Some(case) = self.cases.get(server) else { return Ok(()) };
        let (asked, name) = (Arc::clone(&case.server), case.name.clone());
        let (most, each) = (self.args.answer_tokens, self.args.answers.max(1));
        let point = self.points.get((turn / each) as usize).cloned().unwrap_or_default();
        let fields: Vec<_> =
            point.iter().map(|(key, value)| (sweep::field(key), sweep::json(*value))).collect();
        self.glance(None);
        let done = self.ask(server, move || asked.answer(prompt::TASK, most, &fields))?;
        self.glance(Some(server));
        let doubts = doubts(&done.text);
        let answer = Answer {
            tokens: Some(done.timings.predicted_n),
            seconds: Some(round(done.total.as_secs_f64())),
            finished: Some(done.finished),
            self_correction: Some(!doubts.is_empty()),
            doubts,
            quality: None,
            sampling: point.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
        };
        writeln!(
            terminal.err,
            "{name}, answer {} of {each}{}: {} tokens, {}",
            turn % each + 1,
            if point.is_empty() { String::new() } else { format!(" at {}", sweep::words(&point)) },
            answer.tokens.unwrap_or_default(),
            match answer.doubts.len() {
                0 => "no doubts".to_owned(),
                count => format!("{count} signs of self-correction"),
            }
        )?;
        if let Some(measured) = self.measured.get_mut(server) {
            measured.answers.push(answer);
        }
        Ok(())
    }

    /// Takes what the GPUs had in use since the last look: a server's, or nobody's.
    fn glance(&mut self, server: Option<usize>) {
        let Some(watch) = &self.watch else { return };
        let seen = watch.take();
        let measured = server.and_then(|server| self.measured.get_mut(server));
        if let Some(measured) = measured {
            merge(&mut measured.vram, seen);
        }
    }

    /// Looks at the memory that a server has had, as long as it runs.
    fn weigh(&mut self, server: usize) {
        let Some(case) = self.cases.get(server) else { return };
        let of_process = || {
            let port = case.server.port().filter(|_| case.server.is_local())?;
            process::peak_at(port)
        };
        let peak = self.stage.peak(server).or_else(of_process);
        if let Some(measured) = self.measured.get_mut(server) {
            measured.ram = measured.ram.max(peak);
        }
    }
}

/// Refuses a completion whose figures cannot be trusted.
fn sound(done: &Completion, depth: u64, generate: u64, name: &str) -> Result<(), Failure> {
    let timings = done.timings;
    let wrong = |what: String| {
        Err(Failure::NoAnswer(format!(
            "{name}: {what}\nits figures would not mean what they say: measure a server that nobody else uses"
        )))
    };
    if timings.cache_n > 0 || timings.prompt_n != depth {
        return wrong(format!(
            "of {depth} prompt tokens it worked on {} and took {} from its cache",
            timings.prompt_n, timings.cache_n
        ));
    }
    if timings.predicted_n != generate {
        return wrong(format!("it generated {} tokens instead of {generate}", timings.predicted_n));
    }
    let speeds = [timings.prompt_per_second, timings.predicted_per_second];
    if !speeds.iter().all(|speed| speed.is_finite() && *speed > 0.0) {
        return wrong("it does not say how fast it was".to_owned());
    }
    Ok(())
}

/// To three decimals: more is noise, and makes lines that nobody reads.
fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
