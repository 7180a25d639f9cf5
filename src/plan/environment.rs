//! The `.env` of a strategy, and the knobs that its values go through.

use super::knob::{Knob, KnobKind};
use crate::preset::Preset;
use crate::quote::{Refused, shell::words};
use crate::strategy::{Setting, Strategy, env_name};

/// Flags that can be set from the environment whether a preset sets them or not.
pub const ALWAYS: &[&str] = &[
    "--ctx-size",
    "--cache-type-k",
    "--cache-type-v",
    "--flash-attn",
    "--context-shift",
    "--override-tensor",
    "--n-gpu-layers",
    "--split-mode",
    "--tensor-split",
    "--main-gpu",
    "--cpu-moe",
    "--n-cpu-moe",
    "--fit",
    "--load-mode",
    "--batch-size",
    "--ubatch-size",
    "--parallel",
    "--jinja",
];

/// One `.env` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The strategy's name; the file is `NAME.env`.
    pub name: String,
    /// What the strategy is, for the file's opening comment.
    pub about: Vec<String>,
    /// In the order in which they are written. Empty values are not: empty means unset.
    pub variables: Vec<(String, String)>,
}

impl Environment {
    pub fn new(strategy: &Strategy) -> Result<Self, Refused> {
        let mut variables = vec![
            ("STRATEGY".to_owned(), strategy.name.clone()),
            ("MODEL".to_owned(), strategy.model.clone()),
            ("PORT".to_owned(), strategy.port.to_string()),
            ("MODELS_DIR".to_owned(), strategy.container.models_dir.clone()),
            ("START_PERIOD".to_owned(), format!("{}s", strategy.container.start_period_s)),
            (
                "STOP_GRACE_PERIOD".to_owned(),
                format!("{}s", strategy.container.stop_grace_period_s),
            ),
        ];
        if let Some(file) = &strategy.container.api_key_file {
            // Compose takes a path without `./` for the name of something else.
            let path =
                if file.starts_with(['/', '.']) { file.clone() } else { format!("./{file}") };
            variables.push(("API_KEY_FILE".to_owned(), path));
        }
        variables.extend(
            strategy
                .settings
                .iter()
                .filter_map(|s| Some((s.env.clone(), s.env_value()?.to_owned()))),
        );
        if !strategy.extra_args.is_empty() {
            variables.push(("EXTRA_ARGS".to_owned(), words::join(&strategy.extra_args)?));
        }
        let label = strategy.label.as_ref().map(|label| format!(" {label}")).unwrap_or_default();
        let title = strategy.title.as_deref().unwrap_or(&strategy.name);
        let mut about = vec![format!("Strategy{label}: {title} ({})", strategy.status)];
        about.extend(strategy.reason.clone());
        Ok(Self { name: strategy.name.clone(), about, variables })
    }
}

/// One knob per flag that any of the strategies sets or that is always there, in the order of the preset's keys.
pub fn knobs(strategies: &[Strategy]) -> Vec<Knob> {
    let mut knobs = vec![Knob { env: "MODEL".to_owned(), kind: KnobKind::Model }];
    Preset::default().each(&mut |entry| {
        let Some(emit) = entry.key.emit else { return };
        let set = |s: &Strategy| s.settings.iter().any(|setting| setting.emit == emit);
        // An image with workers serves split models, whatever the presets that it was made for.
        let split = emit.on == "--rpc" && strategies.iter().any(|s| s.image.plan.rpc);
        if matches!(emit.on, "--model" | "--port")
            || !(split || ALWAYS.contains(&emit.on) || strategies.iter().any(set))
        {
            return;
        }
        let setting = Setting::new(
            entry.table,
            entry.key,
            emit,
            String::new(),
            crate::strategy::Origin::Default(""),
        );
        let (on, off) = (Some(emit.on.to_owned()), emit.off.map(str::to_owned));
        let kind = match (setting.boolean, setting.is_inverse()) {
            (false, _) => KnobKind::Value { flag: emit.on.to_owned() },
            (true, false) => KnobKind::Switch { on, off },
            (true, true) => KnobKind::Switch { on: off, off: on },
        };
        knobs.push(Knob { env: env_name(entry.key.name), kind });
    });
    knobs.push(Knob { env: "EXTRA_ARGS".to_owned(), kind: KnobKind::Words });
    knobs
}
