//! The way of questions to an image and of answers back.

use camino::Utf8Path;

use crate::command::{Failure, strategy};
use crate::engine::interrupt::Interrupt;
use crate::engine::probe::Header;
use crate::engine::{Engine, run as block_on};
use crate::exit::Exit;
use crate::gguf::{self, Model, Part};
use crate::probe::{Answer, Question};

/// An image, and the header of the model that it is asked about.
pub(in crate::command) struct Prober {
    image: String,
    headers: Vec<Header>,
}

impl Prober {
    /// Reads what stands before the tensors' data; nothing else of the model is needed.
    pub(in crate::command) fn new(
        image: &str,
        file: &Utf8Path,
        model: &Model,
    ) -> Result<Self, Failure> {
        let header = |part: &Part| {
            let bytes = gguf::header_bytes(file, part)?;
            Ok::<_, std::io::Error>(Header { name: part.name.clone(), bytes })
        };
        let headers = model.parts.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Self { image: image.to_owned(), headers })
    }

    /// All questions, one after the other, in one container, which is gone afterwards however this ends.
    pub(in crate::command) fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>, Failure> {
        block_on(async {
            let mut interrupt = Interrupt::new()?;
            let engine = strategy::engine().await?;
            if engine.image(&self.image).await?.is_none() {
                return Err(Failure::Usage {
                    message: format!(
                        "the engine at {} has no image `{}`\nhelp: build it with `composegen build PRESET --image`, or \
                         only what a probe needs with `docker build --target probe`, and name that in --image",
                        engine.address, self.image
                    ),
                });
            }
            // Not under the interrupt: a container whose name nobody knows yet could not be removed.
            let id = engine.open_probe(&self.image, &self.headers).await?;
            let result = tokio::select! {
                () = interrupt.wait() => Err(Failure::Because {
                    exit: Exit::Interrupted,
                    message: "interrupted; the probe's container was removed".to_owned(),
                }),
                result = each(&engine, &id, questions) => result,
            };
            engine.remove(&id).await?;
            result
        })?
    }
}

async fn each(engine: &Engine, id: &str, questions: &[Question]) -> Result<Vec<Answer>, Failure> {
    let mut answers = Vec::new();
    for question in questions {
        answers.push(engine.ask(id, question).await?);
    }
    Ok(answers)
}
