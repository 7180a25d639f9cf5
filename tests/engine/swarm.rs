//! A real Swarm of two nodes, the machine's engine as manager and the current one as worker: stacks of composegen's, the
//! small model on either node and split over both, and what becomes of them when something is lost. The engines are in
//! swarm mode only while a test runs.

mod nodes;

use std::process::Stdio;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::engine::Engine;
use crate::strategy::{MODEL, image, models};
use crate::tools;
use nodes::{Nodes, Stack};

/// The tests; those of slow faults run with `--ignored`. With what is missing where they cannot run.
pub(crate) fn trials() -> (Vec<Trial>, Option<String>) {
    let ready = Nodes::ready();
    let skipped = ready.is_err() && !tools::required("COMPOSEGEN_REQUIRE_ENGINE");
    let trial = |name: &str, case: fn(&Nodes), slow: bool| {
        let ready = ready.clone();
        let run = move || {
            ready?;
            case(&Nodes::join());
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(skipped || slow)
    };
    let trials = vec![
        trial("swarm::either_node_and_both", either_node_and_both, false),
        trial("swarm::slow_faults", slow_faults, true),
    ];
    (trials, ready.err())
}

/// Two questions, whose answers a split model must give to the letter.
const QUESTIONS: [&str; 2] = ["Name three colors.", "What is the capital of France?"];

fn answers(stack: &Stack<'_>) -> Vec<String> {
    QUESTIONS.iter().map(|question| stack.answer(question)).collect()
}

/// Layers of 31 that go to the worker.
const LAYERS: u32 = 16;

fn either_node_and_both(nodes: &Nodes) {
    let expected = {
        let [one, two] = ["one", "two"].map(|node| nodes.deploy(node, &on_one(node)));
        let [ours, theirs] = [&one, &two].map(|stack| {
            stack.wait_until_it_answers();
            answers(stack)
        });
        assert_eq!(ours, theirs, "the same model on two nodes");
        ours
    };
    let stack = nodes.deploy("split", &split());
    stack.wait_until_it_answers();
    assert_eq!(answers(&stack), expected, "the split model answers as the unsplit one");
    memory_is_as_estimated(&stack);
    the_port_is_nobodys(&stack);
    stack.wait(30, "nothing is lost", || stack.lost() == "[]");
    a_killed_worker(&stack);
    assert_eq!(answers(&stack), expected, "after a fault the same answers");
    tensors_are_kept(&stack);
}

/// A preset for one node.
fn on_one(node: &str) -> String {
    format!("hardware = \"{node}\"\n")
}

/// The second node computes the last layers; the output is what a worker has to send back.
fn split() -> String {
    format!("cluster = \"lab.toml\"\n[placement]\nn_gpu_layers = {LAYERS}\n")
}

/// Weights and caches to the hundredth of a MiB that llama-server reports; compute buffers are no more than estimated.
fn memory_is_as_estimated(stack: &Stack<'_>) {
    let model = models().join(MODEL);
    let worker = format!("{}-two:50052", stack.name);
    let layers = LAYERS.to_string();
    let estimated = stack.composegen(&[
        "estimate",
        model.to_str().unwrap(),
        "--cluster",
        "lab.toml",
        "--format",
        "json",
        "--",
        "--rpc",
        &worker,
        "-ngl",
        &layers,
        "-c",
        "2048",
        "-np",
        "1",
    ]);
    let estimated: Value = serde_json::from_str(&estimated).unwrap();
    let log = stack.log();
    let device = format!("RPC0[{worker}]");
    let rows = estimated.get("devices").and_then(Value::as_array).unwrap();
    let row = rows.iter().find(|row| row.get("name").is_some_and(|name| *name == device));
    let row = row.unwrap_or_else(|| panic!("{estimated}"));
    let mib = |key: &str| row.get(key).and_then(Value::as_f64).unwrap();
    // What is reported as "RPC0[x-two:50052] model buffer size =    48.67 MiB".
    let reported = |what: &str| -> f64 {
        let line = log.lines().find(|line| line.contains(&device) && line.contains(what));
        let line = line.unwrap_or_else(|| panic!("no {what} of {device} in\n{log}"));
        line.rsplit('=').next().unwrap().trim().trim_end_matches(" MiB").trim().parse().unwrap()
    };
    for (what, key) in [("model buffer size", "model_mib"), ("KV buffer size", "context_mib")] {
        let (reported, own) = (reported(what), mib(key));
        assert!((reported - own).abs() < 0.006, "{what}: {reported} and {own}");
    }
    let (reported, own) = (reported("compute buffer size"), mib("compute_mib"));
    println!("compute buffer of the worker: {reported} MiB reported, {own:.2} estimated");
    assert!(reported <= own * 1.01 + 1.0, "{reported} and {own}");
}

/// A worker can be reached by its server, and by nobody else.
fn the_port_is_nobodys(stack: &Stack<'_>) {
    let nodes = stack.nodes;
    let listed = nodes.two.run(&["ps", "--format", "{{.Names}} {{.Ports}}"]);
    let listed = String::from_utf8(listed).unwrap();
    let worker = listed.lines().find(|line| line.starts_with(&format!("{}_", stack.name)));
    assert!(worker.is_some_and(|line| !line.contains("->")), "{listed}");
    // A container of somebody else's cannot join the network, and cannot connect from another one.
    let network = format!("{}_workers", stack.name);
    let image = nodes.image.as_str();
    let joined = nodes.one.docker(&["run", "--rm", "--network", &network, image, "true"]).output();
    assert!(!joined.unwrap().status.success(), "a stranger was attached to {network}");
    let connect = format!("exec 3<>/dev/tcp/{}/50052", stack.address_of_worker());
    let tried = ["run", "--rm", image, "timeout", "5", "bash", "-c", &connect];
    assert!(!nodes.one.docker(&tried).output().unwrap().status.success(), "{connect}");
}

fn a_killed_worker(stack: &Stack<'_>) {
    let before = stack.server();
    let mut asked =
        stack.ask_for(600).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(asked.try_wait().unwrap().is_none(), "the request is over before the fault");
    stack.kill_worker();
    let output = asked.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && !said.contains("finish_reason"),
        "a request that lost its worker was answered: {said}"
    );
    stack.wait(60, "the lost host is named", || {
        let lost = stack.lost();
        lost.contains("the worker of host `two`") || lost.contains("llama-server")
    });
    stack.wait(180, "another server", || stack.find_server().is_some_and(|now| now != before));
    stack.wait_until_it_answers();
    // SIGABRT, or SIGSEGV on the way to it.
    let code = stack.exit_code(&before);
    assert!(matches!(code, 134 | 139), "llama.cpp aborts when it loses a worker: {code}");
    stack.wait(120, "nothing is lost", || stack.lost() == "[]");
}

/// The worker's volume holds what it was sent, and outlives its containers.
fn tensors_are_kept(stack: &Stack<'_>) {
    let kept = stack.in_worker("ls /cache/rpc | wc -l; stat -c %u /cache/rpc");
    let mut lines = kept.lines();
    assert!(lines.next().is_some_and(|n| n.trim() != "0"), "{kept}");
    assert_eq!(lines.next(), Some("10001"), "{kept}");
}

/// A drained node, and a network that is cut between nodes which go on.
fn slow_faults(nodes: &Nodes) {
    let stack = nodes.deploy("faults", &split());
    stack.wait_until_it_answers();
    let expected = answers(&stack);

    let begun = std::time::Instant::now();
    nodes.availability("two", "drain");
    stack.wait(120, "the drained host is named", || {
        let lost = stack.lost();
        lost.contains("the worker of host `two`")
    });
    println!("drained: named after {} s", begun.elapsed().as_secs());
    stack.wait(180, "no server without its worker", || !stack.answers());
    println!("drained: the server was taken down after {} s", begun.elapsed().as_secs());
    nodes.availability("two", "active");
    let back = std::time::Instant::now();
    stack.wait_until_it_answers();
    assert_eq!(answers(&stack), expected);
    println!("drained: answers {} s after the node came back", back.elapsed().as_secs());

    let cut = nodes.cut();
    let begun = std::time::Instant::now();
    let output = stack.ask_for(16).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("finish_reason"), "answered over a network that is cut: {said}");
    println!("cut: the request failed after {} s", begun.elapsed().as_secs());
    drop(cut);
    let back = std::time::Instant::now();
    stack.wait_until_it_answers();
    assert_eq!(answers(&stack), expected);
    println!("cut: answers {} s after the network came back", back.elapsed().as_secs());
}

/// The image that both engines have, by its id.
fn same_image(nodes: [&Engine; 2]) -> Result<String, String> {
    let [one, _] = nodes;
    let tag = image(one)?;
    let ids = nodes.map(|engine| {
        let args = ["image", "inspect", "--format", "{{.Id}}", tag.as_str()];
        let output = engine.docker(&args).output();
        output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
        )
    });
    match ids {
        [one, two] if one == two && one.starts_with("sha256:") => Ok(one),
        _ => Err(format!("the engines have no `{tag}` in common")),
    }
}
