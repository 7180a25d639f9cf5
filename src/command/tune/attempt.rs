//! One candidate in a container, started as `up` would start it, through its longest prompt, and gone again.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ask::{Inside, Silent};
use crate::bench::prompt;
use crate::command::{Failure, up};
use crate::engine::interrupt::Interrupt;
use crate::engine::labels::Identity;
use crate::engine::{Engine, EngineError};
use crate::exit::Exit;
use crate::gpu::{self, Detected};
use crate::hardware::Gpu;
use crate::log::breakdown::{self, Row};
use crate::log::failure::{Ending, Failure as Ended};
use crate::plan::service::Service;
use crate::terminal::Terminal;

/// Tokens that are generated behind the prompt: enough to tell a speed.
const GENERATE: u64 = 32;

/// Lines of the log's end that are read.
const END: u32 = 400;

/// What is the same for all candidates.
pub(super) struct Bench<'a> {
    pub(super) engine: &'a Engine,
    pub(super) service: &'a Service,
    pub(super) identity: &'a Identity,
    pub(super) patience: Duration,
    /// Tokens of the prompt, where they are not as many as the context takes.
    pub(super) depth: Option<u64>,
    /// The cards, where they are this machine's.
    pub(super) planned: &'a [Gpu],
}

/// What was measured of a candidate through whose context a prompt went.
#[derive(Debug, Default)]
pub(super) struct Went {
    /// Tokens of the prompt.
    pub(super) depth: u64,
    pub(super) prompt_tps: f64,
    pub(super) decode_tps: f64,
    /// What each card had free, by llama-server's own table.
    pub(super) rows: Vec<Row>,
    /// MiB that each planned card had free, by this machine's driver.
    pub(super) here: Vec<u64>,
    /// `b11434-c0ffee`
    pub(super) build: Option<String>,
}

/// A candidate that did not go well.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) failure: Failure,
    /// At the long prompt, after the model was loaded.
    late: bool,
}

impl Lost {
    /// What went wrong and when, without the way out of it, which is what tuning is about to go.
    pub(super) fn sentence(&self) -> String {
        let text = self.failure.to_string();
        let line = text.lines().next().unwrap_or_default();
        match (&self.failure, self.late) {
            // It says so itself.
            (Failure::Server(Ended::GpuMemory { .. }), _) => line.to_owned(),
            (_, true) => format!("{line}, at the long prompt"),
            (_, false) => format!("{line}, before it was ready"),
        }
    }
}

impl Bench<'_> {
    /// Whether it went well, or how it failed. The outer error ends the tuning: the engine's, or an interruption.
    pub(super) async fn run(
        &self,
        arguments: &[String],
        interrupt: &mut Interrupt,
        terminal: &mut Terminal,
    ) -> Result<Result<Went, Lost>, Failure> {
        let mut late = false;
        let result = self.started(arguments, interrupt, &mut late, terminal).await;
        let removed = self.engine.remove(&self.service.container()).await;
        match result {
            Ok(went) => removed.map(|()| Ok(went)).map_err(Failure::from),
            Err(failure) if ends_the_try(&failure) => {
                removed.map(|()| Err(Lost { failure, late })).map_err(Failure::from)
            }
            // What happened first is what a person has to know.
            Err(failure) => Err(failure),
        }
    }

    async fn started(
        &self,
        arguments: &[String],
        interrupt: &mut Interrupt,
        late: &mut bool,
        terminal: &mut Terminal,
    ) -> Result<Went, Failure> {
        let Self { engine, service, identity, patience, .. } = *self;
        // Not to be interrupted: a request that is on its way is carried out all the same.
        let id = engine.create_with(service, identity, arguments).await.map_err(up::refused)?;
        up::entrypoint(engine, service, &id).await?;
        engine.start(&id).await.map_err(up::refused)?;
        tokio::select! {
            () = interrupt.wait() => Err(interrupted()),
            went = async {
                up::healthy(engine, service, &id, patience, terminal).await?;
                *late = true;
                self.fill(&id, terminal).await
            } => went,
        }
    }

    /// The long prompt, and what was free behind it.
    async fn fill(&self, id: &str, terminal: &mut Terminal) -> Result<Went, Failure> {
        let Self { engine, service, .. } = *self;
        let inside = Inside { engine, id, service };
        let mut went = match self.ask(inside, terminal).await {
            Ok(went) => went,
            Err(why) => return Err(self.why(id, &why).await?),
        };
        // While all is still allocated.
        went.here = free_here(self.planned);
        engine.stop(id, Some(60)).await?;
        went.rows = breakdown::read(&engine.last_lines(id, END).await?);
        Ok(went)
    }

    async fn ask(&self, inside: Inside<'_>, terminal: &mut Terminal) -> Result<Went, Silent> {
        let props = inside.get("/props").await?;
        let odd =
            |path: &str, said: &str| Silent::Odd { path: path.to_owned(), said: said.to_owned() };
        let n_ctx = props.pointer("/default_generation_settings/n_ctx").and_then(Value::as_u64);
        let n_ctx = n_ctx.ok_or_else(|| odd("/props", "there is no context in it"))?;
        let most = n_ctx.saturating_sub(GENERATE + 1).max(1);
        let depth = self.depth.map_or(most, |depth| depth.min(most));
        let text = inside.post("/tokenize", &json!({ "content": prompt::TEXT })).await?;
        let text = text.get("tokens").and_then(Value::as_array);
        let text: Vec<u64> = text.into_iter().flatten().filter_map(Value::as_u64).collect();
        if text.is_empty() {
            return Err(odd("/tokenize", "there are no tokens in it"));
        }
        let body = json!({
            "prompt": prompt::tokens(&text, depth, 0),
            "n_predict": GENERATE,
            "cache_prompt": false,
            "ignore_eos": true,
            "temperature": 0,
        });
        let reply = self.watched(inside, &body, depth, terminal).await?;
        let timing =
            |name: &str| reply.get("timings").and_then(|timings| timings.get(name)?.as_f64());
        let (prompt_n, cached) = (timing("prompt_n"), timing("cache_n").unwrap_or(0.0));
        if prompt_n != Some(depth as f64) || cached > 0.0 {
            let worked = prompt_n.unwrap_or_default();
            let said =
                format!("of {depth} tokens it worked on {worked} and took {cached} from its cache");
            return Err(odd("/completion", &said));
        }
        let build = props.get("build_info").and_then(Value::as_str).map(str::to_owned);
        Ok(Went {
            depth,
            prompt_tps: timing("prompt_per_second").unwrap_or_default(),
            decode_tps: timing("predicted_per_second").unwrap_or_default(),
            build,
            ..Went::default()
        })
    }

    /// The request, and every quarter of a minute how far the server says it is.
    async fn watched(
        &self,
        inside: Inside<'_>,
        body: &Value,
        depth: u64,
        terminal: &mut Terminal,
    ) -> Result<Value, Silent> {
        let request = inside.post("/completion", body);
        tokio::pin!(request);
        let mut output = self.engine.logs(inside.id, Some(0), true);
        let (mut open, mut told) = (true, Instant::now());
        loop {
            tokio::select! {
                reply = &mut request => return reply,
                lines = output.next(), if open => {
                    open = lines.is_some();
                    let done = lines.iter().flatten().rev().find_map(|line| progress(line));
                    if let Some(done) = done.filter(|_| told.elapsed() > Duration::from_secs(15)) {
                        told = Instant::now();
                        // A screen that is gone does not matter to the measurement.
                        let _ = writeln!(
                            terminal.err,
                            "{}: {done} of {depth} tokens of the prompt",
                            self.service.strategy
                        );
                    }
                }
            }
        }
    }

    /// Why a server gave no answer: it ended, or it said something.
    async fn why(&self, id: &str, silent: &Silent) -> Result<Failure, Failure> {
        // The engine learns of an end a moment after the connection does.
        for _ in 0..20 {
            let state = match self.engine.state(id).await {
                Ok(state) => state,
                Err(EngineError::Refused { status: 404, .. }) => {
                    return Ok(Failure::Server(Ended::Stopped { signal: 9 }));
                }
                Err(error) => return Err(error.into()),
            };
            if !state.running {
                let lines = self.engine.last_lines(id, END).await?;
                return Ok(Failure::Server(Ended::of(&Ending {
                    exit_code: Some(state.exit_code),
                    oom_killed: state.oom_killed,
                    engine: &state.error,
                    was_ready: true,
                    lines: &lines,
                })));
            }
            if !matches!(silent, Silent::Gone(_)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Ok(Failure::Because { exit: Exit::Ended, message: silent.to_string() })
    }
}

/// `prompt processing, n_tokens =  4096, progress = 0.25, ...`
fn progress(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("prompt processing, n_tokens =")?;
    rest.split(',').next()?.trim().parse().ok()
}

/// MiB that are free on the planned cards at the moment; nothing where one of them cannot be told.
fn free_here(planned: &[Gpu]) -> Vec<u64> {
    if planned.is_empty() {
        return Vec::new();
    }
    let Ok(Detected { gpus, .. }) = gpu::detect() else { return Vec::new() };
    let same = |planned: &Gpu| {
        let by_uuid = |gpu: &&Gpu| planned.uuid.is_some() && gpu.uuid == planned.uuid;
        let mut by_name = gpus.iter().filter(|gpu| gpu.name == planned.name);
        let alone = by_name.next().filter(|_| by_name.next().is_none());
        gpus.iter().find(by_uuid).or(alone).map(|gpu| gpu.free.0 >> 20)
    };
    planned.iter().map(same).collect::<Option<_>>().unwrap_or_default()
}

/// Whether the failure is the candidate's; anything else is nobody's in particular.
fn ends_the_try(failure: &Failure) -> bool {
    matches!(failure, Failure::Server(_))
        || matches!(failure, Failure::Because { exit: Exit::Unhealthy | Exit::Ended, .. })
}

pub(super) fn interrupted() -> Failure {
    let message = "interrupted; nothing is left running, and the same command goes on from here";
    Failure::Because { exit: Exit::Interrupted, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::progress;

    #[test]
    fn how_far_a_prompt_is() {
        let line = "0.22.6.1 I slot print_timing: id  0 | task 9 | prompt processing, n_tokens =   2048, progress = 0.25, t =   3.02 s / 678.15 tokens per second";
        assert_eq!(progress(line), Some(2048));
        assert_eq!(progress("anything"), None);
    }
}
