//! `plan` and `estimate` over several machines, as a user meets them and by what they promise.

use std::fmt::Write as _;
use std::process::Command;

use camino::Utf8Path;
use composegen::cluster::Cluster;
use composegen::gguf::{self, Model};
use composegen::hardware::{Gpu, Host, Link};
use composegen::plan::memory::{Request, estimate};
use composegen::plan::placement::{Granularity, Placement, Task, place};
use composegen::plan::speed::System;
use composegen::preset::resolve::Library;
use composegen::units::Bytes;

use crate::repository::{files, root, snapshots};

fn header(name: &str) -> String {
    root().join("tests/it/headers").join(name).to_string()
}

/// Two machines, the second described in `lent`, with `gbit` and `rtt_ms` between them.
fn cluster(lent: &str, gbit: f64, rtt_ms: f64) -> Cluster {
    let text = format!(
        "[[host]]\nname = \"desk\"\nhardware = \"rtx4090-rtx5070ti\"\n[[host]]\nname = \"lent\"\n{lent}\n\
         [[link]]\nbetween = [\"desk\", \"lent\"]\ngbit = {gbit}\nrtt_ms = {rtt_ms}\n"
    );
    let load = |path: &Utf8Path| {
        if path == "presets/clusters/x.toml" {
            Ok(text.clone())
        } else {
            std::fs::read_to_string(root().join(path))
        }
    };
    let mut library = Library::new(&load);
    let read = library.read_cluster(Utf8Path::new("presets/clusters/x.toml")).unwrap();
    assert!(library.findings.is_empty(), "{:?}", library.findings);
    (*read.unwrap().1).clone()
}

const CARD: &str = "[[host.gpu]]\nname = \"RTX 3090\"\nmemory_mib = 24576\nfree_mib = 23900\n\
                    compute_capability = \"8.6\"\nbandwidth_gbs = 936\n";
const PROCESSOR: &str = "[host.ram]\ntotal_mib = 64000\nbandwidth_gbs = 80\n";

fn planned(model: &Model, host: &Host, flags: &[&str], ram: Option<Bytes>) -> Placement {
    let request = Request::from_args(flags).unwrap();
    let margin = vec![Bytes::from_mib(1024); host.gpus.len()];
    let task = Task {
        model,
        gpus: &host.gpus,
        system: System::of(host),
        ram: ram.or(host.ram.total),
        request: &request,
        margin: &margin,
        granularity: Granularity::default(),
        layers: &[],
    };
    let placement = place(&task).unwrap();
    assert!(placement.fits, "{:?}", placement.notes);
    // What it says is what an estimate of its own request says.
    let own = estimate(model, &host.gpus, &placement.request).unwrap();
    assert_eq!(own, placement.estimate);
    placement
}

fn view(cluster: &Cluster) -> Host {
    cluster.view(&cluster.endpoints("llama"), true)
}

fn qwen() -> Model {
    gguf::open(Utf8Path::new(&header("qcn-ud6-00001-of-00003.gguf"))).unwrap()
}

const FLAGS: [&str; 8] = ["-c", "65536", "-ctk", "q8_0", "-ctv", "q8_0", "-np", "1"];

#[test]
fn a_fast_card_far_away_gets_a_run_of_blocks() {
    let model = qwen();
    let alone = {
        let mut host = view(&cluster(CARD, 10.0, 0.2));
        host.gpus.retain(|gpu: &Gpu| gpu.remote.is_none());
        planned(&model, &host, &FLAGS, None).prediction.decode_tps
    };
    let mut last = f64::INFINITY;
    for (gbit, rtt_ms) in [(25.0, 0.1), (10.0, 0.2), (1.0, 0.5), (1.0, 5.0)] {
        let plan = planned(&model, &view(&cluster(CARD, gbit, rtt_ms)), &FLAGS, None);
        let first = &plan.slices[0];
        assert_eq!(first.device, "RPC0[llama-lent:50052]");
        assert!(first.count > 8 && first.resident + 1 >= first.count, "{first:?}");
        // The output and what it gives stay on this machine.
        assert_eq!(plan.tensor_split.iter().sum::<u32>(), 49);
        assert!(plan.tensor_split[2] > 0);
        let [crossing] = plan.crossings.as_slice() else { panic!("{:?}", plan.crossings) };
        if first.resident == first.count {
            // Two states of 2048 numbers, what stands around them, and one answer waited for.
            assert!((16384.0..20000.0).contains(&crossing.bytes), "{crossing:?}");
            assert!((crossing.round_trips - 1.0).abs() < 1e-9, "{crossing:?}");
            assert!(crossing.seconds > rtt_ms / 1e3 && crossing.seconds < rtt_ms / 1e3 + 0.001);
        } else {
            // One block that goes to the CPU in between, where trips are cheap enough.
            assert!((30000.0..60000.0).contains(&crossing.bytes), "{crossing:?}");
            assert!((crossing.round_trips - 4.0).abs() < 1e-9 && rtt_ms < 0.3, "{crossing:?}");
        }
        assert!(plan.prediction.decode_tps < last);
        last = plan.prediction.decode_tps;
        assert!(last > alone, "{last} {alone}");
        assert!(plan.notes[0].contains("faster than this host alone"), "{:?}", plan.notes);
    }
}

#[test]
fn a_link_that_costs_more_than_it_saves_is_left_alone() {
    let plan = planned(&qwen(), &view(&cluster(CARD, 1.0, 30.0)), &FLAGS, None);
    assert_eq!((plan.tensor_split[0], plan.crossings.len()), (0, 0));
    let note = &plan.notes[0];
    assert!(note.starts_with("nothing is placed on lent: ") && note.contains("30."), "{note}");
}

/// Where the other machine has a processor only, attention and caches stay where they are fast.
#[test]
fn a_processor_far_away_gets_experts_alone() {
    let plan = planned(&qwen(), &view(&cluster(PROCESSOR, 25.0, 0.03)), &FLAGS, None);
    assert_eq!(plan.tensor_split[0], 0);
    let lent = &plan.estimate.devices[0];
    assert_eq!((lent.name.as_str(), lent.context), ("RPC0[llama-lent:50052]", Bytes::ZERO));
    assert!(lent.model > Bytes::from_mib(20_000));
    assert!(plan.rules.iter().all(|rule| rule.buffer == lent.name || rule.buffer == "CPU"));
    let blocks: usize =
        plan.rules.iter().filter(|r| r.buffer == lent.name).map(|r| r.layers.len()).sum();
    assert!((plan.crossings[0].round_trips - blocks as f64).abs() < 1e-9);
    // Ten times the way, and the same experts are faster here.
    let plan = planned(&qwen(), &view(&cluster(PROCESSOR, 10.0, 1.0)), &FLAGS, None);
    assert!(plan.crossings.is_empty());
}

/// What does not fit into this machine's memory goes to the other one, slow as it may be.
#[test]
fn a_model_that_one_machine_cannot_hold() {
    let ram = Bytes::from_mib(20_000);
    let plan = planned(&qwen(), &view(&cluster(PROCESSOR, 1.0, 2.0)), &FLAGS, Some(ram));
    assert!(plan.estimate.host.at_start() <= ram, "{:?}", plan.estimate.host);
    let note = &plan.notes[0];
    assert!(note.contains("this host alone cannot hold the model"), "{note}");
}

#[test]
fn every_cluster_of_the_repository_is_read() {
    for path in files("presets/clusters", "toml") {
        let load = |path: &Utf8Path| std::fs::read_to_string(root().join(path));
        let mut library = Library::new(&load);
        let read = library.read_cluster(path.strip_prefix(root()).unwrap()).unwrap();
        assert!(read.is_some() && library.findings.is_empty(), "{path}: {:?}", library.findings);
    }
}

/// Gbit/s, and round trips in ms as such links commonly have them.
const LINKS: [(f64, f64); 3] = [(1.0, 0.5), (10.0, 0.2), (25.0, 0.1)];

fn speed(model: &Model, host: &Host) -> (f64, bool) {
    let request = Request::from_args(&FLAGS).unwrap();
    let margin = vec![Bytes::from_mib(1024); host.gpus.len()];
    let task = Task {
        model,
        gpus: &host.gpus,
        system: System::of(host),
        ram: host.ram.total,
        request: &request,
        margin: &margin,
        granularity: Granularity::default(),
        layers: &[],
    };
    let placement = place(&task).unwrap();
    let holds = host.ram.total.is_none_or(|ram| placement.estimate.host.at_start() <= ram);
    (placement.prediction.decode_tps, placement.fits && holds)
}

fn costs() -> String {
    let mut text = String::from(
        "| cluster | model | one host | two, 1 Gbit/s | two, 10 Gbit/s | two, 25 Gbit/s |\n|---|---|---|---|---|---|\n",
    );
    let models = [
        ("Qwen3-Coder-Next 80B, Q4_K_M", "qcn-q4km.gguf"),
        ("Qwen3-Coder-Next 80B, UD-Q6_K_XL", "qcn-ud6-00001-of-00003.gguf"),
        ("Gemma 3 27B", "gemma3-27b.gguf"),
        ("gpt-oss 20B", "gpt-oss-20b.gguf"),
    ];
    let load = |path: &Utf8Path| std::fs::read_to_string(root().join(path));
    for file in ["two-desks", "two-small", "desk-and-server"] {
        let path = format!("presets/clusters/{file}.toml");
        let mut library = Library::new(&load);
        let cluster = library.read_cluster(Utf8Path::new(&path)).unwrap().unwrap().1;
        for (name, header) in models {
            let model = gguf::open(&root().join("tests/it/headers").join(header)).unwrap();
            let written = |(tps, holds): (f64, bool)| {
                if holds { format!("{tps:.1}") } else { "cannot hold it".to_owned() }
            };
            let mut host = view(&cluster);
            host.gpus.retain(|gpu: &Gpu| gpu.remote.is_none());
            let mut cells = vec![file.to_owned(), name.to_owned(), written(speed(&model, &host))];
            for (gbit, rtt_ms) in LINKS {
                let mut cluster = (*cluster).clone();
                for worker in &mut cluster.workers {
                    worker.link = Link { gbit, rtt_ms };
                }
                cells.push(written(speed(&model, &view(&cluster))));
            }
            writeln!(text, "| {} |", cells.join(" | ")).unwrap();
        }
    }
    text
}

/// The table of docs/targets.md is what the planner says today.
#[test]
fn the_cost_table_is_current() {
    let file = root().join("docs/targets.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("<!-- costs -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of costs -->").unwrap();
    let new = format!("{before}<!-- costs -->\n{}<!-- end of costs -->{after}", costs());
    if std::env::var_os("COMPOSEGEN_WRITE").is_some() {
        std::fs::write(&file, &new).unwrap();
        return;
    }
    assert!(new == text, "docs/targets.md: COMPOSEGEN_WRITE=1 cargo test --test it cost_table");
}

#[test]
fn what_it_prints_is_reviewed() {
    let model = header("qcn-ud6-00001-of-00003.gguf");
    let desks = "presets/clusters/two-desks.toml";
    let long = ["--ubatch-size", "2048", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0"];
    let plan = ["plan", "--model", &model, "--cluster", desks, "--parallel", "1", "--only"];
    let estimated = ["estimate", &model, "--cluster", desks];
    let flags = ["--", "--rpc", "10.0.0.9:50052", "-c", "8192", "-ts", "10,20,19", "-ot"];
    for (name, args) in [
        ("plan-cluster", [&plan[..], &long].concat()),
        ("plan-cluster-json", [&plan[..], &long, &["--format", "json"]].concat()),
        (
            "estimate-cluster",
            [&estimated[..], &flags, &["exps=CPU,blk\\.9\\.=RPC0[10.0.0.9:50052]"]].concat(),
        ),
        ("estimate-cluster-other", [&estimated[..], &["--", "--rpc", "a:1,b:2"]].concat()),
        (
            "plan-cluster-preset",
            vec!["plan", "presets/split/ud-q6-two-desks.toml", "--model", &model],
        ),
        ("plan-cluster-missing", vec!["plan", "--model", &model, "--cluster", "presets/none.toml"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(args)
            .current_dir(root())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let said = format!("exit {}\n--- out\n{out}--- err\n{err}", output.status.code().unwrap());
        snapshots("plan").bind(|| insta::assert_snapshot!(name, said));
    }
}
