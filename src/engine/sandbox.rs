//! Containers for code that nobody has read: no network, no privilege, nothing of the machine in reach, and bounds on
//! memory, processes, files, output and time. Such a container is used for one answer and thrown away.

mod dialog;
mod process;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, ResourcesUlimits};
use bollard::query_parameters::{CreateContainerOptions, StartContainerOptions};
use tokio::time::{Instant, timeout_at};

use super::{Engine, EngineError};
use crate::artifact::Digest;
use crate::eval::output::difference;
use crate::eval::{Fault, Limits, Stream, Tests, Verdict};
use process::{Process, Stop};

/// The label by which such a container is known.
const LABEL: &str = "dev.composegen.eval";

/// Nobody, by number: the image need not know the name.
const USER: &str = "65534:65534";

/// Seconds that a container is there beyond what its tests may take: also where nobody is left to remove it.
const SPARE: u64 = 120;

/// How long one answer may be judged, however many tests there are.
const LONGEST: u64 = 3600;

const WIRE: &str = include_str!("../eval/python/wire.py");
const ANSWER: &str = include_str!("../eval/python/answer.py");
const JUDGE: &str = include_str!("../eval/python/judge.py");

/// The containers that are open at the moment, so that an interrupted run can remove them.
#[derive(Debug, Default)]
pub struct Sandboxes(Mutex<BTreeSet<String>>);

impl Sandboxes {
    pub fn open(&self) -> Vec<String> {
        self.with(|open| open.iter().cloned().collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        // A thread that died while it held the list left it whole.
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// What is the same for all answers.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// With `python3` and `sh` in it.
    pub image: &'a str,
    pub limits: Limits,
    pub open: &'a Sandboxes,
}

/// Of all that has a say in a verdict besides the tests: another version of it judges anew.
pub fn judge_digest() -> Digest {
    Digest::of([WIRE, ANSWER, JUDGE, include_str!("sandbox.rs")].concat().as_bytes())
}

impl Engine {
    /// Runs a program against its tests. Errors are the engine's; whatever the program does is a verdict.
    pub async fn judge(
        &self,
        bench: &Bench<'_>,
        program: &str,
        tests: &Tests,
    ) -> Result<Verdict, EngineError> {
        let seconds = bench.limits.seconds * (tests.count() as f64 + 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds, above zero"
        )]
        let lives = (seconds.min(LONGEST as f64) as u64) + SPARE;
        match tests {
            Tests::Streams(streams) => {
                let id = self.open_sandbox(bench, lives).await?;
                let judged = self.streams(&id, bench, program, streams).await;
                self.close_sandbox(bench, &id).await?;
                judged
            }
            Tests::Code(_) | Tests::Calls(_) => {
                // Two containers: what is tested is not where the tests are.
                let answers = self.open_sandbox(bench, lives).await?;
                let testers = match self.open_sandbox(bench, lives).await {
                    Ok(id) => id,
                    Err(error) => {
                        self.close_sandbox(bench, &answers).await?;
                        return Err(error);
                    }
                };
                let judged = self.dialog(&testers, &answers, bench, program, tests).await;
                let closed = [
                    self.close_sandbox(bench, &answers).await,
                    self.close_sandbox(bench, &testers).await,
                ];
                closed.into_iter().collect::<Result<Vec<()>, _>>()?;
                judged
            }
        }
    }

    async fn open_sandbox(&self, bench: &Bench<'_>, lives: u64) -> Result<String, EngineError> {
        let body = body(bench.image, &bench.limits, lives);
        let made = self.docker.create_container(None::<CreateContainerOptions>, body).await;
        let made =
            made.map_err(|error| EngineError::of("make a container for an answer", error))?;
        let id = made.id;
        bench.open.with(|open| open.insert(id.clone()));
        // Where there is no account of swap, memory is bounded all the same.
        let lost: Vec<String> =
            made.warnings.into_iter().filter(|warning| !warning.contains("swap")).collect();
        let result = if lost.is_empty() {
            let started = self.docker.start_container(&id, None::<StartContainerOptions>).await;
            started.map_err(|error| EngineError::of("start a container for an answer", error))
        } else {
            Err(EngineError::Local {
                doing: "run code that nobody has read".to_owned(),
                why: format!("the engine does not hold its bounds: {}", lost.join("; ")),
            })
        };
        match result {
            Ok(()) => Ok(id),
            Err(error) => {
                self.close_sandbox(bench, &id).await?;
                Err(error)
            }
        }
    }

    async fn close_sandbox(&self, bench: &Bench<'_>, id: &str) -> Result<(), EngineError> {
        let removed = self.remove(id).await;
        bench.open.with(|open| open.remove(id));
        removed
    }

    /// Each input into a process of its own. What is expected stays here.
    async fn streams(
        &self,
        id: &str,
        bench: &Bench<'_>,
        program: &str,
        streams: &[Stream],
    ) -> Result<Verdict, EngineError> {
        let count = streams.len();
        let written = self.exec_process(id, &["sh", "-c", "cat >/tmp/answer.py"]).await?;
        let deadline = Instant::now() + Duration::from_secs(SPARE / 2);
        let wrote = self.finish(written, program.as_bytes(), deadline, &bench.limits).await?;
        if wrote.code != Some(0) {
            return Err(EngineError::Local {
                doing: "write the answer into its container".to_owned(),
                why: wrote.said(),
            });
        }
        for (i, stream) in streams.iter().enumerate() {
            let fail = |fault, detail: &str| Ok(Verdict::fail(fault, Some(i), count, detail));
            let process = self.exec_process(id, &["python3", "-B", "-I", "/tmp/answer.py"]).await?;
            let deadline = Instant::now() + Duration::from_secs_f64(bench.limits.seconds);
            let ended =
                self.finish(process, stream.input.as_bytes(), deadline, &bench.limits).await?;
            match ended.code {
                None => return fail(ended.fault.unwrap_or(Fault::Raised), &ended.said()),
                Some(0) => {}
                Some(code) => {
                    let (fault, why) = self.ended_with(id, code).await;
                    return fail(fault, &[ended.said(), why].concat());
                }
            }
            let printed = String::from_utf8_lossy(&ended.out);
            if let Some((line, right, came)) = difference(&stream.output, &printed) {
                return fail(Fault::Wrong, &format!("line {line}: expected {right}, got {came}"));
            }
        }
        Ok(Verdict::pass(count))
    }

    /// Gives a process its input and takes its output to the end.
    async fn finish(
        &self,
        mut process: Process,
        input: &[u8],
        deadline: Instant,
        limits: &Limits,
    ) -> Result<Ended, EngineError> {
        let most = (limits.output_mib as usize) << 20;
        let mut ended = Ended::default();
        match timeout_at(deadline, process.all(input, most)).await {
            Err(_) => ended.fault = Some(Fault::Time),
            Ok(Err(Stop::Output)) => ended.fault = Some(Fault::Output),
            Ok(Err(Stop::Engine(error))) => return Err(error),
            Ok(Ok(out)) => {
                ended.out = out;
                ended.code = Some(self.exit_code(&process).await?);
            }
        }
        ended.tail = process.tail();
        Ok(ended)
    }

    /// Why a process ended, and what there is to say where it said nothing. Nobody but the kernel kills one with 9, for its
    /// memory, unless the answer does so itself, and then it has mostly killed what keeps its container, too.
    async fn ended_with(&self, id: &str, code: i64) -> (Fault, String) {
        if code != 137 {
            return (Fault::Raised, String::new());
        }
        // The end of a container is known a moment later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        match self.state(id).await {
            Ok(state) if state.running => (Fault::Memory, String::new()),
            _ => (Fault::Raised, "it ended its own container".to_owned()),
        }
    }

    async fn exit_code(&self, process: &Process) -> Result<i64, EngineError> {
        let of = |error| EngineError::of("look how the answer's process ended", error);
        Ok(self.docker.inspect_exec(&process.exec).await.map_err(of)?.exit_code.unwrap_or(-1))
    }
}

/// How a process came to its end.
#[derive(Debug, Default)]
struct Ended {
    /// Absent where it was not waited for.
    code: Option<i64>,
    fault: Option<Fault>,
    out: Vec<u8>,
    /// The end of what it said on standard error.
    tail: String,
}

impl Ended {
    /// The last line that says something.
    fn said(&self) -> String {
        self.tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
    }
}

fn body(image: &str, limits: &Limits, lives: u64) -> ContainerCreateBody {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let bytes = i64::from(limits.memory_mib) << 20;
    let bound = |name: &str, value: i64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(value),
        hard: Some(value),
    };
    let files = limits.files_mib;
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: words(&["sleep"]),
        cmd: Some(vec![lives.to_string()]),
        user: Some(USER.to_owned()),
        working_dir: Some("/tmp".to_owned()),
        hostname: Some("sandbox".to_owned()),
        env: words(&["HOME=/tmp", "LANG=C.UTF-8", "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1"]),
        labels: Some(HashMap::from([(LABEL.to_owned(), "1".to_owned())])),
        host_config: Some(HostConfig {
            auto_remove: Some(true),
            network_mode: Some("none".to_owned()),
            // No memory that outlives its processes but the one below `/tmp`.
            ipc_mode: Some("none".to_owned()),
            cap_drop: words(&["ALL"]),
            security_opt: words(&["no-new-privileges"]),
            readonly_rootfs: Some(true),
            tmpfs: Some(HashMap::from([(
                "/tmp".to_owned(),
                format!("rw,noexec,nosuid,nodev,size={files}m,nr_inodes=4096,mode=1777"),
            )])),
            memory: Some(bytes),
            memory_swap: Some(bytes),
            nano_cpus: Some(1_000_000_000),
            pids_limit: Some(i64::from(limits.processes)),
            ulimits: Some(vec![
                bound("fsize", i64::from(files) << 20),
                bound("nofile", 256),
                bound("core", 0),
                // Deep recursion is no crime.
                bound("stack", 256 << 20),
            ]),
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            init: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::body;
    use crate::eval::Limits;

    #[test]
    fn nothing_is_left_open() {
        let limits = Limits { memory_mib: 256, processes: 9, files_mib: 8, ..Limits::default() };
        let body = body("image", &limits, 60);
        assert_eq!(body.user.as_deref(), Some("65534:65534"));
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!((host.memory, host.memory_swap), (Some(256 << 20), Some(256 << 20)));
        assert_eq!((host.pids_limit, host.readonly_rootfs), (Some(9), Some(true)));
        assert_eq!(host.cap_drop.as_deref(), Some(["ALL".to_owned()].as_slice()));
        assert_eq!((host.binds, host.mounts, host.devices), (None, None, None));
        assert!(host.tmpfs.unwrap()["/tmp"].contains("noexec,nosuid,nodev,size=8m"));
    }
}
