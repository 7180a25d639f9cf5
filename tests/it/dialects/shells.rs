//! Our entrypoint and our shell words, in real shells: what a program finds among its arguments is what was written.

use std::process::Command;

use composegen::plan::knob::{Knob, KnobKind};
use composegen::quote::shell;

use super::values::all;
use crate::entrypoint::script::{Script, shells};

/// Values per run, by knobs and as words of `EXTRA_ARGS` each.
const BATCH: usize = 1000;

fn knob(i: usize) -> Knob {
    Knob { env: format!("KNOB_{i}"), kind: KnobKind::Value { flag: format!("--knob-{i}") } }
}

#[test]
fn knobs_and_extra_args_arrive_in_every_shell() {
    let knobs: Vec<Knob> = (0..BATCH).map(knob).collect();
    let script = Script::new(&knobs);
    // Words that the entrypoint understands are the matter of other tests.
    let understood = |word: &String| word == "-m" || word == "-ot" || word == "--port";
    let (values, mut words) = (all(400), all(500));
    words.retain(|word| !understood(word) && shell::words::encode(word).is_ok());
    assert!(words.len() > 8000, "{}", words.len());
    for shell in shells() {
        for (values, words) in values.chunks(BATCH).zip(words.chunks(BATCH)) {
            let mut environment: Vec<(String, String)> =
                values.iter().enumerate().map(|(i, value)| (knob(i).env, value.clone())).collect();
            environment.push(("MODEL".to_owned(), script.model()));
            environment.push(("EXTRA_ARGS".to_owned(), shell::words::join(words).unwrap()));
            let ran = script.run(&shell, &environment, &["-arg", " last $word "]);
            let model = script.model();
            let first = ["llama-server", "--model", &model, "--host", "0.0.0.0", "--port", "8080"];
            let mut expected = first.map(str::to_owned).to_vec();
            for (i, value) in values.iter().enumerate().filter(|(_, value)| !value.is_empty()) {
                expected.extend([format!("--knob-{i}"), value.clone()]);
            }
            expected.extend_from_slice(words);
            expected.extend(["-arg", " last $word "].map(str::to_owned));
            let argv = ran.argv.unwrap_or_else(|| panic!("{shell:?}: {}", ran.said));
            for (arrived, word) in argv.iter().zip(&expected) {
                assert_eq!(arrived, word, "{shell:?}");
            }
            assert_eq!(argv.len(), expected.len(), "{shell:?}");
            // The line that the log shows, pasted into the same shell.
            let line = ran.said.strip_prefix("composegen: ").unwrap();
            assert_eq!(evaluated(&shell, line), expected, "{shell:?}");
        }
    }
}

/// The words that a shell makes of a text, which defines what they are.
fn evaluated(shell: &[String], text: &str) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("printf '%s\\0' {text}")).unwrap();
    let output =
        Command::new(&shell[0]).args(&shell[1..]).arg(file.path()).env_clear().output().unwrap();
    assert!(output.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
}

#[test]
fn single_quoted_words_arrive_in_every_shell() {
    let values = all(600);
    let written: Vec<String> = values.iter().map(|v| shell::encode(v).unwrap()).collect();
    for shell in shells() {
        assert_eq!(evaluated(&shell, &written.join(" ")), values, "{shell:?}");
    }
}

/// Text that no encoder wrote: the script and our `split` read the same, or both refuse.
#[test]
fn extra_args_as_typed_are_read_alike() {
    let script = Script::new(&[]);
    for shell in shells() {
        for text in all(700).iter().filter(|text| text.len() > 2).take(150) {
            let ran = script.run(&shell, &[("MODEL", &script.model()), ("EXTRA_ARGS", text)], &[]);
            let arrived = ran.argv.map(|argv| argv[7..].to_vec());
            assert_eq!(arrived, shell::words::split(text).ok(), "{shell:?}: {text:?} {}", ran.said);
            assert_eq!(ran.code, if shell::words::split(text).is_ok() { 0 } else { 64 });
        }
    }
}
