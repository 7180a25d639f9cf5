//! A container's output as lines.

mod lines;

use std::pin::Pin;

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt as _, stream};

use super::{Engine, EngineError};

pub use lines::Lines;

/// Output of several containers.
pub struct Outputs<'a> {
    stream: Pin<Box<dyn Stream<Item = (usize, Vec<String>)> + 'a>>,
}

impl Outputs<'_> {
    /// The next lines, with the number of the container that they are from; `None` when all have ended.
    pub async fn next(&mut self) -> Option<(usize, Vec<String>)> {
        self.stream.next().await
    }
}

/// Output as it arrives.
pub struct Output {
    stream: Pin<
        Box<
            dyn Stream<Item = Result<bollard::container::LogOutput, bollard::errors::Error>> + Send,
        >,
    >,
    lines: Lines,
}

impl Output {
    /// The next lines; `None` at the end of the output, when the container has ended or the engine went away.
    pub async fn next(&mut self) -> Option<Vec<String>> {
        loop {
            let Some(Ok(piece)) = self.stream.next().await else {
                // A last line without an end, then the end.
                return self.lines.rest().map(|line| vec![line]);
            };
            let lines = self.lines.take(&piece.into_bytes());
            if !lines.is_empty() {
                return Some(lines);
            }
        }
    }
}

impl Engine {
    /// From the start, or the last so many lines; with `follow`, until the container ends.
    pub fn logs(&self, id: &str, tail: Option<u32>, follow: bool) -> Output {
        let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options =
            LogsOptionsBuilder::new().stdout(true).stderr(true).follow(follow).tail(&tail).build();
        Output { stream: Box::pin(self.docker.logs(id, Some(options))), lines: Lines::default() }
    }

    /// Those of several containers: one after the other, or with `follow` as they come.
    pub fn logs_of(&self, ids: &[String], tail: Option<u32>, follow: bool) -> Outputs<'_> {
        let ids: Vec<String> = ids.to_vec();
        let streams = ids.into_iter().enumerate().map(move |(number, id)| {
            let pieces = stream::unfold(self.logs(&id, tail, follow), |mut output| async {
                output.next().await.map(|lines| (lines, output))
            });
            pieces.map(move |lines| (number, lines)).boxed_local()
        });
        let stream: Pin<Box<dyn Stream<Item = _>>> = if follow {
            Box::pin(stream::select_all(streams))
        } else {
            Box::pin(stream::iter(streams).flatten())
        };
        Outputs { stream }
    }

    /// The last lines, as they are now.
    pub async fn last_lines(&self, id: &str, count: u32) -> Result<Vec<String>, EngineError> {
        let mut output = self.logs(id, Some(count), false);
        let mut all = Vec::new();
        while let Some(lines) = output.next().await {
            all.extend(lines);
        }
        Ok(all)
    }
}
