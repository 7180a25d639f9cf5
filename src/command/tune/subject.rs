//! What is tuned: a preset, its model and machine, and from them the task of the pure part.

use camino::{Utf8Path, Utf8PathBuf};

use super::also::{self, KEYS};
use crate::artifact::Digest;
use crate::check::check;
use crate::cli::Tune;
use crate::command::output::read_lock;
use crate::command::plan::{Own, PLACES};
use crate::command::{Failure, header, load, preset_path, report};
use crate::diagnostic::Severity;
use crate::gguf::Model;
use crate::hardware::Gpu;
use crate::lock;
use crate::plan::counted::{Counted, Way};
use crate::plan::image::Backend;
use crate::plan::memory::{EstimateError, Request};
use crate::preset::Preset;
use crate::preset::resolve::{Library, clean};
use crate::strategy::Strategy;
use crate::terminal::Terminal;
use crate::tune::{Candidate, Dimension, Start, Task};
use crate::units::Bytes;

/// Tokens to go down to: the seed's 256K, 192K, 128K, and on from there.
const CONTEXTS: [u64; 8] = [262_144, 196_608, 131_072, 65_536, 32_768, 16_384, 8192, 4096];

pub(super) struct Subject {
    /// The preset's file, and the directory that is written from it.
    pub(super) path: Utf8PathBuf,
    pub(super) out: Utf8PathBuf,
    pub(super) preset: Preset,
    pub(super) strategy: Strategy,
    /// The cards that there are to place layers on. None for a CPU.
    pub(super) gpus: Vec<Gpu>,
    /// Absent where neither layers nor a context without a number need it.
    model: Option<Model>,
    /// All that is asked of llama-server but the placement.
    request: Request,
    margin: Vec<Bytes>,
    pub(super) also: Vec<Dimension>,
}

/// A context that is left out, and why.
pub(super) struct LeftOut {
    pub(super) ctx_size: u64,
    pub(super) why: String,
}

impl Subject {
    pub(super) fn new(args: &Tune, terminal: &mut Terminal) -> Result<Self, Failure> {
        let usage = |message: String| Failure::Usage { message };
        let given = preset_path(&args.chosen.preset);
        let (path, out) = if given.join(lock::FILE).is_file() {
            let lock = read_lock(&given)?;
            let first = lock.and_then(|lock| lock.presets.first().cloned());
            (clean(&given.join(first.unwrap_or_default())), given)
        } else {
            let out = args.chosen.out.clone();
            let out = out.unwrap_or_else(|| crate::command::strategy::deploy(&given));
            (given, out)
        };
        let mut library = Library::new(&load);
        let resolved = library.resolve(&path).map_err(|e| Failure::File(e.to_string()))?;
        check(&resolved, None, &mut library.findings);
        // Where it goes on, compiling says the rest.
        if args.dry_run || library.findings.iter().any(|f| f.severity() == Severity::Error) {
            let deny = args.chosen.deny.deny.is_some();
            report(&library.findings, &library.sources, deny, terminal)?;
        }
        let strategy = Strategy::new(&resolved, None)
            .ok_or_else(|| usage("the preset names no model".to_owned()))?;
        let own = Own::of(&strategy, &resolved.preset).map_err(|e| usage(e.to_string()))?;
        for (key, given) in [
            ("pinned_tensor", resolved.preset.placement.pinned_tensor.is_some()),
            ("pinned_layers", resolved.preset.placement.pinned_layers.is_some()),
        ] {
            if given {
                return Err(usage(format!(
                    "`{path}` sets `placement.{key}`, and tuning moves layers by itself\nhelp: take it out for the search, \
                     or begin at a number of layers with `--layers`"
                )));
            }
        }
        let cuda = matches!(strategy.image.plan.backend, Backend::Cuda(_));
        let host = strategy.host.as_deref();
        if cuda && host.is_none() {
            return Err(usage(format!(
                "`{path}` names no `hardware`, and cards that are not described cannot be planned for\nhelp: `composegen \
                 hardware detect` describes this machine"
            )));
        }
        let gpus = host.filter(|_| cuda).map(|host| host.gpus.clone()).unwrap_or_default();
        let models = args.chosen.models.dir.as_deref();
        let places = header::places(&resolved, &strategy, &library.sources, &out, models);
        let model = match header::first(&places) {
            Ok((_, model)) => Some(model),
            // The CPU has no layers to place.
            Err(_) if gpus.is_empty() => None,
            Err(missing) => {
                return Err(Failure::File(format!(
                    "{missing}\nhelp: put the model into the models directory, or name its header in `model.header`"
                )));
            }
        };
        let margin = match args.margin.as_slice() {
            [] => own.kept(gpus.len()),
            [_, _, ..] if args.margin.len() != gpus.len() => {
                return Err(usage(format!(
                    "`--margin` has {} numbers, and there are {} cards\nhelp: give one for all cards, or one for each",
                    args.margin.len(),
                    gpus.len()
                )));
            }
            given => given.iter().map(|mib| Bytes::from_mib(*mib)).collect(),
        };
        let also = also::dimensions(&args.also, &strategy)?;
        Ok(Self {
            request: request(&strategy).map_err(|error| usage(error.to_string()))?,
            path,
            out,
            preset: resolved.preset.clone(),
            gpus,
            model,
            margin,
            also,
            strategy,
        })
    }

    /// The placements that can be tried, where there are cards.
    pub(super) fn counted(&self) -> Result<Option<Counted<'_>>, Failure> {
        let Some(model) = self.model.as_ref().filter(|_| !self.gpus.is_empty()) else {
            return Ok(None);
        };
        let front = !self.strategy.layers.is_empty();
        let counted = Counted::new(model, &self.gpus, &self.request, front, &self.margin)
            .map_err(|error| unplanned(&error))?;
        if front && counted.way != Way::Front {
            return Err(Failure::Usage {
                message: format!(
                    "`{}` counts `layers` with experts, and the model has none\nhelp: take `layers` out; whole blocks are \
                     moved then",
                    self.path
                ),
            });
        }
        Ok(Some(counted))
    }

    /// The context that the preset asks for.
    pub(super) fn ctx_size(&self) -> Result<u64, Failure> {
        let trained = self.model.as_ref().map(|model| model.context_length);
        let known = Some(self.request.ctx_size).filter(|tokens| *tokens > 0).or(trained);
        known.ok_or_else(|| Failure::Usage {
            message: format!(
                "`{}` sets no `ctx_size`, and the model's own is not known without its file",
                self.path
            ),
        })
    }

    /// The task, and the contexts that are no part of it. `key` stands for what cannot be known here.
    pub(super) fn task(
        &self,
        counted: Option<&Counted<'_>>,
        args: &Tune,
        key: String,
    ) -> Result<(Task, Vec<LeftOut>), Failure> {
        let own = self.ctx_size()?;
        if let Some(above) = args.contexts.iter().find(|tokens| **tokens > own) {
            return Err(Failure::Usage {
                message: format!(
                    "`--contexts` goes down from the preset's {own} tokens, and {above} is more\nhelp: set `ctx_size` in \
                     `{}` to begin there",
                    self.path
                ),
            });
        }
        if counted.is_none() && !args.layers.is_empty() {
            return Err(Failure::Usage {
                message: "`--layers` says what each card begins with, and there is no card"
                    .to_owned(),
            });
        }
        let mut contexts = vec![own];
        if args.contexts.is_empty() {
            contexts.extend(CONTEXTS.iter().filter(|tokens| **tokens < own));
        } else {
            contexts.extend(args.contexts.iter().filter(|tokens| **tokens != own));
        }
        let mut task = Task {
            key,
            devices: counted.map(|counted| counted.devices.clone()).unwrap_or_default(),
            blocks: counted.map_or(0, Counted::blocks),
            layer_mib: counted.map_or(1, Counted::layer_mib),
            most: counted.map(Counted::most).unwrap_or_default(),
            starts: Vec::new(),
            asked: !args.layers.is_empty(),
            also: self.also.clone(),
        };
        let mut left_out = Vec::new();
        for ctx_size in contexts {
            let layers = match counted {
                None => Some(Vec::new()),
                Some(counted) => self.start(counted, ctx_size, args)?,
            };
            match layers {
                Some(layers) => task.starts.push(Start { ctx_size, layers }),
                None => left_out.push(LeftOut {
                    ctx_size,
                    why: "without any layer, it already takes more of the cards than is free, by the estimate"
                        .to_owned(),
                }),
            }
        }
        if task.starts.is_empty() {
            return Err(Failure::Usage {
                message: "at no context is there room on the cards, by the estimate\nhelp: smaller ones can be named in \
                          --contexts; a quantized cache or a smaller `ubatch_size` takes less"
                    .to_owned(),
            });
        }
        Ok((task, left_out))
    }

    /// What to begin with at a context: a layer more on each card than leaves the margin free.
    fn start(
        &self,
        counted: &Counted<'_>,
        ctx_size: u64,
        args: &Tune,
    ) -> Result<Option<Vec<u32>>, Failure> {
        let cards = counted.devices.len();
        if !args.layers.is_empty() {
            if args.layers.len() != cards {
                return Err(Failure::Usage {
                    message: format!(
                        "`--layers` has {} numbers, and there are {cards} cards: {}",
                        args.layers.len(),
                        counted.devices.join(", ")
                    ),
                });
            }
            let most = counted.most();
            let each = args.layers.iter().zip(&most).zip(&counted.devices);
            if let Some(((count, most), name)) = { each }.find(|((count, most), _)| count > most) {
                return Err(Failure::Usage {
                    message: format!("`--layers` gives {name} {count}, and it can have {most}"),
                });
            }
            let (total, blocks) = (args.layers.iter().sum::<u32>(), counted.blocks());
            if total > blocks {
                return Err(Failure::Usage {
                    message: format!("`--layers` are {total} in all, and the model has {blocks}"),
                });
            }
            return Ok(Some(args.layers.clone()));
        }
        let fullest = counted.fullest(ctx_size, &self.margin).map_err(|error| unplanned(&error))?;
        if let Some(layers) = fullest {
            let mut left = counted.blocks();
            let beyond = |(count, most): (u32, u32)| {
                let count = (count + 1).min(most).min(left);
                left -= count;
                count
            };
            return Ok(Some(layers.into_iter().zip(counted.most()).map(beyond).collect()));
        }
        // Into the margin, then, without a layer.
        let none = vec![0; cards];
        let fits = counted.fits(&none, ctx_size, &[]).map_err(|error| unplanned(&error))?;
        Ok(fits.then_some(none))
    }

    /// Flags of llama-server whose words the candidates bring along.
    pub(super) fn moved(&self, counted: Option<&Counted<'_>>) -> Vec<&'static str> {
        let mut flags = vec!["--ctx-size"];
        if counted.is_some() {
            flags.extend(["--override-tensor", "--tensor-split", "--fit"]);
            if self.strategy.layers.is_empty() {
                flags.extend(PLACES);
            }
        }
        let tuned = KEYS.iter().filter(|(key, _)| self.also.iter().any(|known| known.key == *key));
        flags.extend(tuned.flat_map(|(_, flags)| *flags));
        flags.sort_unstable();
        flags.dedup();
        flags
    }

    /// A candidate as llama-server's words, all of them in flag and value.
    pub(super) fn words(
        &self,
        counted: Option<&Counted<'_>>,
        candidate: &Candidate,
    ) -> Vec<String> {
        let mut words = vec!["--ctx-size".to_owned(), candidate.ctx_size.to_string()];
        if let Some(counted) = counted {
            for (flag, word) in counted.flags(&candidate.layers) {
                words.extend([flag.long().to_owned(), word]);
            }
            words.extend(["--fit".to_owned(), "off".to_owned()]);
        }
        for (key, flags) in KEYS {
            let Some(value) = candidate.settings.get(key) else { continue };
            for flag in flags {
                words.extend([(*flag).to_owned(), value.clone()]);
            }
            if key == "ubatch_size" {
                words.extend(
                    self.batch(value)
                        .into_iter()
                        .flat_map(|batch| ["--batch-size".to_owned(), batch]),
                );
            }
        }
        words
    }

    /// The logical batch, where a physical one is larger than it.
    pub(super) fn batch(&self, ubatch: &str) -> Option<String> {
        let larger = ubatch.parse::<u64>().is_ok_and(|size| size > self.request.batch_size);
        larger.then(|| ubatch.to_owned())
    }

    /// The whole command line of a candidate, without the model.
    pub(super) fn args(&self, counted: Option<&Counted<'_>>, candidate: &Candidate) -> Vec<String> {
        let mut words = self.strategy.args_without(&self.moved(counted));
        words.extend(self.words(counted, candidate));
        words
    }

    /// Of all that stays the same for every candidate, whatever else is tuned: what `others` says, and the fixed flags.
    pub(super) fn digest(&self, counted: Option<&Counted<'_>>, others: &[String]) -> Digest {
        let mut fixed: Vec<&str> =
            vec!["--ctx-size", "--override-tensor", "--tensor-split", "--fit"];
        if self.strategy.layers.is_empty() {
            fixed.extend(PLACES);
        }
        fixed.extend(KEYS.iter().flat_map(|(_, flags)| *flags));
        let mut words = self.strategy.args_without(&fixed);
        if let Some(counted) = counted {
            words.push(format!("{:?} {:?} {:?}", counted.way, counted.devices, counted.split));
        }
        words.extend(others.iter().cloned());
        Digest::of(words.join("\0").as_bytes())
    }

    /// What the preset has of every key that could be tuned.
    pub(super) fn bases(&self) -> Vec<(&'static str, String)> {
        KEYS.iter().map(|(key, _)| (*key, also::base(&self.strategy, key))).collect()
    }

    pub(super) fn name(&self) -> &str {
        &self.strategy.name
    }

    /// Where a tuning is written down, to be taken up again.
    pub(super) fn state_file(&self) -> Utf8PathBuf {
        state_file(&self.out, self.name())
    }
}

fn state_file(out: &Utf8Path, name: &str) -> Utf8PathBuf {
    out.join(format!("{name}.tune.json"))
}

/// The strategy's flags without what tuning moves. A `-ts` stays: it is how the rest is split.
fn request(strategy: &Strategy) -> Result<Request, crate::plan::memory::RequestError> {
    let planned = ["--override-tensor"];
    let places: Vec<&str> = PLACES.into_iter().filter(|flag| *flag != "--tensor-split").collect();
    let left_out: &[&str] = if strategy.layers.is_empty() { &places } else { &planned };
    let mut request = Request::from_args(&strategy.args_without(left_out))?;
    request.profile.clone_from(&strategy.profile);
    Ok(request)
}

fn unplanned(error: &EstimateError) -> Failure {
    Failure::Usage { message: error.to_string() }
}
