//! Asks and judges: some threads ask, others judge what comes, and every answer and verdict is written down before the
//! next one. Where anything fails, or Ctrl-C comes, what was written down is not asked again.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, available_parallelism};

use camino::Utf8PathBuf;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::suite::Suite;
use super::target::Target;
use crate::bench::doubts;
use crate::cli;
use crate::command::{Failure, load, strategy};
use crate::engine::interrupt::Interrupt;
use crate::engine::run as block_on;
use crate::engine::sandbox::{Bench, Sandboxes, judge_digest};
use crate::eval::journal::{self, About, Answer, Journal};
use crate::eval::prompt::question;
use crate::eval::{Fault, Limits, Stream, Tests, Verdict, extract, program};
use crate::exit::Exit;
use crate::preset::sweep::{self, Point};
use crate::server::ServerError;
use crate::store;
use crate::terminal::Terminal;

/// All that is asked in one go.
pub(super) struct Setting {
    pub(super) suite: Arc<Suite>,
    pub(super) point: Point,
    pub(super) instructions: Option<String>,
    pub(super) samples: u64,
    pub(super) seed: u32,
    pub(super) max_tokens: u64,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) limits: Limits,
    pub(super) journal: Utf8PathBuf,
}

/// What came of one question.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) problem: String,
    pub(super) sample: u64,
    #[serde(skip)]
    pub(super) index: usize,
    pub(super) verdict: Verdict,
    pub(super) tokens: Option<u64>,
    pub(super) seconds: f64,
    pub(super) finished: bool,
    /// Places where it took something back.
    pub(super) doubts: Vec<String>,
    /// Whether the server was asked now, and not in an earlier run.
    pub(super) asked: bool,
}

struct Shared {
    setting: Arc<Setting>,
    target: Arc<Target>,
    journal: Journal,
    next: AtomicUsize,
    stop: AtomicBool,
    open: Sandboxes,
}

/// An answer on its way to be judged.
struct Given {
    index: usize,
    sample: u64,
    answer: Answer,
    asked: bool,
}

type Told = Result<Outcome, Failure>;

impl Shared {
    fn questions(&self) -> usize {
        self.setting.suite.entries.len() * self.samples()
    }

    fn samples(&self) -> usize {
        usize::try_from(self.setting.samples).unwrap_or(usize::MAX)
    }

    fn write(&self, line: &str) -> Result<(), Failure> {
        store::append(&self.setting.journal, &[line])
            .map_err(|error| Failure::File(format!("{error}\n{}", error.help())))
    }
}

/// Outcomes in the order of the suite, the samples of a problem one after the other.
pub(super) fn all(
    args: &cli::Eval,
    target: &Arc<Target>,
    setting: &Arc<Setting>,
    terminal: &mut Terminal,
) -> Result<Vec<Outcome>, Failure> {
    let journal = if args.fresh { Journal::default() } else { read(setting, terminal)? };
    let shared = Arc::new(Shared {
        setting: Arc::clone(setting),
        target: Arc::clone(target),
        journal,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        open: Sandboxes::default(),
    });
    block_on(async {
        let mut interrupt = Interrupt::new()?;
        let engine = strategy::engine().await?;
        works(&engine, &shared).await?;
        let (tell, mut told) = unbounded_channel();
        let threads = start(args, &shared, &tell);
        drop(tell);
        let result = tokio::select! {
            () = interrupt.wait() => Err(Failure::Because {
                exit: Exit::Interrupted,
                message: format!(
                    "interrupted; the same command goes on from `{}` and asks nothing twice",
                    setting.journal
                ),
            }),
            gathered = gather(&shared, &mut told, terminal) => gathered,
        };
        shared.stop.store(true, Ordering::Relaxed);
        if result.is_ok() {
            for thread in threads {
                // Each has sent its last outcome.
                let _ = thread.join();
            }
        }
        for id in shared.open.open() {
            engine.remove(&id).await?;
        }
        result
    })?
}

fn read(setting: &Setting, terminal: &mut Terminal) -> Result<Journal, Failure> {
    let journal = match load(&setting.journal) {
        Ok(text) => Journal::parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Journal::default(),
        Err(error) => return Err(Failure::File(error.to_string())),
    };
    if journal.skipped > 0 {
        let (path, count) = (&setting.journal, journal.skipped);
        writeln!(terminal.err, "note: {path}: {count} lines that are not whole were passed over")?;
    }
    Ok(journal)
}

/// Whether a program that must pass does so, before hours are spent on answers that nobody can judge.
async fn works(engine: &crate::engine::Engine, shared: &Shared) -> Result<(), Failure> {
    let image = &shared.setting.image;
    let bench = Bench { image, limits: shared.setting.limits, open: &shared.open };
    let tests = Tests::Streams(vec![Stream { input: "2".to_owned(), output: "4".to_owned() }]);
    let verdict = engine.judge(&bench, "print(2 * int(input()))\n", &tests).await?;
    if verdict.passed() {
        return Ok(());
    }
    Err(Failure::Usage {
        message: format!(
            "a program of one line does not run in `{image}`: {verdict}\nhelp: --image names one with python3 and sh in it"
        ),
    })
}

fn start(
    args: &cli::Eval,
    shared: &Arc<Shared>,
    tell: &UnboundedSender<Told>,
) -> Vec<thread::JoinHandle<()>> {
    let (give, given) = channel();
    let given = Arc::new(Mutex::new(given));
    let mut threads = Vec::new();
    let askers = args.parallel.map_or_else(|| shared.target.slots(), u64::from);
    for _ in 0..askers.min(shared.questions() as u64) {
        let (shared, give, tell) = (Arc::clone(shared), give.clone(), tell.clone());
        threads.push(thread::spawn(move || ask_all(&shared, &give, &tell)));
    }
    let half = available_parallelism().map_or(1, |count| count.get().div_ceil(2)).min(4);
    for _ in 0..args.judges.map_or(half, |count| count as usize) {
        let (shared, given, tell) = (Arc::clone(shared), Arc::clone(&given), tell.clone());
        threads.push(thread::spawn(move || judge_all(&shared, &given, &tell)));
    }
    threads
}

/// Takes question by question until there is none left.
fn ask_all(shared: &Shared, give: &Sender<Given>, tell: &UnboundedSender<Told>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.questions() {
            return;
        }
        let (index, sample) = (number / shared.samples(), (number % shared.samples()) as u64);
        let gone = match ask(shared, index, sample) {
            Ok(Asked::Given(given)) => give.send(given).is_err(),
            Ok(Asked::Refused(outcome)) => tell.send(Ok(outcome)).is_err(),
            Err(failure) => tell.send(Err(failure)).is_err(),
        };
        if gone {
            return;
        }
    }
}

enum Asked {
    Given(Given),
    Refused(Outcome),
}

fn ask(shared: &Shared, index: usize, sample: u64) -> Result<Asked, Failure> {
    let (setting, target) = (&shared.setting, &shared.target);
    let Some(entry) = setting.suite.entries.get(index) else {
        return Err(Failure::File("a problem is gone".to_owned()));
    };
    let id = entry.problem.id.as_str();
    let request = request(
        setting,
        &target.model,
        &question(&entry.problem, setting.instructions.as_deref()),
        sample,
    );
    let key = journal::answer_key(&target.shape(), &setting.suite.digest, id, sample, &request);
    if let Some(answer) = shared.journal.answers.get(&key) {
        return Ok(Asked::Given(Given { index, sample, answer: answer.clone(), asked: false }));
    }
    let spoken = match target.server.chat(&request) {
        Ok(spoken) => spoken,
        // A prompt that is too long for the slot, say. It says nothing of other questions.
        Err(ServerError::Refused { status: 400 | 413 | 422, said, .. }) => {
            return Ok(Asked::Refused(Outcome {
                problem: id.to_owned(),
                sample,
                index,
                verdict: Verdict::fail(Fault::Refused, None, 0, &said),
                tokens: None,
                seconds: 0.0,
                finished: false,
                doubts: Vec::new(),
                asked: true,
            }));
        }
        Err(error) => return Err(error.into()),
    };
    let answer = Answer {
        text: spoken.text,
        reasoning: spoken.reasoning,
        tokens: spoken.tokens,
        seconds: (spoken.total.as_secs_f64() * 1e3).round() / 1e3,
        finished: spoken.finished,
    };
    let words = sweep::words(&setting.point);
    let about = About { problem: id, sample, setting: &words };
    shared.write(&journal::answer_line(&key, about, &answer))?;
    Ok(Asked::Given(Given { index, sample, answer, asked: true }))
}

fn request(setting: &Setting, model: &str, question: &str, sample: u64) -> Value {
    let mut request = json!({
        "model": model,
        "messages": [{ "role": "user", "content": question }],
        "max_tokens": setting.max_tokens,
        "seed": u64::from(setting.seed) + sample,
    });
    if let Some(fields) = request.as_object_mut() {
        for (key, value) in &setting.point {
            fields.insert(sweep::field(key).to_owned(), sweep::json(*value));
        }
    }
    request
}

/// Judges answer by answer until nobody asks any more.
fn judge_all(shared: &Shared, given: &Mutex<Receiver<Given>>, tell: &UnboundedSender<Told>) {
    let judged = block_on(async {
        let engine = strategy::engine().await?;
        let image = &shared.setting.image;
        let bench = Bench { image, limits: shared.setting.limits, open: &shared.open };
        loop {
            let next = given.lock().map(|given| given.recv());
            let Ok(Ok(given)) = next else { return Ok(()) };
            if shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let outcome = judge(shared, &engine, &bench, given).await?;
            if tell.send(Ok(outcome)).is_err() {
                return Ok(());
            }
        }
    });
    if let Err(failure) =
        judged.map_err(Failure::from).and_then(|judged: Result<(), Failure>| judged)
    {
        let _ = tell.send(Err(failure));
    }
}

async fn judge(
    shared: &Shared,
    engine: &crate::engine::Engine,
    bench: &Bench<'_>,
    given: Given,
) -> Result<Outcome, Failure> {
    let setting = &shared.setting;
    let Given { index, sample, answer, asked } = given;
    let Some(entry) = setting.suite.entries.get(index) else {
        return Err(Failure::File("a problem is gone".to_owned()));
    };
    let verdict = match extract::code(&answer.text) {
        None => Verdict::fail(Fault::NoCode, None, 0, "there is no code in it"),
        Some(code) if code.len() > program::MOST => {
            Verdict::fail(Fault::NoCode, None, 0, "its code is larger than a MiB")
        }
        Some(code) => {
            let program = program::program(&entry.problem, &code);
            let key = journal::verdict_key(
                &program,
                &entry.digest,
                &setting.limits,
                &setting.image_id,
                &judge_digest(),
            );
            if let Some(verdict) = shared.journal.verdicts.get(&key) {
                verdict.clone()
            } else {
                let tests = setting.suite.tests(entry)?;
                let verdict = engine.judge(bench, &program, &tests).await?;
                let words = sweep::words(&setting.point);
                let about = About { problem: &entry.problem.id, sample, setting: &words };
                shared.write(&journal::verdict_line(&key, about, &verdict))?;
                verdict
            }
        }
    };
    let all = format!("{}\n{}", answer.reasoning, answer.text);
    Ok(Outcome {
        problem: entry.problem.id.clone(),
        sample,
        index,
        verdict: if answer.finished { verdict } else { verdict.of_unfinished() },
        tokens: answer.tokens,
        seconds: answer.seconds,
        finished: answer.finished,
        doubts: doubts(&all),
        asked,
    })
}

/// All outcomes, each told as it comes.
async fn gather(
    shared: &Shared,
    told: &mut UnboundedReceiver<Told>,
    terminal: &mut Terminal,
) -> Result<Vec<Outcome>, Failure> {
    let count = shared.questions();
    let mut outcomes = Vec::new();
    while outcomes.len() < count {
        let Some(next) = told.recv().await else {
            return Err(Failure::File(
                "a thread of this program ended early; please report it".to_owned(),
            ));
        };
        let outcome = next?;
        let sample = if shared.setting.samples > 1 {
            format!(" ({} of {})", outcome.sample + 1, shared.setting.samples)
        } else {
            String::new()
        };
        let tokens = outcome.tokens.map(|tokens| format!(", {tokens} tokens")).unwrap_or_default();
        let known = if outcome.asked { "" } else { ", asked before" };
        writeln!(
            terminal.err,
            "{} of {count}: {}{sample}: {}{tokens}, {:.1} s{known}",
            outcomes.len() + 1,
            outcome.problem,
            outcome.verdict,
            outcome.seconds
        )?;
        outcomes.push(outcome);
    }
    outcomes.sort_by_key(|outcome| (outcome.index, outcome.sample));
    Ok(outcomes)
}
