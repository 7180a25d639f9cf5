//! The servers that are asked: where each is, what is known of it, and what of that shapes its answers.

use std::time::Duration;

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use crate::cli;
use crate::command::checked::{Checked, checked};
use crate::command::strategy::deploy;
use crate::command::{Failure, api_key, preset_path, run_key};
use crate::server::{About, Server};
use crate::terminal::Terminal;

/// Where a server is, or will be.
pub(super) struct Place {
    pub(super) url: String,
    pub(super) preset: Option<Utf8PathBuf>,
    strategy: Option<Known>,
}

/// What is taken from a strategy. It is not handed on itself: threads share this.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) key: crate::ledger::PresetKey,
    pub(super) args: Vec<String>,
    pub(super) layers: Vec<u32>,
    pub(super) ctx_size: Option<u64>,
    file: String,
}

pub(super) struct Target {
    pub(super) server: Server,
    pub(super) about: About,
    /// In requests.
    pub(super) model: String,
    pub(super) known: Option<Known>,
    url: String,
}

pub(super) fn places(args: &cli::Eval, terminal: &mut Terminal) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for preset in &args.presets {
        let path = preset_path(preset);
        // What was planned for it is part of what runs.
        let Checked { strategy, .. } = checked(preset, Some(&deploy(&path)), terminal)?;
        let known = Known {
            key: run_key::preset(&strategy),
            args: strategy.args_without(&[]),
            layers: strategy.layers.clone(),
            ctx_size: strategy.word("--ctx-size").and_then(|word| word.parse().ok()),
            file: strategy.model.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        let url = format!("http://127.0.0.1:{}", strategy.port);
        places.push(Place { url, preset: Some(path), strategy: Some(known) });
    }
    let usage = |message: String| Err(Failure::Usage { message });
    match (args.url.len(), places.len()) {
        (0, _) => {}
        (_, 0) => {
            places = args
                .url
                .iter()
                .map(|url| Place { url: url.clone(), preset: None, strategy: None })
                .collect();
        }
        (urls, presets) if urls == presets => {
            for (place, url) in places.iter_mut().zip(&args.url) {
                place.url.clone_from(url);
            }
        }
        _ => return usage("give one `--url` for each preset, or none".to_owned()),
    }
    if !args.up {
        let twice = places
            .iter()
            .enumerate()
            .find(|(i, place)| places.iter().take(*i).any(|other| other.url == place.url));
        if let Some((_, place)) = twice {
            return usage(format!(
                "two of them would be the server at {}: start and stop each with `--up`, or give each its address with \
                 `--url`",
                place.url
            ));
        }
    }
    Ok(places)
}

impl Target {
    pub(super) fn new(args: &cli::Eval, place: &Place) -> Result<Self, Failure> {
        let key = args.api_key_file.as_deref().map(api_key).transpose()?;
        let server = Server::new(&place.url, key, Duration::from_secs(args.timeout))?;
        let about = server.about()?;
        let Some(model) = args.model.clone().or_else(|| about.models.first().cloned()) else {
            return Err(Failure::Usage {
                message: format!("{} lists no models: name one with `--model`", server.url()),
            });
        };
        Ok(Self {
            url: server.url().to_owned(),
            server,
            about,
            model,
            known: place.strategy.clone(),
        })
    }

    /// Where the server is not what the preset says. The ledger would keep it under the preset's name.
    pub(super) fn notes(&self) -> Vec<String> {
        let served = self.about.props.as_ref().map(crate::server::Props::model_file);
        let other = self.known.as_ref().zip(served).filter(|(known, served)| known.file != *served);
        let note = |(known, served): (&Known, &str)| {
            format!("it serves `{served}`, and `{}` names `{}`", known.key.name, known.file)
        };
        other.map(note).into_iter().collect()
    }

    /// All that is known to shape its answers. A server that says nothing of itself is told by its address.
    pub(super) fn shape(&self) -> Value {
        let digest = self.known.as_ref().and_then(|known| known.key.digest.as_ref());
        let url = self.about.props.is_none().then_some(&self.url);
        json!({
            "model": self.model,
            "shape": self.about.shape,
            "preset": digest.map(crate::artifact::Digest::as_str),
            "url": url,
        })
    }

    pub(super) fn slots(&self) -> u64 {
        self.about.props.as_ref().map_or(1, |props| props.slots).max(1)
    }
}
