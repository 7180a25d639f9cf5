//! A strategy's flags beside those that its image's llama-server accepts. An image is asked once: the answer is kept in
//! the output directory.

use camino::Utf8Path;

use super::{Failure, load};
use crate::engine::Engine;
use crate::engine::image::Image;
use crate::engine::interrupt::Interrupt;
use crate::exit::Exit;
use crate::flags::{self, Accepted, Lacking};
use crate::plan::service::Service;
use crate::quote::shell::words;
use crate::store;
use crate::strategy::Strategy;

/// In the output directory. Whoever removes it costs the next start half a second.
const KEPT: &str = ".llama-flags";

/// llama-server's words as the container's environment will make them. What the shell empties is not passed on.
pub(super) fn words_of(strategy: &Strategy, service: &Service) -> Vec<String> {
    let value = |name: &str| {
        let lines = service.environment.iter();
        lines.filter_map(|line| line.split_once('=')).find(|(known, _)| *known == name)
    };
    let emptied: Vec<&str> = strategy
        .settings
        .iter()
        .filter(|setting| value(&setting.env).is_some_and(|(_, value)| value.is_empty()))
        .map(|setting| setting.emit.on)
        .collect();
    let bare = Strategy { extra_args: Vec::new(), ..strategy.clone() };
    let mut all = ["--model", "", "--host", "", "--port", ""].map(str::to_owned).to_vec();
    if strategy.container.api_key_file.is_some() {
        all.extend(["--api-key-file", ""].map(str::to_owned));
    }
    all.extend(bare.args_without(&emptied));
    // The entrypoint says so where a quote does not close.
    all.extend(
        value("EXTRA_ARGS").and_then(|(_, text)| words::split(text).ok()).unwrap_or_default(),
    );
    all
}

/// What the image's llama-server accepts; absent where what it says is no help. `out` is the output directory.
pub(super) async fn of_image(
    engine: &Engine,
    image: &Image,
    out: &Utf8Path,
    interrupt: &mut Interrupt,
) -> Result<Option<Accepted>, Failure> {
    let file = out.join(KEPT);
    let head = format!("image {}\n", image.id);
    let kept = load(&file).ok();
    let kept = kept.as_ref().and_then(|text| text.strip_prefix(&head)).map(str::parse);
    if let Some(Ok(accepted)) = kept {
        return Ok(Some(accepted));
    }
    // Not under the interrupt: a container whose name nobody knows yet could not be removed.
    let id = engine.open_probe(&image.id, &[]).await?;
    let said = tokio::select! {
        () = interrupt.wait() => Err(Failure::Because {
            exit: Exit::Interrupted,
            message: "interrupted; nothing was started".to_owned(),
        }),
        said = engine.list_flags(&id) => said.map_err(Failure::from),
    };
    engine.remove(&id).await?;
    let accepted = Accepted::read(&said?);
    if let (Some(accepted), true) = (&accepted, out.is_dir()) {
        // A cache: where it cannot be written, the image is asked again.
        let _ = store::single(&file, &format!("{head}{accepted}"), true);
    }
    Ok(accepted)
}

/// Refuses flags that the build does not have.
pub(super) fn hold(accepted: &Accepted, words: &[String], image: &str) -> Result<(), Failure> {
    let lacking = accepted.lacking(words);
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Failure::Because {
        exit: Exit::Flag,
        message: format!(
            "the image `{image}` has llama.cpp {}, whose llama-server does not take {}\nhelp: {}",
            accepted.name(),
            lacking.iter().map(say).collect::<Vec<_>>().join(", "),
            way_out(&lacking)
        ),
    })
}

/// `--load-mode` (b11434 has it).
fn say(lacking: &Lacking) -> String {
    let Lacking { spelling, known, removed, nearest } = lacking;
    match (known, removed, nearest) {
        (true, ..) => format!("`{spelling}` ({} has it)", flags::BUILD),
        (false, Some(removed), _) => format!("`{spelling}` (it is gone: {removed})"),
        (false, None, Some(nearest)) => format!("`{spelling}` (did you mean `{nearest}`?)"),
        (false, None, None) => format!("`{spelling}` ({} has no such flag either)", flags::BUILD),
    }
}

fn way_out(lacking: &[Lacking]) -> String {
    if lacking.iter().all(|one| one.known) {
        format!(
            "build llama.cpp {} or a later one: `composegen update PRESET`, then `composegen build PRESET --image`",
            flags::BUILD
        )
    } else {
        "correct the preset's key or `extra_args`; `composegen run PRESET -- llama-server --help` lists what this \
         build takes"
            .to_owned()
    }
}
