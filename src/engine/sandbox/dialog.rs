//! Tests that call what an answer defines: the tests in one container, the answer in another, and every call and result
//! carried between them from here. Only the tests' side is believed when it says how it ended, and no code of the answer
//! is on that side.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::process::{Process, Stop};
use super::{ANSWER, Bench, JUDGE, WIRE};
use crate::engine::{Engine, EngineError};
use crate::eval::{Fault, Tests, Verdict};

impl Engine {
    pub(super) async fn dialog(
        &self,
        testers: &str,
        answers: &str,
        bench: &Bench<'_>,
        program: &str,
        tests: &Tests,
    ) -> Result<Verdict, EngineError> {
        let python = |script: &str| format!("{WIRE}\n{script}");
        let (judge, answer) = (python(JUDGE), python(ANSWER));
        let mut judge = self.exec_process(testers, &["python3", "-B", "-I", "-c", &judge]).await?;
        let mut answer =
            self.exec_process(answers, &["python3", "-B", "-I", "-c", &answer]).await?;
        let count = tests.count();
        let most = (bench.limits.output_mib as usize) << 20;
        let limit = Duration::from_secs_f64(bench.limits.seconds);
        let mut test = None;
        let mut deadline = Instant::now() + limit;
        let program = json!({ "program": program }).to_string();
        let told = async {
            judge.say(job(tests).to_string().as_bytes()).await;
            answer.say(program.as_bytes()).await;
        };
        if timeout_at(deadline, told).await.is_err() {
            return Ok(Verdict::fail(Fault::Time, None, count, "it was not started in time"));
        }
        loop {
            let fail = |fault, detail: &str| Verdict::fail(fault, test, count, detail);
            let line = match heard(deadline, &mut judge, most).await? {
                Heard::Line(line) => line,
                Heard::Fault(fault) => return Ok(fail(fault, "")),
                // What came from the answer was too much for it.
                Heard::End => {
                    return Ok(fail(Fault::Memory, "the tests could not take what it returned"));
                }
            };
            let message: Value = serde_json::from_slice(&line).unwrap_or_default();
            if let Some(number) = message.get("test").and_then(Value::as_u64) {
                test = usize::try_from(number).ok();
                deadline = Instant::now() + limit;
                continue;
            }
            if message.get("done").is_some() {
                if test.map(|test| test + 1) == Some(count) {
                    return Ok(Verdict::pass(count));
                }
                return Ok(fail(Fault::Wrong, "the tests ended before the last of them"));
            }
            if let Some(fault) = message.get("fault").and_then(Value::as_str) {
                let fault = match fault {
                    "wrong" => Fault::Wrong,
                    _ => Fault::Raised,
                };
                let said = message.get("text").and_then(Value::as_str).unwrap_or_default();
                return Ok(fail(fault, said));
            }
            // At the start there is nothing to call: the answer says that it was loaded.
            let calls = message.get("op").and_then(Value::as_str) != Some("start");
            if calls && timeout_at(deadline, answer.say(&line)).await.is_err() {
                return Ok(fail(Fault::Time, ""));
            }
            let reply = match heard(deadline, &mut answer, most).await? {
                Heard::Line(reply) => reply,
                Heard::Fault(fault) => return Ok(fail(fault, "")),
                Heard::End => {
                    let code = self.exit_code(&answer).await?;
                    let tail = answer.tail();
                    let said = tail.lines().rev().find(|line| !line.trim().is_empty());
                    let said = said.map_or_else(
                        || format!("its process ended with code {code}"),
                        str::to_owned,
                    );
                    let (fault, why) = self.ended_with(answers, code).await;
                    return Ok(fail(fault, if why.is_empty() { &said } else { &why }));
                }
            };
            if timeout_at(deadline, judge.say(&reply)).await.is_err() {
                return Ok(fail(Fault::Time, ""));
            }
        }
    }
}

enum Heard {
    Line(Vec<u8>),
    End,
    Fault(Fault),
}

async fn heard(
    deadline: Instant,
    process: &mut Process,
    most: usize,
) -> Result<Heard, EngineError> {
    Ok(match timeout_at(deadline, process.line(most)).await {
        Err(_) => Heard::Fault(Fault::Time),
        Ok(Err(Stop::Output)) => Heard::Fault(Fault::Output),
        Ok(Err(Stop::Engine(error))) => return Err(error),
        Ok(Ok(Some(line))) => Heard::Line(line),
        Ok(Ok(None)) => Heard::End,
    })
}

/// What the tests' side is told.
fn job(tests: &Tests) -> Value {
    match tests {
        Tests::Code(code) => json!({
            "setup": code.setup, "tests": code.tests, "names": code.names, "alias": code.alias,
        }),
        Tests::Calls(calls) => {
            let case =
                |case: &crate::eval::Case| json!({ "args": case.args, "result": case.result });
            json!({ "function": calls.function, "cases": calls.cases.iter().map(case).collect::<Vec<_>>() })
        }
        // Programs have no dialog.
        Tests::Streams(_) => Value::Null,
    }
}
