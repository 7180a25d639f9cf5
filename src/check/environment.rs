//! `container.environment`: of a name that is set twice the last value counts, and these come last. So what the plan sets
//! itself, and what llama-server reads beside its arguments, is not to be set here, past all that is checked and planned.

use super::Subject;
use crate::diagnostic::{Code, Diagnostic};
use crate::flags;
use crate::plan::environment::ALWAYS;
use crate::preset::key_of;
use crate::strategy::env_name;

pub(super) fn check(subject: &mut Subject<'_>) {
    let Some(set) = &subject.preset.container.environment else { return };
    let found = set.value.keys().filter_map(|name| {
        let (message, help) = of_llama(name).or_else(|| of_the_plan(subject, name))?;
        Some(Diagnostic::new(Code::TypedFlag, message).at(set.at.clone()).help(help))
    });
    let found: Vec<Diagnostic> = found.collect();
    subject.extend(found);
}

type Said = (String, String);

/// What llama-server takes from its environment where its arguments do not say it.
fn of_llama(name: &str) -> Option<Said> {
    let known = flags::find_env(name);
    if known.is_none() && !name.starts_with("LLAMA_ARG_") {
        return None;
    }
    let flag = known.map(|(flag, _)| flag.long);
    if matches!(flag, Some("--api-key" | "--hf-token")) {
        let message = format!("`{name}` would put a secret into a file that is checked in");
        let help = "put the key into a file and name it in `server.api_key_file`";
        return Some((message, help.to_owned()));
    }
    let message = format!(
        "llama-server reads `{name}` like an argument, which nothing here would check or plan with"
    );
    let help = match (flag, flag.and_then(key_of)) {
        (_, Some((table, key))) => write(table, key),
        (Some(flag), None) => format!("write `{flag}` into `extra_args`"),
        (None, None) => "write the flag into `extra_args`".to_owned(),
    };
    Some((message, help))
}

/// What the container is given in any case.
fn of_the_plan(subject: &Subject<'_>, name: &str) -> Option<Said> {
    let split = subject.cluster.is_some();
    let own = |host: &crate::hardware::Host| host.gpus.iter().any(|gpu| gpu.remote.is_none());
    let cuda = subject.is_cuda();
    let help = match name {
        "STRATEGY" => "the strategy is called like the preset's file".to_owned(),
        "EXTRA_ARGS" => "write the words into `extra_args`".to_owned(),
        "PORT" => write("server", "port"),
        "WORKERS" if split => "the cluster's file names the workers".to_owned(),
        "CUDA_DEVICE_ORDER" if cuda => {
            "leave it out: the hardware's order of GPUs is that of the bus".to_owned()
        }
        "CUDA_VISIBLE_DEVICES" if cuda && subject.host.is_some_and(own) => {
            "choose GPUs with `replica_gpus` in `[container]`, and their order in the hardware file"
                .to_owned()
        }
        _ => {
            let mut found = None;
            subject.preset.each(&mut |entry| {
                let Some(emit) = entry.key.emit.filter(|_| env_name(entry.key.name) == name) else {
                    return;
                };
                // The entrypoint and its health check read the address in any case.
                let always = ALWAYS.contains(&emit.on) || matches!(emit.on, "--model" | "--host");
                if always || entry.set.is_some() || split && emit.on == "--rpc" {
                    found = Some(write(entry.table, entry.key.name));
                }
            });
            found?
        }
    };
    Some((format!("`{name}` would replace what the strategy says, without a word"), help))
}

fn write(table: &str, key: &str) -> String {
    if table.is_empty() {
        format!("write `{key}`")
    } else {
        format!("write `{key}` in `[{table}]`")
    }
}
