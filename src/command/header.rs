//! Where the header of a preset's model may be: in the file that `model.header` names, else where the model itself lies.

use std::error::Error as _;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::Failure;
use super::checked::Checked;
use super::machine::whole;
use crate::diagnostic::Sources;
use crate::gguf::{self, Model, OpenError};
use crate::preset::resolve::{Resolved, clean};
use crate::strategy::Strategy;

/// Why there is no header to read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    /// Nothing is there.
    #[error("there is no model's header at `{}`", .0.iter().map(|p| p.as_str()).collect::<Vec<_>>().join("` or `"))]
    Nowhere(Vec<Utf8PathBuf>),
    /// A part of a split model is not there, as while it is being downloaded.
    #[error("{0}")]
    Part(String),
    /// Something is there and no header.
    #[error("{0}")]
    Unreadable(String),
}

/// In the order in which they are looked at. `out` is the output directory, `models` what the command line says.
pub(super) fn places(
    resolved: &Resolved,
    strategy: &Strategy,
    sources: &Sources,
    out: &Utf8Path,
    models: Option<&Utf8Path>,
) -> Vec<Utf8PathBuf> {
    if let Some(path) = declared(resolved, sources) {
        return vec![path];
    }
    // An absolute path is one inside the container.
    let file = strategy.model.strip_prefix("/models/").unwrap_or(&strategy.model);
    if file.starts_with('/') {
        return Vec::new();
    }
    let dir = Utf8Path::new(&strategy.container.models_dir);
    // Empty means unset, as everywhere.
    let dirs = match models.filter(|dir| !dir.as_str().is_empty()) {
        Some(models) => vec![models.to_owned()],
        None => vec![out.join(dir), dir.to_owned()],
    };
    let mut places: Vec<Utf8PathBuf> = dirs.iter().map(|dir| clean(&dir.join(file))).collect();
    places.dedup();
    places
}

/// The file that `model.header` names, beside the preset that says so.
pub(super) fn declared(resolved: &Resolved, sources: &Sources) -> Option<Utf8PathBuf> {
    let set = resolved.preset.model.header.as_ref()?;
    let says = sources.get(set.at.file).and_then(|source| source.path.parent());
    Some(clean(&says.unwrap_or(Utf8Path::new("")).join(&set.value)))
}

/// The first that is there, read.
pub(super) fn first(places: &[Utf8PathBuf]) -> Result<(Utf8PathBuf, Model), Missing> {
    for path in places {
        match gguf::open(path) {
            Ok(model) => {
                whole(&model, path).map_err(Missing::Part)?;
                return Ok((path.clone(), model));
            }
            Err(OpenError::File(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(OpenError::FirstPart { .. }) => {}
            Err(error) => return Err(Missing::Unreadable(said(&error))),
        }
    }
    Err(Missing::Nowhere(places.to_vec()))
}

/// The header of a preset that was checked, for commands that take the file by `--model` instead.
pub(super) fn of(
    read: &Checked,
    out: &Utf8Path,
    models: Option<&Utf8Path>,
) -> Result<(Utf8PathBuf, Model), Failure> {
    let places = places(&read.resolved, &read.strategy, &read.sources, out, models);
    first(&places)
        .map_err(|missing| Failure::File(format!("{missing}; name the model's file in --model")))
}

/// An error with its cause.
pub(super) fn said(error: &OpenError) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
