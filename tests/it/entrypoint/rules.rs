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
        value("N_CPU_MOE", "--n-cpu-moe"),
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
    for (host, url) in [
        ("0.0.0.0", "http://127.0.0.1:8080/health"),
        ("::", "http://127.0.0.1:8080/health"),
        ("10.0.0.7", "http://10.0.0.7:8080/health"),
        ("fd00::7", "http://[fd00::7]:8080/health"),
        ("/run/llama.sock", "http://localhost:8080/health"),
    ] {
        each(&[("LLAMA_HOST", host)], &["health"], |_, ran| {
            let argv = argv(ran);
            assert_eq!(*argv.last().unwrap(), url);
            let socket = argv.windows(2).any(|pair| pair == ["--unix-socket", host]);
            assert_eq!(socket, host.starts_with("/run"));
        });
    }
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

#[test]
fn a_key_file_without_use_is_named() {
    for shell in shells() {
        let script = script();
        let refused = |what: &str| {
            let ran = script.run(&shell, &[("MODEL", script.model())], &[]);
            assert_eq!((ran.code, &ran.argv), (64, &None), "{what}: {}", ran.said);
            assert!(ran.said.contains(&script.key()) && !ran.said.contains("geheim"), "{what}");
        };
        std::fs::write(script.key(), "# only a comment\n\n").unwrap();
        refused("no key");
        // The server would take the CR for a part of the key, which no client sends.
        std::fs::write(script.key(), "geheim\r\n").unwrap();
        refused("CR LF");
        std::fs::remove_file(script.key()).unwrap();
        // What an engine makes of a bind mount whose source is not there.
        std::fs::create_dir(script.key()).unwrap();
        refused("a directory");
    }
}

#[test]
fn every_spelling_of_a_secret_is_masked() {
    for flag in ["--api-key", "--api_key", "-hft", "--hf-token", "--hf_token"] {
        each(&[("CTX_SIZE", "1")], &[flag, "geheim", "--seed", "7"], |_, ran| {
            assert!(argv(ran).contains(&"geheim"));
            assert!(!ran.said.contains("geheim"), "{flag}: {}", ran.said);
            assert!(ran.said.ends_with(&format!("{flag} '****' --seed 7\n")), "{}", ran.said);
        });
    }
}

#[test]
fn flags_that_add_up_yield_to_the_arguments() {
    for word in ["-ncmoe", "--n-cpu-moe", "--n_cpu_moe"] {
        let environment = [("N_CPU_MOE", "30"), ("CPU_MOE", "1")];
        each(&environment, &[word, "10"], |_, ran| {
            let argv = argv(ran);
            assert!(!argv.contains(&"30") && argv.contains(&"--cpu-moe"), "{argv:?}");
            let said = format!("{word} in the arguments takes the place of N_CPU_MOE");
            assert!(ran.said.contains(&said), "{}", ran.said);
        });
    }
}

#[test]
fn every_source_of_a_model_takes_the_place_of_model() {
    let sources =
        ["-m", "--model_url", "-hf", "--hf-repo", "-dr", "--models-dir", "--models_preset"];
    for word in sources {
        each(
            &[("MODEL", "not-there.gguf"), ("EXTRA_ARGS", &format!("{word} x"))],
            &[],
            |_, ran| {
                let argv = argv(ran);
                assert!(argv.ends_with(&[word, "x"]) && !argv.contains(&"--model"), "{argv:?}");
            },
        );
    }
}

#[test]
fn what_would_surprise_is_said() {
    each(&[("LLAMA_ARG_JINJA", "0"), ("LLAMA_ARG_NO_X", "")], &[], |_, ran| {
        assert!(argv(ran).contains(&"llama-server"));
        let line = ran.said.lines().find(|line| line.contains("LLAMA_ARG_JINJA")).unwrap();
        assert!(line.contains("LLAMA_ARG_NO_X") && !line.contains('0'), "{line}");
    });
    each(&[("PORT", "9000")], &["--port", "9001"], |_, ran| {
        assert!(argv(ran).ends_with(&["--port", "9001"]));
        assert!(ran.said.contains("health check"), "{}", ran.said);
    });
    for (name, value) in [("PORT", "80a"), ("EXTRA_ARGS", "a\u{1f}b")] {
        each(&[(name, value)], &[], |_, ran| {
            assert_eq!((ran.code, &ran.argv), (64, &None));
            assert!(ran.said.contains(name), "{}", ran.said);
        });
    }
}

/// llama-server itself says nothing where CUDA's backend cannot be loaded.
#[test]
fn a_missing_driver_is_named() {
    for shell in shells() {
        let script = script();
        let model = script.model();
        let said = |arguments: &[&str]| {
            let ran = script.run(&shell, &[("MODEL", &model)], arguments);
            assert!(ran.argv.is_some(), "it goes on: {}", ran.said);
            ran.said
        };
        // As ldd prints it for llama.cpp's backend in an image of ours.
        let ldd = |driver: &str| {
            format!(
                "#!/bin/sh\n[ \"$1\" = /app/libggml-cuda.so ] || exit 1\ncat <<'END'\n\
                 \tlibcudart.so.13 => /usr/local/lib/libcudart.so.13 (0x00007f3d)\n\
                 \tlibcuda.so.1 => {driver}\nEND\n"
            )
        };
        script.program("ldd", &ldd("not found"));
        for arguments in [&[][..], &["llama-bench", "-m", "x"]] {
            assert!(said(arguments).contains("libcuda.so.1 is missing"), "{arguments:?}");
        }
        script.program("ldd", &ldd("/lib/x86_64-linux-gnu/libcuda.so.1 (0x00007f3d)"));
        assert!(!said(&[]).contains("driver"));
        script.program(
            "ldd",
            "#!/bin/sh\necho 'ldd: /app/libggml-cuda.so: No such file' >&2\nexit 1\n",
        );
        assert!(!said(&[]).contains("ldd"));
    }
}

#[test]
fn with_a_certificate_the_health_check_speaks_tls() {
    each(&[("LLAMA_SSL_CERT_FILE", "/tls/cert.pem")], &["health"], |_, ran| {
        let argv = argv(ran);
        assert_eq!(*argv.last().unwrap(), "https://127.0.0.1:8080/health");
        assert!(argv.contains(&"--insecure") && argv.windows(2).any(|w| w == ["--noproxy", "*"]));
    });
}

/// Among them what a parser that copies the rest of the text for each word takes half a minute for.
#[test]
fn long_extra_args_arrive_whole() {
    let texts = [
        "a ".repeat(10_000),
        "'a b' \"c\\\"d\" ".repeat(1500),
        format!("\"{}\"", r"\\\".repeat(5000)),
        "x".repeat(20_000),
    ];
    for shell in shells() {
        let script = script();
        for text in &texts {
            let environment = [("MODEL", script.model()), ("EXTRA_ARGS", text.clone())];
            let ran = script.run(&shell, &environment, &[]);
            let words = composegen::quote::shell::words::split(text).unwrap();
            assert_eq!(ran.argv.unwrap()[7..], words, "{shell:?}");
        }
    }
}
