//! Each rule of the entrypoint, in each shell.

use composegen::plan::knob::{Knob, KnobKind};

use super::script::{Ran, Script, shells};

fn script() -> Script {
    let value = |env: &str, flag: &str| Knob {
        env: env.to_owned(),
        kind: KnobKind::Value { flag: flag.to_owned() },
    };
    let switch = |env: &str, on: &str, off: Option<&str>| Knob {
        env: env.to_owned(),
        kind: KnobKind::Switch { on: Some(on.to_owned()), off: off.map(str::to_owned) },
    };
    Script::new(&[
        Knob { env: "MODEL".to_owned(), kind: KnobKind::Model },
        value("CTX_SIZE", "--ctx-size"),
        value("OVERRIDE_TENSOR", "--override-tensor"),
        switch("CPU_MOE", "--cpu-moe", None),
        switch("NO_CONTEXT_SHIFT", "--no-context-shift", Some("--context-shift")),
        Knob { env: "EXTRA_ARGS".to_owned(), kind: KnobKind::Words },
    ])
}

/// Runs it in every shell with the model that is there, unless the case names one.
fn each(environment: &[(&str, &str)], arguments: &[&str], look: impl Fn(&Script, &Ran)) {
    for shell in shells() {
        let script = script();
        let model = script.model();
        let mut all = vec![("MODEL", model.as_str())];
        all.retain(|(name, _)| !environment.iter().any(|(other, _)| other == name));
        all.extend_from_slice(environment);
        look(&script, &script.run(&shell, &all, arguments));
    }
}

fn argv(ran: &Ran) -> Vec<&str> {
    assert_eq!(ran.code, 0, "{}", ran.said);
    ran.argv.as_ref().unwrap().iter().map(String::as_str).collect()
}

#[test]
fn empty_means_unset() {
    let nothing = [("CTX_SIZE", ""), ("OVERRIDE_TENSOR", ""), ("CPU_MOE", ""), ("EXTRA_ARGS", "")];
    each(&nothing, &[], |script, ran| {
        let model = script.model();
        let expected = ["llama-server", "--model", &model, "--host", "0.0.0.0", "--port", "8080"];
        assert_eq!(argv(ran), expected);
    });
}

#[test]
fn switches_say_yes_no_or_why_not() {
    each(&[("CPU_MOE", "1"), ("NO_CONTEXT_SHIFT", "0")], &[], |_, ran| {
        let argv = argv(ran);
        assert!(argv.contains(&"--cpu-moe") && argv.contains(&"--context-shift"), "{argv:?}");
    });
    each(&[("CPU_MOE", "no"), ("NO_CONTEXT_SHIFT", "on")], &[], |_, ran| {
        let argv = argv(ran);
        assert!(!argv.contains(&"--cpu-moe") && argv.contains(&"--no-context-shift"), "{argv:?}");
    });
    each(&[("CPU_MOE", "maybe")], &[], |_, ran| {
        assert_eq!((ran.code, &ran.argv), (64, &None));
        assert!(ran.said.contains("CPU_MOE") && ran.said.contains("maybe"), "{}", ran.said);
    });
}

#[test]
fn an_override_by_hand_takes_the_place_of_the_strategys() {
    for flag in ["-ot", "--override-tensor"] {
        let extra = format!(r"{flag} blk\.(1|2)\.=CUDA0,exps=CPU");
        let environment = [("OVERRIDE_TENSOR", "exps=CPU"), ("EXTRA_ARGS", extra.as_str())];
        each(&environment, &["--more", "x y"], |_, ran| {
            let argv = argv(ran);
            let end = [flag, r"blk\.(1|2)\.=CUDA0,exps=CPU", "--more", "x y"];
            assert_eq!(argv[argv.len() - 4..], end);
            assert!(!argv.contains(&"exps=CPU"), "{argv:?}");
            assert!(ran.said.contains("OVERRIDE_TENSOR"), "{}", ran.said);
        });
    }
}

#[test]
fn secrets_are_not_shown() {
    each(&[("EXTRA_ARGS", "--api-key geheim --hf-token auch --seed 7")], &[], |_, ran| {
        assert!(argv(ran).contains(&"geheim"));
        assert!(!ran.said.contains("geheim") && !ran.said.contains("auch"), "{}", ran.said);
        assert!(ran.said.contains("****") && ran.said.contains("--seed 7"), "{}", ran.said);
    });
}

#[test]
fn a_model_there_has_to_be() {
    each(&[("MODEL", "")], &[], |_, ran| assert_eq!((ran.code, &ran.argv), (64, &None)));
    each(&[("MODEL", "none.gguf")], &[], |_, ran| {
        assert_eq!((ran.code, &ran.argv), (66, &None));
        assert!(ran.said.contains("/models/none.gguf"), "{}", ran.said);
    });
    each(&[("MODEL", "")], &["--model", "other"], |_, ran| {
        assert!(argv(ran).contains(&"other"));
    });
}

#[test]
fn another_program_gets_its_arguments_as_they_are() {
    each(&[("CTX_SIZE", "1")], &["llama-bench", "-m", "a b", "*"], |_, ran| {
        assert_eq!(argv(ran), ["llama-bench", "-m", "a b", "*"]);
    });
}

#[test]
fn a_quote_that_does_not_close_is_named() {
    for extra in ["--x 'a", "--x \"a"] {
        each(&[("EXTRA_ARGS", extra)], &[], |_, ran| {
            assert_eq!((ran.code, &ran.argv), (64, &None));
            assert!(ran.said.contains("EXTRA_ARGS"), "{}", ran.said);
        });
    }
}

#[test]
fn the_health_check_asks_where_the_server_listens() {
    each(&[("PORT", "9000"), ("API_PREFIX", "/llama")], &["health"], |_, ran| {
        assert_eq!(*argv(ran).last().unwrap(), "http://127.0.0.1:9000/llama/health");
    });
    each(&[("CURL_SAYS", "22")], &["health"], |_, ran| assert_eq!(ran.code, 1));
}

#[test]
fn a_key_file_is_used_and_never_shown() {
    for shell in shells() {
        let script = script();
        std::fs::write(script.key(), "# a comment\nsecret-key\n").unwrap();
        let (model, key) = (script.model(), script.key());
        let ran = script.run(&shell, &[("MODEL", model.as_str())], &[]);
        assert!(argv(&ran).windows(2).any(|pair| pair == ["--api-key-file", key.as_str()]));
        let ran = script.run(&shell, &[("MODEL", model.as_str())], &["health"]);
        assert!(ran.input.contains("secret-key"), "{}", ran.input);
        assert!(!argv(&ran).iter().any(|word| word.contains("secret-key")));
        std::fs::write(script.key(), "").unwrap();
        let ran = script.run(&shell, &[("MODEL", model.as_str())], &[]);
        assert_eq!((ran.code, &ran.argv), (64, &None), "{}", ran.said);
    }
}
