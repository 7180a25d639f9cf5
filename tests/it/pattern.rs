//! Patterns mean to us what they mean to llama.cpp: the same answers as `std::regex_search`, on thousands of both.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use composegen::plan::pattern::Matcher;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::repository::root;
use crate::tools;

/// Patterns of the kinds that people write, of those that they get wrong, and of any signs in any order.
fn pattern() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        8 => prop::sample::select(vec![
            "blk", r"\.", "ffn", "_", "exps", "up", "down", "gate", "1", "2", "a", ".", "w",
        ]),
        6 => prop::sample::select(vec![
            r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", "[0-9]", "[^0-9]", "[a-c]", "[.]", "[-1]",
            "[1-]", "[0-13]", r"[\d_]", r"[\W1]", r"[\D.]", "[[:alpha:]]", "[^[:digit:].]", "[]",
            "[^]", "[a^]", "[&&a]", "[a~~1]", r"[\]\\]", r"[\b]", "[[]",
        ]),
        3 => prop::sample::select(vec![
            "^", "$", r"\b", r"\B", "(?=1)", "(?!1)", "(?!.*shexp)", r"\1", r"\2", "()", "(?:)",
        ]),
        2 => prop::sample::select(vec![
            "(", ")", "[", "]", "{", "}", "*", "+", "?", "|", "(?", "(?i)", "(?<a>1)", "(?<=1)", r"\",
            "[1-0]", r"[a-\d]", r"[\d-a]", "[[:word:]]", "{1}", "{2,1}", "{,1}", r"\x31", r"\u0031",
            r"\x3", r"\-", r"\_", r"\A", r"\z", r"\q", r"\0", r"\cA", "^*", r"\b+", "(?!1)?", "#", "-",
            "&", "~", " ", "/", r"\/", r"\h", r"\K", r"\G", r"\pL", "x*+", "1?+", "1{1}{2}", "1**", "1+??", "(a|1)+",
        ]),
    ];
    let sequence = prop::collection::vec(
        (
            atom,
            prop::sample::select(vec!["", "", "", "", "*", "+", "?", "{1}", "{0,2}", "{1,}", "+?"]),
        ),
        0..5,
    )
    .prop_map(|parts| parts.iter().fold(String::new(), |text, (a, q)| text + a + q));
    sequence.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|p| format!("({p})")),
            inner.clone().prop_map(|p| format!("(?:{p})")),
            inner.clone().prop_map(|p| format!("(?!{p})")),
            inner.clone().prop_map(|p| format!("({p}){{2}}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}|{b}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}){b}\\1")),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        (
            0..130_u32,
            prop::sample::select(vec![
                "ffn_up_exps.weight",
                "ffn_gate_up_exps.weight",
                "ffn_down_exps.bias",
                "ffn_up_shexp.weight",
                "ffn_gate_inp.weight",
                "attn_q.weight",
                "ssm_a",
                "attn_norm.weight",
            ])
        )
            .prop_map(|(layer, kind)| format!("blk.{layer}.{kind}")),
        Just("token_embd.weight".to_owned()),
        "[ -~]{0,12}",
    ]
}

#[test]
fn patterns_mean_what_they_mean_to_llama_cpp() {
    let Some(compiler) = tools::find("g++") else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("search");
    let status = Command::new(compiler)
        .args(["-std=c++17", "-o"])
        .arg(&program)
        .arg(root().join("tests/it/pattern/search.cpp"))
        .status();
    assert!(status.unwrap().success());

    let mut runner = TestRunner::deterministic();
    let cases: Vec<(String, String)> =
        (0..4_000).map(|_| (pattern(), name()).new_tree(&mut runner).unwrap().current()).collect();
    let input = cases.iter().fold(String::new(), |mut text, (pattern, name)| {
        writeln!(text, "{pattern}\n{name}").unwrap();
        text
    });
    let mut child =
        Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();

    let (mut found, mut refused, mut wrong) = (0, 0, Vec::new());
    assert_eq!(theirs.lines().count(), cases.len());
    for ((pattern, name), theirs) in cases.iter().zip(theirs.lines()) {
        let ours = match Matcher::new(pattern).map(|m| m.is_match(name)) {
            Ok(Ok(true)) => "1",
            Ok(Ok(false)) => "0",
            Err(_) => "E",
            Ok(Err(_)) => "too complex",
        };
        found += usize::from(theirs == "1");
        refused += usize::from(theirs == "E");
        if ours != theirs {
            wrong.push(format!("{pattern:?} on {name:?}: ours {ours}, theirs {theirs}"));
        }
    }
    println!("{found} found, {refused} refused of {}", cases.len());
    assert!(found > 500 && refused > 500, "the cases are too much of one kind");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}
