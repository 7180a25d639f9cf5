//! The way of questions to an image and of answers back.

use camino::Utf8Path;

use crate::command::{Failure, accepted, strategy};
use crate::engine::image::Image;
use crate::engine::interrupt::Interrupt;
use crate::engine::probe::Header;
use crate::engine::{Engine, run as block_on};
use crate::exit::Exit;
use crate::flags::Accepted;
use crate::gguf::{self, Model, Part};
use crate::probe::{Answer, Question};

/// An image, and the header of the model that it is asked about.
pub(in crate::command) struct Prober {
    image: String,
    headers: Vec<Header>,
}

/// Whom was asked, and what it said.
pub(in crate::command) struct Asked {
    pub(in crate::command) image: Image,
    pub(in crate::command) llama: Accepted,
    pub(in crate::command) answers: Vec<Answer>,
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
    pub(in crate::command) fn ask(&self, questions: &[Question]) -> Result<Asked, Failure> {
        block_on(async {
            let mut interrupt = Interrupt::new()?;
            let engine = strategy::engine().await?;
            let image = engine.image(&self.image).await?.ok_or_else(|| Failure::Usage {
                message: format!(
                    "the engine at {} has no image `{}`\nhelp: build it with `composegen build PRESET --image`, or \
                     only what a probe needs with `docker build --target probe`, and name that in --image",
                    engine.address, self.image
                ),
            })?;
            // Not under the interrupt: a container whose name nobody knows yet could not be removed.
            let id = engine.open_probe(&self.image, &self.headers).await?;
            let result = tokio::select! {
                () = interrupt.wait() => Err(Failure::Because {
                    exit: Exit::Interrupted,
                    message: "interrupted; the probe's container was removed".to_owned(),
                }),
                result = self.each(&engine, &id, questions) => result,
            };
            engine.remove(&id).await?;
            let (llama, answers) = result?;
            Ok(Asked { image, llama, answers })
        })?
    }

    /// What llama.cpp is, and what it answers; nothing is asked with a flag that it does not have.
    async fn each(
        &self,
        engine: &Engine,
        id: &str,
        questions: &[Question],
    ) -> Result<(Accepted, Vec<Answer>), Failure> {
        let llama = Accepted::read(&engine.list_flags(id).await?).unwrap_or_default();
        let mut answers = Vec::new();
        for question in questions {
            if llama != Accepted::default() {
                accepted::hold(&llama, question.args(), &self.image)?;
            }
            answers.push(engine.ask(id, question).await?);
        }
        Ok((llama, answers))
    }
}
