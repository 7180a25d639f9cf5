//! A build's steps as BuildKit reports them, folded into what is worth telling. BuildKit sends each step several
//! times, whenever something about it has changed.

use std::collections::HashMap;

/// A step as it was reported last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    pub digest: String,
    /// `[build 3/4] RUN ...`, `[internal] load build context`.
    pub name: String,
    pub cached: bool,
    /// Seconds on some clock.
    pub started: Option<f64>,
    pub completed: Option<f64>,
    pub error: String,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Started {
        name: String,
    },
    Cached {
        name: String,
    },
    Done {
        name: String,
        seconds: f64,
    },
    /// Of all compile steps, in a hundred.
    Compiled {
        percent: u32,
    },
    Failed {
        name: String,
        output: Vec<String>,
    },
}

/// Lines of each step that are kept for the case that it fails.
const KEPT: usize = 2000;

#[derive(Debug, Default)]
pub struct Progress {
    steps: HashMap<String, State>,
    compiled: u32,
    pub cached: usize,
    pub done: usize,
}

#[derive(Debug, Default)]
struct State {
    name: String,
    started: bool,
    ended: bool,
    lines: Vec<String>,
    open: String,
}

impl Progress {
    pub fn step(&mut self, step: &Step) -> Option<Event> {
        let state = self.steps.entry(step.digest.clone()).or_default();
        state.name.clone_from(&step.name);
        // What BuildKit does for itself.
        let ours = !step.name.starts_with("[internal]") && !step.name.starts_with("exporting");
        if !step.error.is_empty() && !state.ended {
            state.ended = true;
            // A step that was given up since another failed is no news.
            if step.error.contains("context canceled") {
                return None;
            }
            let mut output = std::mem::take(&mut state.lines);
            output.extend((!state.open.is_empty()).then(|| state.open.clone()));
            return Some(Event::Failed { name: step.name.clone(), output });
        }
        let name = || one_line(&step.name);
        match (step.started, step.completed) {
            (started, Some(completed)) if !state.ended => {
                state.ended = true;
                if step.cached {
                    self.cached += usize::from(ours);
                    return ours.then(|| Event::Cached { name: name() });
                }
                self.done += usize::from(ours);
                let seconds = started.map_or(0.0, |started| completed - started);
                ours.then(|| Event::Done { name: name(), seconds })
            }
            (Some(_), None) if !state.started && !state.ended => {
                state.started = true;
                ours.then(|| Event::Started { name: name() })
            }
            _ => None,
        }
    }

    /// A piece of a step's output.
    pub fn output(&mut self, digest: &str, piece: &str) -> Option<Event> {
        let state = self.steps.entry(digest.to_owned()).or_default();
        state.open.push_str(piece);
        let mut event = None;
        while let Some(end) = state.open.find('\n') {
            let rest = state.open.split_off(end + 1);
            let line = std::mem::replace(&mut state.open, rest);
            let line = line.trim_end().to_owned();
            if let Some(percent) = percent(&line) {
                // Tens are enough to see that it goes on.
                if percent / 10 > self.compiled / 10 {
                    event = Some(Event::Compiled { percent: percent / 10 * 10 });
                }
                self.compiled = percent;
            }
            state.lines.push(line);
        }
        let surplus = state.lines.len().saturating_sub(KEPT);
        state.lines.drain(..surplus);
        event
    }
}

/// Ninja's `[12/216] Building CXX object ...`.
fn percent(line: &str) -> Option<u32> {
    let (done, all) = line.strip_prefix('[')?.split_once(']')?.0.split_once('/')?;
    let (done, all): (u32, u32) = (done.parse().ok()?, all.parse().ok()?);
    // A handful of steps is over before anybody reads about them.
    (all >= 50 && done <= all).then(|| done * 100 / all)
}

/// The first line of a step; a RUN of ours may have fifty.
fn one_line(name: &str) -> String {
    let mut words = name.split_whitespace();
    let mut line = String::new();
    let mut cut = false;
    for word in words.by_ref() {
        if line.len() + word.len() > 96 {
            cut = true;
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if cut { format!("{line} ...") } else { line }
}

/// The part of a failed step's output that tells why: the compiler's errors with their places, else the end.
pub fn telling(output: &[String]) -> Vec<&str> {
    const AROUND: usize = 12;
    let error = |line: &String| {
        line.contains("error:")
            || line.contains("fatal:")
            || line.starts_with("FAILED:")
            || line.starts_with("composegen: ")
            || line.starts_with("CMake Error")
    };
    let first = output.iter().position(error);
    let (from, count) = match first {
        Some(at) => (at.saturating_sub(3), 40),
        None => (output.len().saturating_sub(AROUND * 2), AROUND * 2),
    };
    output.iter().skip(from).take(count).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::{Event, Progress, Step, telling};

    fn step(name: &str, started: Option<f64>, completed: Option<f64>) -> Step {
        Step {
            digest: name.to_owned(),
            name: name.to_owned(),
            started,
            completed,
            ..Step::default()
        }
    }

    #[test]
    fn each_step_is_told_once() {
        let mut progress = Progress::default();
        let name = "[build 2/2] RUN set -eu;\n  make".to_owned();
        let told = "[build 2/2] RUN set -eu; make".to_owned();
        assert_eq!(progress.step(&step(&name, None, None)), None);
        let started = Some(Event::Started { name: told.clone() });
        assert_eq!(progress.step(&step(&name, Some(1.0), None)), started);
        assert_eq!(progress.step(&step(&name, Some(1.0), None)), None);
        let done = Some(Event::Done { name: told, seconds: 2.5 });
        assert_eq!(progress.step(&step(&name, Some(1.0), Some(3.5))), done);
        assert_eq!(progress.step(&step(&name, Some(1.0), Some(3.5))), None);
        let cached = Step { cached: true, ..step("[a 1/1] FROM x", Some(0.0), Some(0.0)) };
        let event = Some(Event::Cached { name: "[a 1/1] FROM x".to_owned() });
        assert_eq!(progress.step(&cached), event);
        let internal = step("[internal] load build context", Some(0.0), Some(0.0));
        assert_eq!(progress.step(&internal), None);
        assert_eq!((progress.cached, progress.done), (1, 1));
    }

    #[test]
    fn a_failure_comes_with_its_output() {
        let mut progress = Progress::default();
        let name = "[build 1/1] RUN ninja";
        progress.step(&step(name, Some(0.0), None));
        let mut tens = Vec::new();
        for n in 1..=200 {
            let line = format!("[{n}/200] Building CXX object x.o\n");
            let (a, b) = line.split_at(5);
            tens.extend(progress.output(name, a));
            tens.extend(progress.output(name, b));
        }
        assert_eq!(tens.len(), 10);
        assert_eq!(tens.first(), Some(&Event::Compiled { percent: 10 }));
        progress.output(name, "x.cpp:3:1: error: expected ';'\nninja: build stopped");
        let failed = Step { error: "exit code: 1".to_owned(), ..step(name, Some(0.0), Some(1.0)) };
        let Some(Event::Failed { output, .. }) = progress.step(&failed) else { panic!() };
        let telling = telling(&output);
        assert_eq!(telling.len(), 5, "{telling:?}");
        assert!(telling.contains(&"x.cpp:3:1: error: expected ';'"));
        assert_eq!(telling.last(), Some(&"ninja: build stopped"));
        let other = Step { error: "context canceled".to_owned(), ..step("b", Some(0.0), None) };
        assert_eq!(progress.step(&other), None);
    }
}
