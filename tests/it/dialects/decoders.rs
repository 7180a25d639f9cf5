//! Each encoder against the port of its reader: what it takes comes back, and what it refuses lies outside of its domain.

use composegen::quote::{
    self, Refused, comment, dockerfile, dotenv, exec, interpolation, kubernetes, kvfile, shell,
    systemd, yaml,
};
use proptest::prelude::*;

use super::values::{COUNT, all};

/// What a variable would be replaced by, where the encoder failed to protect a dollar.
fn live(_: &str) -> Option<String> {
    Some("LIVE".to_owned())
}

/// `Some` of what came back; `None` for a refusal, which `outside` has to agree with.
type Road = fn(&str) -> Result<String, Refused>;

struct Sink {
    name: &'static str,
    road: Road,
    /// Outside of the documented domain (beside NUL).
    outside: fn(&str) -> bool,
}

fn pair(read: Result<Vec<(String, String)>, quote::Malformed>) -> String {
    let mut pairs = read.unwrap();
    assert_eq!(pairs.remove(0), ("A".to_owned(), "1".to_owned()));
    assert_eq!(pairs.pop().unwrap(), ("Z".to_owned(), "2".to_owned()));
    let [(name, value)] = <[_; 1]>::try_from(pairs).unwrap();
    assert_eq!(name, "K");
    value
}

fn invisible(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// What systemd makes of the only word of a line, where a specifier or a variable that is left is replaced.
fn unit(text: &str) -> String {
    let [word] = <[_; 1]>::try_from(systemd::decode(text, &|_| live(""), &live).unwrap()).unwrap();
    word
}

/// What Unicode has reserved for no character, as systemd has it.
fn no_character(c: char) -> bool {
    ('\u{fdd0}'..='\u{fdef}').contains(&c) || u32::from(c) & 0xfffe == 0xfffe
}

const SINKS: &[Sink] = &[
    Sink {
        name: "yaml in compose",
        road: |value| {
            let scalar = yaml::decode(&yaml::compose(value)?).unwrap();
            Ok(interpolation::decode(&scalar, &live).unwrap())
        },
        outside: |_| false,
    },
    Sink {
        name: "yaml",
        road: |value| {
            let written = yaml::scalar(value)?;
            // Any JSON reader and a YAML reader that is not ours agree.
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), value);
            assert_eq!(serde_saphyr::from_str::<String>(&written).unwrap(), value, "{written}");
            Ok(yaml::decode(&written).unwrap())
        },
        outside: |_| false,
    },
    Sink {
        name: "Kubernetes",
        road: |value| {
            let written = kubernetes::encode(value)?;
            let read = serde_saphyr::from_str::<String>(&written).unwrap();
            assert_eq!(kubernetes::expand(&read, &live).unwrap(), value);
            let plain = kubernetes::scalar(value).unwrap();
            assert_eq!(yaml::decode(&plain).unwrap(), value);
            Ok(kubernetes::decode(&written, &live).unwrap())
        },
        outside: |value| {
            value.contains(|c| matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))
        },
    },
    Sink {
        name: ".env",
        road: |value| {
            let file = format!("A=1\nK={}\nZ=2", dotenv::encode(value)?);
            Ok(pair(dotenv::decode(&file, &live)))
        },
        outside: |_| false,
    },
    Sink {
        name: "docker run --env-file",
        road: |value| Ok(pair(kvfile::decode(&format!("A=1\nK={}\nZ=2", kvfile::encode(value)?)))),
        outside: |value| value.contains(['\n', '\r']),
    },
    Sink {
        name: "ENV",
        road: |value| {
            let line = format!("A=1 K={} Z=2", dockerfile::encode(value)?);
            assert!(!line.contains('\n'));
            Ok(pair(dockerfile::decode(&line, &live)))
        },
        outside: |value| value.contains('\n'),
    },
    Sink {
        name: "exec form",
        road: |value| {
            let line = exec::encode(&["a", value, ""])?;
            assert!(!line.contains('\n'));
            let mut argv = exec::decode(&line).unwrap();
            assert_eq!((argv.len(), argv[2].as_str()), (3, ""));
            Ok(argv.remove(1))
        },
        outside: |_| false,
    },
    Sink {
        name: "EXTRA_ARGS",
        road: |value| {
            let written = shell::words::join(&["a", value, ""])?;
            let mut words = shell::words::split(&written).unwrap();
            assert_eq!((words.len(), words[2].as_str()), (3, ""));
            Ok(words.remove(1))
        },
        outside: |value| value.contains('\u{1f}'),
    },
    Sink {
        name: "shell word",
        road: |value| Ok(shell::decode(&shell::encode(value)?).unwrap()),
        outside: |_| false,
    },
    Sink {
        name: "Quadlet word",
        road: |value| Ok(unit(&systemd::word(&format!("K={value}"))?)[2..].to_owned()),
        outside: |value| value.contains(|c| no_character(c) || c == '\u{80}'),
    },
    Sink {
        name: "Quadlet line",
        road: |value| {
            let line = systemd::line(value)?;
            assert!(!line.contains('\n') && line.trim() == line);
            // As Quadlet hands it on: quoted, and nothing replaced.
            Ok(unit(&format!("\"{}\"", line.replace('\\', "\\\\").replace('"', "\\\""))))
        },
        outside: |value| {
            value.contains(|c| c == '\t' || invisible(c) || no_character(c) || c == '\u{a0}')
                || value.trim() != value
                || value.ends_with('\\')
        },
    },
    Sink {
        name: "comment",
        road: |value| {
            let line = format!("# {}", comment::encode(value)?);
            Ok(comment::decode(&line).unwrap().to_owned())
        },
        outside: |value| value.contains(invisible),
    },
    Sink {
        name: "default text",
        road: |value| {
            let text = format!("${{K:-{}}}", interpolation::default_text(value)?);
            Ok(interpolation::decode(&text, &|_| None).unwrap())
        },
        outside: |value| {
            value.contains(|c: char| !(c.is_ascii_alphanumeric() || "_./:,@%+=-".contains(c)))
        },
    },
];

fn check(sink: &Sink, value: &str) {
    match (sink.road)(value) {
        Ok(arrived) => {
            assert_eq!(arrived, value, "{}", sink.name);
            assert!(!(sink.outside)(value), "{} takes {value:?}", sink.name);
        }
        Err(refused) => {
            assert!((sink.outside)(value), "{} refuses {value:?}: {refused}", sink.name);
        }
    }
}

#[test]
fn hostile_values_come_back_from_every_sink() {
    for (seed, sink) in (1_u64..).zip(SINKS) {
        let values = all(seed);
        assert_eq!(values.len(), COUNT);
        for value in values {
            check(sink, &value);
        }
    }
}

#[test]
fn nul_is_refused_by_every_sink() {
    for sink in SINKS {
        assert!((sink.road)("a\0b").is_err(), "{}", sink.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back_from_every_sink(value in any::<String>()) {
        let value = value.replace('\0', "");
        for sink in SINKS {
            check(sink, &value);
        }
    }

    #[test]
    fn no_reader_stumbles_over_any_text(text in "[ -~\n\té]{0,40}") {
        let _ = dotenv::decode(&text, &live);
        let _ = kvfile::decode(&text);
        let _ = dockerfile::decode(&text, &live);
        let _ = interpolation::decode(&text, &live);
        let _ = yaml::decode(&text);
        let _ = kubernetes::expand(&text, &live);
        let _ = shell::decode(&text);
        let _ = systemd::decode(&text, &|_| None, &live);
        if let Ok(words) = shell::words::split(&text) {
            prop_assert_eq!(shell::words::split(&shell::words::join(&words).unwrap()).unwrap(), words);
        }
    }
}
