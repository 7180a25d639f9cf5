//! `extra_args`: words for llama-server that no key stands for.

use super::Subject;
use crate::diagnostic::{Code, Diagnostic};
use crate::flags::{self, SplitError};
use crate::preset::key_of;

pub(super) fn check(subject: &mut Subject<'_>) {
    let field = &subject.preset.head.extra_args;
    let Some(set) = field else { return };
    let words = &set.value;
    let given = match flags::split(words) {
        Ok(given) => given,
        Err(errors) => {
            for error in errors {
                let code = match error {
                    SplitError::Removed { .. } => Code::RemovedFlag,
                    SplitError::Unknown { .. } if looks_like_a_flag(words, &error) => {
                        Code::UnknownFlag
                    }
                    _ => Code::BadArgument,
                };
                let mut finding =
                    Diagnostic::new(code, error.to_string()).at(set.item(error.position()));
                if let Some(help) = error.help() {
                    finding = finding.help(help);
                }
                subject.push(finding);
            }
            return;
        }
    };
    for option in given {
        let word = words.get(option.position).map_or(option.flag.long, String::as_str);
        if matches!(option.flag.long, "--api-key" | "--hf-token") {
            let message = format!("`{word}` would put a secret into a file that is checked in");
            let help = "put the key into a file and name it in `server.api_key_file`";
            let finding = Diagnostic::new(Code::TypedFlag, message);
            subject.push(finding.at(set.item(option.position)).help(help));
        } else if let Some((table, key)) = key_of(option.flag.long) {
            let finding =
                Diagnostic::new(Code::TypedFlag, format!("`{word}` has a key of its own"))
                    .at(set.item(option.position))
                    .help(format!("write `{key}` in `[{table}]`"));
            subject.push(finding);
        }
    }
}

/// A word with dashes may be a flag of a newer llama.cpp; one without is a value that belongs to nothing.
fn looks_like_a_flag(words: &[String], error: &SplitError) -> bool {
    words.get(error.position()).is_some_and(|word| word.starts_with('-'))
}
