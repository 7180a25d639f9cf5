//! An attempt as the pure part takes it, and as the ledger keeps it.

use super::attempt::{Lost, Went};
use super::subject::Subject;
use crate::artifact::Digest;
use crate::bench::Spread;
use crate::command::{Failure, run_key};
use crate::gguf;
use crate::ledger::{
    Gguf, HOST, Key, Ledger, Llama, Memory, Outcome, Run, Source, Speed, Trial, What,
};
use crate::log::failure::Failure as Ended;
use crate::plan::service::Service;
use crate::tune::{Candidate, Figures, Observation};

/// What the pure part concludes from.
pub(super) fn observation(result: &Result<Went, Lost>, devices: &[String]) -> Observation {
    let lost = match result {
        Ok(went) => {
            return Observation::Good(Figures {
                free_mib: free(went, devices),
                decode_tps: speed(went.decode_tps),
                prompt_tps: speed(went.prompt_tps),
            });
        }
        Err(lost) => lost,
    };
    match &lost.failure {
        Failure::Server(Ended::GpuMemory { device, .. }) => {
            Observation::OutOfMemory { device: device.clone() }
        }
        Failure::Server(Ended::HostMemory { .. }) => Observation::HostMemory,
        _ => Observation::Failed { why: lost.sentence() },
    }
}

/// To three decimals: more is noise.
fn speed(tps: f64) -> Option<f64> {
    (tps.is_finite() && tps > 0.0).then(|| (tps * 1e3).round() / 1e3)
}

/// What each card had free: by llama-server's table where it has them all, else by the driver.
fn free(went: &Went, devices: &[String]) -> Vec<u64> {
    let of =
        |device: &String| went.rows.iter().find(|row| row.device == *device).map(|row| row.free);
    let table: Option<Vec<u64>> = devices.iter().map(of).collect();
    let driver = Some(&went.here).filter(|here| here.len() == devices.len());
    table.or(driver.cloned()).unwrap_or_default()
}

/// The model's files, as far as they are within reach.
pub(super) fn model(service: &Service) -> Result<Gguf, Failure> {
    let Some(path) = &service.model else { return Ok(Gguf::default()) };
    let files = gguf::open_files(path).map_err(|error| Failure::File(error.to_string()))?;
    let digest = gguf::digest(path, &files.parts);
    Ok(Gguf {
        file: path.file_name().map(str::to_owned),
        header: Some(digest.map_err(|error| Failure::File(error.to_string()))?),
        bytes: Some(files.parts.iter().map(|part| part.length.0).sum()),
    })
}

/// What all attempts of one run share.
pub(super) struct Recorder<'a> {
    pub(super) subject: &'a Subject,
    pub(super) task: Digest,
    pub(super) image: Option<Digest>,
    pub(super) gguf: Gguf,
    pub(super) driver: Option<String>,
}

impl Recorder<'_> {
    pub(super) fn run(
        &self,
        candidate: &Candidate,
        reason: &str,
        args: Vec<String>,
        result: &Result<Went, Lost>,
        observation: &Observation,
    ) -> Run {
        let (outcome, device, free_mib) = match observation {
            Observation::Good(figures) => (Outcome::Ok, None, figures.free_mib.clone()),
            Observation::OutOfMemory { device } => {
                (Outcome::OutOfMemory, device.clone(), Vec::new())
            }
            Observation::HostMemory => (Outcome::OutOfMemory, Some(HOST.to_owned()), Vec::new()),
            Observation::Failed { .. } => (Outcome::Failed, None, Vec::new()),
        };
        let went = result.as_ref().ok();
        let spread = |tps: f64| speed(tps).and_then(|tps| Spread::new(vec![tps]));
        let plan = self.plan(candidate, reason, args, free_mib);
        Run {
            key: Key {
                llama: went.and_then(|went| went.build.as_deref()).map(llama).unwrap_or_default(),
                ..plan.key.clone()
            },
            outcome,
            device,
            speeds: went
                .map(|went| Speed {
                    depth: Some(went.depth),
                    prompt: spread(went.prompt_tps),
                    decode: spread(went.decode_tps),
                    ..Speed::default()
                })
                .into_iter()
                .collect(),
            memory: Memory {
                vram_mib: went
                    .iter()
                    .flat_map(|went| &went.rows)
                    .map(|row| row.total.saturating_sub(row.free))
                    .collect(),
                ..Memory::default()
            },
            note: result.as_ref().err().map(Lost::sentence),
            ..plan
        }
    }

    /// What closes the tuning: the attempt again that turned out best, marked as that. `None` where the ledger says so
    /// already.
    pub(super) fn best(
        &self,
        ledger: &Ledger,
        candidate: &Candidate,
        reason: &str,
        args: Vec<String>,
    ) -> Option<Run> {
        let plan = self.plan(candidate, reason, args, Vec::new());
        let trial = |run: &Run| run.trial.clone().filter(|trial| trial.task == self.task);
        let same = |run: &Run| {
            let settings = plan.trial.as_ref().map(|trial| &trial.settings);
            run.layers == plan.layers
                && run.ctx_size == plan.ctx_size
                && trial(run).as_ref().map(|trial| &trial.settings) == settings
        };
        let mut runs = ledger.entries.iter().rev().map(|entry| &entry.run);
        let marked = |run: &&Run| trial(run).is_some_and(|trial| trial.best);
        if runs.clone().find(marked).is_some_and(same) {
            return None;
        }
        // Where another ledger has the attempt, the plan alone.
        let tried = runs.find(|run| run.outcome == Outcome::Ok && same(run)).cloned();
        let free_mib = tried.as_ref().and_then(trial).map(|trial| trial.free_mib);
        let own = plan.trial.clone()?;
        let trial = Trial { best: true, free_mib: free_mib.unwrap_or_default(), ..own };
        Some(Run { at: plan.at, trial: Some(trial), ..tried.unwrap_or(plan) })
    }

    /// What is known of a candidate before it runs.
    fn plan(
        &self,
        candidate: &Candidate,
        reason: &str,
        args: Vec<String>,
        free_mib: Vec<u64>,
    ) -> Run {
        let strategy = &self.subject.strategy;
        let gpus = strategy.host.iter().flat_map(|host| &host.gpus);
        let mut settings: std::collections::BTreeMap<String, String> =
            self.subject.bases().into_iter().map(|(key, base)| (key.to_owned(), base)).collect();
        settings.extend(candidate.settings.clone());
        Run {
            at: Some(run_key::now()),
            source: Source::Measured,
            by: format!("composegen {}", env!("CARGO_PKG_VERSION")),
            what: What::Attempt,
            key: Key {
                preset: Some(run_key::preset(strategy)),
                llama: Llama::default(),
                image: self.image.clone(),
                gguf: self.gguf.clone(),
                devices: gpus.map(|gpu| gpu.name.clone()).collect(),
                driver: self.driver.clone(),
            },
            args,
            layers: candidate.layers.clone(),
            ctx_size: Some(candidate.ctx_size),
            trial: Some(Trial {
                task: self.task.clone(),
                settings,
                reason: reason.to_owned(),
                free_mib,
                best: false,
            }),
            ..Run::default()
        }
    }
}

/// `b11434-c0ffee` as the server says it.
fn llama(info: &str) -> Llama {
    let (build, commit) = info.split_once('-').unwrap_or((info, ""));
    Llama {
        build: build.strip_prefix('b').and_then(|number| number.parse().ok()),
        commit: Some(commit.to_owned()).filter(|commit| !matches!(commit.as_str(), "" | "unknown")),
    }
}
