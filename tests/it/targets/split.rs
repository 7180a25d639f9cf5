//! A model split over machines, as Swarm and Kubernetes are given it.

use camino::Utf8PathBuf;
use composegen::compile::Compiled;
use composegen::plan::Target;
use serde_json::Value as Json;

use super::{kubernetes, swarm};
use crate::chain::{assert_served, compiled_for, lay_out};
use crate::repository::{root, snapshots};

fn compiled(target: Target) -> Compiled {
    let preset = Utf8PathBuf::from("presets/split/ud-q6-two-desks.toml");
    compiled_for(Some(target), root(), &[preset])
}

/// Everything that holds for the port of a worker is in one of these files.
fn review(folder: &str, compiled: &Compiled) {
    for artifact in &compiled.artifacts {
        let own = ["Dockerfile", "entrypoint.sh"].contains(&artifact.path.as_str());
        if own && folder == "split-kubernetes" || artifact.path == "described-gpus.c" {
            continue;
        }
        let name = artifact.path.as_str().replace('/', "-");
        snapshots(folder).bind(|| insta::assert_snapshot!(name, artifact.text));
    }
}

#[test]
fn a_stack_with_a_worker() {
    let compiled = compiled(Target::Swarm);
    review("split-swarm", &compiled);
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), &compiled);
    let text = &compiled
        .artifacts
        .iter()
        .find(|artifact| artifact.path == "ud-q6-two-desks.stack.yml")
        .unwrap()
        .text;
    let ours: Json = serde_saphyr::from_str(text).unwrap();
    let stack = match swarm::docker() {
        Some(docker) => swarm::config(&docker, dir.path(), "ud-q6-two-desks.stack.yml"),
        None => ours,
    };
    let (server, worker) = (&stack["services"]["llama"], &stack["services"]["llama-spare"]);
    let strategy = &compiled.plan.strategies[0];
    assert_served(dir.path(), strategy, &swarm::environment(server), "docker stack");
    // Nobody but the server's network reaches the worker.
    assert!(worker.get("ports").is_none());
    let networks: Vec<_> = worker["networks"].as_object().unwrap().keys().collect();
    assert_eq!(networks, ["workers"]);
    let network = &stack["networks"]["workers"];
    assert_eq!(network["internal"], true);
    assert_ne!(network["attachable"], true);
    assert!(network["driver_opts"].get("encrypted").is_some());
    // One build, and each on its machine.
    assert_eq!(server["image"], worker["image"]);
    assert!(server["image"].as_str().unwrap().contains("@sha256:"));
    for (service, machine) in [(server, "desk"), (worker, "spare")] {
        let constraint = &service["deploy"]["placement"]["constraints"][0];
        assert_eq!(constraint, &format!("node.labels.composegen.machine == {machine}"));
        assert_eq!(service["deploy"]["restart_policy"]["condition"], "any");
    }
    assert_eq!(worker["command"][0], "worker");
    let environment = swarm::environment(worker);
    assert_eq!(environment["WORKER_PORT"], "50052");
    assert_eq!(environment["NVIDIA_VISIBLE_DEVICES"], "0");
    assert_eq!(environment["LLAMA_CACHE"], worker["volumes"][0]["target"].as_str().unwrap());
    assert_eq!(worker["volumes"][0]["type"], "volume");
    let environment = swarm::environment(server);
    assert_eq!(environment["LLAMA_RPC"], "llama-spare:50052");
    assert_eq!(environment["WORKERS"], "llama-spare:50052");
}

#[test]
fn a_base_with_a_worker() {
    let compiled = compiled(Target::Kubernetes);
    review("split-kubernetes", &compiled);
    kubernetes::judge(&compiled);
    let text = |name: &str| {
        let path = format!("ud-q6-two-desks/{name}.yaml");
        &compiled.artifacts.iter().find(|artifact| artifact.path == path).unwrap().text
    };
    let documents: Vec<Json> = text("workers")
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect();
    let [policy, service, set] = documents.as_slice() else { panic!("{}", documents.len()) };
    let deployment: Json = serde_saphyr::from_str(text("deployment")).unwrap();
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for (name, value) in policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&labels[name], value);
    }
    let from = &policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"];
    for (name, value) in from.as_object().unwrap() {
        assert_eq!(&deployment["spec"]["template"]["metadata"]["labels"][name], value);
    }
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["metadata"]["name"], "llama-spare");
    let pod = &set["spec"]["template"]["spec"];
    assert!(pod.get("hostNetwork").is_none());
    assert!(pod["containers"][0]["ports"][0].get("hostPort").is_none());
    let server = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], server["containers"][0]["image"]);
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(server["nodeSelector"]["composegen.dev/machine"], "desk");
    assert_eq!(pod["nodeSelector"]["composegen.dev/machine"], "spare");
}
