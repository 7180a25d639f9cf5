//! Every preset of the repository compiles, and what it compiles to is reviewed as a snapshot.

use camino::{Utf8Path, Utf8PathBuf};
use composegen::compile::{Compiled, Request, compile};
use composegen::lock::Resolved;
use composegen::plan::Target;
use composegen::preset::resolve::Library;
use std::collections::BTreeMap;

use crate::repository::{files, root, snapshots};

fn compiled(target: Option<Target>, preset: &Utf8Path) -> Compiled {
    let load = |path: &Utf8Path| std::fs::read_to_string(root().join(path));
    let mut library = Library::new(&load);
    let request = Request {
        presets: &[Utf8PathBuf::from(preset)],
        out: Utf8Path::new("examples/one"),
        target,
        here: root(),
        pinned: &Resolved::default(),
        placements: &BTreeMap::new(),
        builds_image: false,
    };
    let result = compile(&mut library, request).unwrap();
    result.unwrap_or_else(|| panic!("{preset}: {:?}", library.findings))
}

#[test]
fn every_artifact_of_every_preset() {
    for path in files("presets", "toml") {
        let preset = path.strip_prefix(root()).unwrap();
        for artifact in compiled(None, preset).artifacts {
            let name = artifact.path.as_str().trim_start_matches('.');
            // The default `.env` is the strategy's own, which has a snapshot; the C file is the template as it is.
            if artifact.path == ".env" || artifact.path == "described-gpus.c" {
                continue;
            }
            snapshots(preset.file_stem().unwrap()).bind(|| {
                insta::assert_snapshot!(name, artifact.text);
            });
        }
    }
}

/// What another target reads; what builds the image is the same for all of them, byte by byte but for the comments.
#[test]
fn every_preset_for_every_target() {
    for path in files("presets", "toml") {
        let preset = path.strip_prefix(root()).unwrap();
        let for_compose = compiled(Some(Target::Compose), preset).artifacts;
        let unasked = compiled(None, preset).artifacts;
        assert_eq!(for_compose, unasked, "{path}");
        for target in [Target::Swarm, Target::Kubernetes, Target::Quadlet] {
            let artifacts = compiled(Some(target), preset).artifacts;
            let (shared, own): (Vec<_>, Vec<_>) =
                artifacts.into_iter().partition(|artifact| for_compose.contains(artifact));
            let shared: Vec<_> = shared.iter().map(|artifact| artifact.path.as_str()).collect();
            assert!(shared.contains(&"Dockerfile") && shared.contains(&"entrypoint.sh"));
            assert!(!own.is_empty());
            for artifact in own {
                let name = artifact.path.as_str().replace('/', "-");
                snapshots(&format!("{}/{target}", preset.file_stem().unwrap())).bind(|| {
                    insta::assert_snapshot!(name, artifact.text);
                });
            }
        }
    }
}

#[test]
fn the_default_env_is_the_first_strategys() {
    let compiled = compiled(None, Utf8Path::new("presets/ud-q6.toml"));
    let text = |path: &str| {
        &compiled.artifacts.iter().find(|artifact| artifact.path == path).unwrap().text
    };
    assert_eq!(text(".env"), text("ud-q6.env"));
}
