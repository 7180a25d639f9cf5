//! What is written into a preset is what ran: the same flags with the same words.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use clap::Parser as _;

use super::edited;
use crate::cli::{Cli, Command};
use crate::command::load;
use crate::command::tune::subject::Subject;
use crate::preset::resolve::Library;
use crate::strategy::Strategy;
use crate::terminal::Terminal;
use crate::tune::Candidate;

fn repository(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn subject(path: &Utf8PathBuf, more: &[&str]) -> Subject {
    let words = ["composegen", "tune", path.as_str()].into_iter().chain(more.iter().copied());
    let Command::Tune(args) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
    let (out, err) = (Box::new(std::io::sink()), Box::new(std::io::sink()));
    Subject::new(&args, &mut Terminal { out, err, color: false }).unwrap()
}

/// Flags with their words; of one given twice the last counts.
fn flags(words: &[String]) -> BTreeMap<String, String> {
    let mut flags = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(flag) = words.next() {
        let word = words.next_if(|word| !word.starts_with("--")).cloned().unwrap_or_default();
        flags.insert(flag.clone(), word);
    }
    flags
}

#[test]
fn what_is_written_is_what_ran() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("mine.toml")).unwrap();
    let experts = repository("tests/it/headers/qcn-ud6-00001-of-00003.gguf");
    let dense = repository("tests/it/headers/gemma3-27b.gguf");
    let base = repository("presets/base/qwen3-coder-next");
    let rig = repository("presets/hardware/rtx4090-rtx5070ti");
    let model = |header: &str| {
        format!("# mine\n[model]\nfile = \"m.gguf\" # the model\nheader = \"{header}\"\n")
    };
    let of = |head: &str, header: &str, rest: &str| format!("{head}{}{rest}", model(header));
    let extends = format!("extends = \"{base}\"\n");
    let alone = format!("hardware = \"{rig}\"\n");
    let all = &["--also", "ubatch,threads,load-mode,cache-type"][..];
    let cases = [
        (of(&extends, &experts, "[placement]\nlayers = [13, 6] # kept\n"), &[][..]),
        (of(&extends, &experts, "[placement]\nauto = true\n"), &[]),
        (of(&extends, &experts, "[placement]\nauto = true\n"), all),
        (of(&format!("placement = \"auto\"\n{extends}"), &experts, ""), &[]),
        (
            of(
                &extends,
                &experts,
                "[placement]\noverride_tensor = [\"exps=CPU\"]\ntensor_split = [30, 19]\n",
            ),
            &[],
        ),
        (of(&alone, &dense, "[context]\nctx_size = 65536\n"), all),
    ];
    for (text, more) in cases {
        fs_err::write(&path, &text).unwrap();
        let subject = subject(&path, more);
        let counted = subject.counted().unwrap();
        let counted = counted.as_ref();
        let mut best = Candidate { layers: vec![5, 3], ctx_size: 32_768, ..Candidate::default() };
        for (key, value) in [
            ("ubatch_size", "4096"),
            ("threads", "7"),
            ("load_mode", "none"),
            ("cache_type", "q5_1"),
        ] {
            if !more.is_empty() {
                best.settings.insert(key.to_owned(), value.to_owned());
            }
        }
        let ran = subject.args(counted, &best);
        let new = edited(&text, &subject, counted, &best).unwrap();
        assert!(new.contains("# mine\n") && new.contains("\"m.gguf\" # the model\n"), "{new}");
        assert!(!text.contains("# kept") || new.contains("layers = [5, 3] # kept\n"), "{new}");
        fs_err::write(&path, &new).unwrap();
        let mut library = Library::new(&load);
        let resolved = library.resolve(&path).unwrap();
        crate::check::check(&resolved, None, &mut library.findings);
        let errors = library
            .findings
            .iter()
            .filter(|finding| finding.severity() == crate::diagnostic::Severity::Error);
        assert_eq!(errors.count(), 0, "{new}\n{:?}", library.findings);
        let says = Strategy::new(&resolved, None).unwrap().args_without(&[]);
        assert_eq!(flags(&says), flags(&ran), "{new}");
    }
}
