//! What the entrypoint does for a model that is split over machines, in each shell.

use std::process::Command;

use composegen::plan::knob::{Knob, KnobKind};

use super::script::{Script, shells};
use crate::tools;

fn script() -> Script {
    let value = |env: &str, flag: &str| Knob {
        env: env.to_owned(),
        kind: KnobKind::Value { flag: flag.to_owned() },
    };
    Script::made(
        &[value("LLAMA_RPC", "--rpc"), value("OVERRIDE_TENSOR", "--override-tensor")],
        true,
    )
}

const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/// A line as the kernel has it.
fn line(local: &str, remote: &str, state: &str) -> String {
    format!(
        "   7: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 10001        0 1 1 0\n"
    )
}

#[test]
fn a_worker_listens_where_it_is_told() {
    for shell in shells() {
        let script = script();
        let started = |environment: &[(&str, &str)]| {
            let ran = script.run(&shell, environment, &["worker"]);
            assert_eq!(ran.code, 0, "{}", ran.said);
            ran.argv.unwrap().join(" ")
        };
        let plain = "ggml-rpc-server --host 0.0.0.0 --port 50052 --cache";
        assert_eq!(started(&[]), plain);
        let more = [("WORKER_PORT", "50099"), ("WORKER_THREADS", "6")];
        assert_eq!(
            started(&more),
            "ggml-rpc-server --host 0.0.0.0 --port 50099 --cache --threads 6"
        );
    }
}

#[test]
fn a_worker_is_well_while_it_serves_one_server() {
    let listens = line("00000000:C384", "00000000:0000", "0A");
    let serves = |from: &str| line("0303000A:C384", from, "01");
    let other = line("0303000A:1F90", "0503000A:EA86", "01");
    let gone = line("0303000A:C384", "0903000A:EA86", "06");
    for (lines, well, said) in [
        (vec![], false, "nothing listens"),
        (vec![serves("0203000A:EA86")], false, "nothing listens"),
        (vec![listens.clone()], true, ""),
        (vec![listens.clone(), serves("0203000A:EA86"), other, gone], true, ""),
        (
            vec![listens.clone(), serves("0203000A:EA86"), serves("0403000A:EA86")],
            false,
            "2 servers are connected",
        ),
    ] {
        for shell in shells() {
            let script = script();
            script.write("tcp", &(HEAD.to_owned() + &lines.concat()));
            let ran = script.run(&shell, &[("WORKER_PORT", "50052")], &["worker-health"]);
            assert_eq!((ran.code == 0, ran.said.contains(said)), (well, true), "{}", ran.said);
        }
    }
}

#[test]
fn a_server_is_well_while_it_has_its_workers() {
    let to = |address: &str, state: &str| line("0203000A:EA86", address, state);
    let (a, b) = (to("0303000A:C384", "01"), to("FF01000A:C385", "01"));
    let hosts = "10.0.3.3        STREAM a\n10.0.1.255      STREAM b\n";
    for (hosts, lines, said) in [
        (hosts, vec![&a, &b], ""),
        (hosts, vec![&a], "the connection to worker b is lost"),
        (hosts, vec![&a, &to("FF01000A:C385", "08")], "the connection to worker b is lost"),
        // It came back with another address, and the connection leads nowhere.
        (
            "10.0.3.9 STREAM a\n10.0.1.255 STREAM b\n",
            vec![&a, &b],
            "the connection to worker a is lost",
        ),
        ("10.0.3.3 STREAM a\n", vec![&a, &b], "worker b is gone"),
    ] {
        let lines: String = lines.into_iter().map(String::as_str).collect();
        for shell in shells() {
            let script = script();
            script.write("hosts", hosts);
            script.write("tcp", &(HEAD.to_owned() + &lines));
            let workers = [("WORKERS", "a:50052,b:50053")];
            let ran = script.run(&shell, &workers, &["health"]);
            assert_eq!(ran.code == 0, said.is_empty(), "{}", ran.said);
            assert!(ran.said.contains(said), "{}", ran.said);
            // A server without workers looks at nothing of that.
            assert_eq!(script.run(&shell, &[("WORKERS", "")], &["health"]).code, 0);
        }
    }
}

#[test]
fn a_server_waits_until_its_workers_have_names() {
    for shell in shells() {
        let script = script();
        let model = script.model();
        script.write("hosts", "10.0.3.3        STREAM a\n");
        let rules = "exps=RPC0[a:50052]";
        let environment = [
            ("MODEL", model.as_str()),
            ("WORKERS", "a:50052,late:50052"),
            ("LLAMA_RPC", "a:50052,late:50052"),
            ("OVERRIDE_TENSOR", rules),
        ];
        let hosts = script.path().with_file_name("hosts");
        let late = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(1200));
            std::fs::write(hosts, "10.0.3.3 STREAM a\n10.0.3.4 STREAM late\n").unwrap();
        });
        let begun = std::time::Instant::now();
        let ran = script.run(&shell, &environment, &[]);
        late.join().unwrap();
        assert_eq!(ran.code, 0, "{}", ran.said);
        assert!(begun.elapsed().as_millis() >= 1000);
        assert!(ran.said.contains("waiting for worker late") && !ran.said.contains("worker a,"));
        let argv = ran.argv.unwrap();
        let at = |flag: &str| argv.iter().position(|word| word == flag).unwrap();
        // llama.cpp has to know a worker before a rule can name it.
        assert!(at("--rpc") < at("--override-tensor"));
    }
}

#[test]
fn the_linter_finds_nothing() {
    let Some(shellcheck) = tools::find("shellcheck") else { return };
    let output =
        Command::new(shellcheck).args(["--shell=sh"]).arg(script().path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
