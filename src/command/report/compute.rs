//! What a strategy's header and flags amount to: memory per device, and the predicted speed.

use camino::Utf8Path;

use super::gather::Place;
use crate::command::calibration;
use crate::command::header::{self, Missing};
use crate::command::output::read_lock;
use crate::command::plan::{Case, Own};
use crate::diagnostic::Sources;
use crate::plan::memory::{Prepared, Request};
use crate::plan::placement::place;
use crate::plan::speed::{of_trial, predict};
use crate::preset::resolve::Resolved;
use crate::preset::value;
use crate::report::Predicted;
use crate::strategy::Strategy;

pub(super) struct Computed {
    /// Weights, cache and compute buffer per GPU, MiB.
    pub(super) devices: Vec<[f64; 3]>,
    pub(super) how: String,
    pub(super) predicted: Predicted,
}

/// The reason where it cannot be computed.
pub(super) fn compute(
    resolved: &Resolved,
    strategy: &Strategy,
    sources: &Sources,
    at: &Place<'_>,
) -> Result<Computed, String> {
    let host = strategy.host.as_deref().ok_or("the preset names no machine")?;
    let out = Utf8Path::new("deploy").join(&strategy.name);
    let paths = header::places(resolved, strategy, sources, &out, at.models);
    // Where it was looked for is this machine's business, and the page is not to differ by it.
    let file = &strategy.model;
    let (path, model) = header::first(&paths).map_err(|missing| match missing {
        Missing::Nowhere(_) => format!("no header of {file} at hand"),
        Missing::Part(_) => format!("a part of {file} is missing"),
        Missing::Unreadable(_) => format!("the header of {file} cannot be read"),
    })?;
    let auto = value(&resolved.preset.placement.auto) == Some(&true);
    let lock = if auto { read_lock(&out).ok().flatten() } else { None };
    let locked = lock.as_ref().and_then(|lock| lock.placements.get(&strategy.name));
    let profile = strategy.profile.clone().or_else(|| at.profile.cloned());
    let (request, words, how) = if auto && locked.is_none() {
        let mut own = Own::of(strategy, &resolved.preset).map_err(|error| error.to_string())?;
        own.set_profile(profile);
        let case = Case::of(own, model.clone(), host.clone());
        let found = place(&case.own_task()).map_err(|error| error.to_string())?;
        (found.request, None, "planned from the header")
    } else {
        let strategy = Strategy::new(resolved, locked).ok_or("the preset names no model")?;
        let args = strategy.args_without(&["--fit"]);
        let mut request = Request::from_args(&args).map_err(|error| error.to_string())?;
        request.profile = profile;
        let how = match locked {
            Some(_) => "computed from the header with the locked placement",
            None => "computed from the header",
        };
        (request, Some(args), how)
    };
    let mut how = how.to_owned();
    if let Some(profile) = &request.profile {
        how = format!("{how}, with the buffers of profile {}", profile.name);
    }
    let prepared =
        Prepared::new(&model, &host.gpus, &request).map_err(|error| error.to_string())?;
    let trial = prepared.requested().map_err(|error| error.to_string())?;
    let found = prepared.estimate(&trial).map_err(|error| error.to_string())?;
    if let Some(words) = &words {
        let gpus = host.gpus.as_slice();
        let subject = calibration::Subject { file: &path, model: &model, gpus, words, image: None };
        // A probe that cannot be looked up is one that is not there.
        if let Ok(Some(probed)) = calibration::find(at.ledger, &subject, &found) {
            how = format!("{how}; {}", probed.line());
        }
    }
    let used: Vec<_> = prepared.gpus().iter().filter_map(|i| host.gpus.get(*i)).collect();
    let assumed =
        host.ram.bandwidth_gbs.is_none() || used.iter().any(|gpu| gpu.bandwidth_gbs.is_none());
    let (rates, traffic) = of_trial(&model, host, &request, &prepared, &trial);
    let speed = predict(&rates, &traffic, &request, assumed);
    Ok(Computed {
        devices: found
            .devices
            .iter()
            .map(|device| [device.model.mib(), device.context.mib(), device.compute.mib()])
            .collect(),
        how,
        predicted: Predicted {
            decode_tps: speed.decode_tps,
            error: speed.error,
            prompt_tps: speed.prompt_tps,
            prompt_error: speed.prompt_error,
            assumed: speed.assumed,
        },
    })
}
