//! Manifests through the real kubectl, which reads, patches and prints without a cluster, and against the schemas of two
//! versions of Kubernetes. The expansion of a container's environment is our port of the kubelet's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use camino::Utf8Path;
use composegen::compile::Compiled;
use composegen::plan::Target;
use composegen::quote::kubernetes;
use serde_json::Value as Json;

use crate::chain::{assert_served, compiled_for, hostile_presets, lay_out};
use crate::dialects::values::all;
use crate::repository::{files, root};
use crate::tools;

const BATCH: usize = 2500;

/// Six releases apart; the newest is the one of the tools.
const VERSIONS: [&str; 2] = ["1.31.0", "1.37.0"];

fn run(program: &Path, dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    let output = command.args(args).current_dir(dir).env("HOME", dir).env_remove("KUBECONFIG");
    let output = output.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{args:?}: {said}{}",
        String::from_utf8_lossy(&output.stdout).chars().take(2000).collect::<String>()
    );
    output
}

/// A manifest as Kubernetes' own reader of YAML understands it.
fn read(kubectl: &Path, dir: &Path, file: &str) -> Json {
    let args = ["annotate", "--local", "-f", file, "read=yes", "-o", "json"];
    serde_json::from_slice(&run(kubectl, dir, &args).stdout).unwrap()
}

/// The environment that a kubelet would give the container: the `ConfigMap`'s, then `env`, each expanded by what is before.
fn environment(config: &Json, deployment: &Json) -> BTreeMap<String, String> {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let data = config["data"].as_object().unwrap();
    let mut environment: BTreeMap<String, String> =
        data.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], config["metadata"]["name"]);
    for pair in container["env"].as_array().into_iter().flatten() {
        let value = pair.get("value").map(text).unwrap_or_default();
        let value = kubernetes::expand(&value, &|name| environment.get(name).cloned()).unwrap();
        environment.insert(text(&pair["name"]), value);
    }
    environment
}

#[test]
fn values_arrive_at_the_container() {
    let Some(kubectl) = tools::find("kubectl") else { return };
    let values: Vec<_> =
        all(1000).into_iter().filter(|value| kubernetes::scalar(value).is_ok()).collect();
    assert!(values.len() > 6000, "{}", values.len());
    for batch in values.chunks(BATCH) {
        let dir = tempfile::tempdir().unwrap();
        let mut config =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n".to_owned();
        let mut deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: c\nspec:\n  \
             template:\n    spec:\n      containers:\n        - name: c\n          envFrom:\n            \
             - configMapRef:\n                name: c\n          env:\n"
            .to_owned();
        for (i, value) in batch.iter().enumerate() {
            writeln!(config, "  C{i}: {}", kubernetes::scalar(value).unwrap()).unwrap();
            let written = kubernetes::encode(value).unwrap();
            writeln!(deployment, "            - name: K{i}\n              value: {written}")
                .unwrap();
        }
        std::fs::write(dir.path().join("c.yaml"), config).unwrap();
        std::fs::write(dir.path().join("d.yaml"), deployment).unwrap();
        // As it is, and as `kubectl apply --kustomize` has it.
        let built = |file: &str| {
            std::fs::write(
                dir.path().join("kustomization.yaml"),
                format!("resources:\n  - {file}\n"),
            )
            .unwrap();
            let built = run(&kubectl, dir.path(), &["kustomize", "."]).stdout;
            std::fs::write(dir.path().join("built"), built).unwrap();
            let built = read(&kubectl, dir.path(), "built");
            assert_eq!(built, read(&kubectl, dir.path(), file));
            built
        };
        let (config, deployment) = (built("c.yaml"), built("d.yaml"));
        let environment = environment(&config, &deployment);
        assert_eq!(environment.len(), 2 * batch.len());
        for (i, value) in batch.iter().enumerate() {
            assert_eq!(&environment[&format!("C{i}")], value);
            assert_eq!(&environment[&format!("K{i}")], value);
        }
    }
}

/// Every strategy of a directory, as kubectl reads and as Kustomize builds it.
pub(super) fn judge(compiled: &Compiled) {
    let dir = tempfile::tempdir().unwrap();
    lay_out(dir.path(), compiled);
    let kubectl = tools::find("kubectl");
    for strategy in &compiled.plan.strategies {
        let name = &strategy.name;
        let manifest = |kind: &str| {
            let file = format!("{name}/{kind}.yaml");
            let text = std::fs::read_to_string(dir.path().join(&file)).unwrap();
            let parsed: Json = serde_saphyr::from_str(&text).unwrap();
            if let Some(kubectl) = &kubectl {
                let mut by_kubectl = read(kubectl, dir.path(), &file);
                let metadata = by_kubectl["metadata"].as_object_mut().unwrap();
                metadata.remove("annotations");
                if kind == "configmap" {
                    assert_eq!(by_kubectl, parsed);
                }
            }
            parsed
        };
        let (config, deployment) = (manifest("configmap"), manifest("deployment"));
        let environment = environment(&config, &deployment);
        assert_served(dir.path(), strategy, &environment, "Kubernetes");
        for (name, value) in &strategy.container.environment {
            assert_eq!(&environment[name], value);
        }
        if let Some(kubectl) = &kubectl {
            let built = run(kubectl, dir.path(), &["kustomize", name]).stdout;
            let built = String::from_utf8(built).unwrap();
            for kind in ["ConfigMap", "Deployment", "Service"] {
                assert!(built.contains(&format!("\nkind: {kind}\n")), "{name}: {kind}");
            }
        }
    }
    validate(dir.path(), compiled);
    if let Some(kubectl) = &kubectl {
        let built = run(kubectl, dir.path(), &["kustomize", "."]).stdout;
        assert!(String::from_utf8(built).unwrap().contains("kind: Deployment"));
    }
}

/// Every manifest, in one call for each version: a kustomization has no schema.
fn validate(dir: &Path, compiled: &Compiled) {
    let Some(validate) = tools::find("kubernetes-validate") else { return };
    let paths = compiled.artifacts.iter().map(|artifact| artifact.path.as_path());
    let manifests: Vec<&str> = paths
        .filter(|path| path.extension() == Some("yaml") && !path.ends_with("kustomization.yaml"))
        .map(Utf8Path::as_str)
        .collect();
    assert!(manifests.len() >= 3);
    for version in VERSIONS {
        let mut args = vec!["-k", version, "--strict"];
        args.extend(&manifests);
        run(&validate, dir, &args);
    }
}

#[test]
fn every_preset_becomes_a_base() {
    let presets = files("presets", "toml");
    for path in presets {
        let preset = path.strip_prefix(root()).unwrap().to_owned();
        let compiled = compiled_for(Some(Target::Kubernetes), root(), &[preset]);
        judge(&compiled);
        let text = |name: &str| {
            let strategy = &compiled.plan.strategies[0].name;
            let file = format!("{strategy}/{name}.yaml");
            compiled.artifacts.iter().find(|a| a.path == file).unwrap().text.clone()
        };
        let deployment: Json = serde_saphyr::from_str(&text("deployment")).unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        let host = compiled.plan.strategies[0].host.as_ref();
        let gpus = host.map_or(0, |host| host.gpus.len());
        let limits = &pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"];
        assert_eq!(limits.as_u64().unwrap_or(0), gpus as u64, "{path}");
        // Unlike GPUs: a product's name would not say which machine.
        let labels: Vec<_> = pod["nodeSelector"].as_object().into_iter().flatten().collect();
        assert_eq!(labels.iter().any(|(label, _)| *label == "composegen.dev/machine"), gpus > 1);
        assert_eq!(deployment["spec"]["strategy"]["type"] == "Recreate", gpus > 0);
        let service: Json = serde_saphyr::from_str(&text("service")).unwrap();
        assert_eq!(service["spec"]["type"], "ClusterIP");
    }
}

#[test]
fn hostile_presets_arrive_at_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    let presets = hostile_presets(here, &|text| kubernetes::scalar(text).is_ok());
    assert!(presets.len() > 25);
    judge(&compiled_for(Some(Target::Kubernetes), here, &presets));
}

/// Everything that a pod can be asked for, at once.
#[test]
fn all_keys_of_a_container() {
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    std::fs::create_dir(here.join("hardware")).unwrap();
    let gpu = "[[gpu]]\nname = \"NVIDIA GeForce RTX 4090\"\nmemory_mib = 24564\ncompute_capability = \"8.9\"\n";
    std::fs::write(here.join("hardware/rig.toml"), gpu.repeat(2)).unwrap();
    std::fs::write(
        here.join("a.toml"),
        "hardware = \"rig\"\n[model]\nfile = \"a.gguf\"\nsize_gib = 9\n[server]\nport = 9000\n\
         api_key_file = \"k\"\n[image]\nname = \"r.example/i:t\"\n[container]\nproject = \"own\"\n\
         publish = \"0.0.0.0\"\nmodels_dir = \"/srv/m $x\"\nvolumes = [\"/a b:/c:ro\", \"/d:/e\"]\n\
         memory_limit = 1000\nshm_size = 64\nuser = \"7:8\"\n\
         environment = { A = \"$(PORT) $$x $é\", B = 5, EMPTY = \"\" }\n",
    )
    .unwrap();
    let compiled = compiled_for(Some(Target::Kubernetes), here, &["a.toml".into()]);
    judge(&compiled);
    let text = |file: &str| {
        compiled.artifacts.iter().find(|a| a.path == file).map(|artifact| artifact.text.clone())
    };
    assert_eq!(text("models.yaml"), None);
    let deployment: Json = serde_saphyr::from_str(&text("a/deployment.yaml").unwrap()).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["nodeSelector"]["nvidia.com/gpu.product"], "NVIDIA-GeForce-RTX-4090");
    assert_eq!(pod["securityContext"]["runAsUser"], 7);
    assert_eq!(pod["volumes"][0]["hostPath"]["path"], "/srv/m $x");
    assert_eq!(pod["volumes"].as_array().unwrap().len(), 6);
    assert_eq!(pod["containers"][0]["volumeMounts"].as_array().unwrap().len(), 6);
    // 60 s and 12 s per GiB, one look every 10 s.
    assert_eq!(pod["containers"][0]["startupProbe"]["failureThreshold"], 17);
    let service: Json = serde_saphyr::from_str(&text("a/service.yaml").unwrap()).unwrap();
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"]["ports"][0]["port"], 9000);
}
