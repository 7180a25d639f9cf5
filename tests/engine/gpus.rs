//! GPUs by the Container Device Interface, on a machine that has none: the current engine is given a spec whose devices
//! are **faked**. They set a variable, and put a stand-in for llama-server's list of devices before the real server.
//! That the engine is asked as Compose asks it, what it answers, and what is made of that, is real.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Once;

use crate::engine::Engine;
use crate::strategy::{Strategy, image};
use crate::{Case, serving, tools};

pub(crate) const CASES: &[Case] =
    &[("gpus::doctor_tells_what_the_engine_has", doctor_tells_what_the_engine_has)];

/// For the engine that is new enough.
pub(crate) const CDI: &[Case] = &[
    ("gpus::cdi_devices_arrive", cdi_devices_arrive),
    ("gpus::another_order_is_refused", another_order_is_refused),
    ("gpus::a_device_that_is_not_there", a_device_that_is_not_there),
];

/// As llama-server b11434 lists them.
const SERVER: &str = r#"#!/bin/sh
case ${1-} in
    --list-devices)
        printf 'Available devices:\n  CUDA0: %s\n  CUDA1: %s\n' "$FAKED_0" "$FAKED_1"
        ;;
    *) exec /app/llama-server.real "$@" ;;
esac
"#;

const FIRST: &str = "NVIDIA GeForce RTX 4090 (24564 MiB, 23671 MiB free)";
const SECOND: &str = "NVIDIA GeForce RTX 5070 Ti (16303 MiB, 12761 MiB free)";

/// The folder that the engine has as `/run/current/cdi`, and reads as `/etc/cdi`.
fn folder() -> PathBuf {
    tools::target("engines/current/cdi")
}

/// Describes the devices, once in a run.
fn faked(engine: &Engine) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let folder = folder();
        fs_err::create_dir_all(&folder).unwrap();
        let tag = image(engine).unwrap();
        let real = ["run", "--rm", "--entrypoint=/bin/cat", &tag, "/app/llama-server"];
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs_err::write(&path, bytes).unwrap();
            fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        put("llama-server.real", &engine.run(&real));
        put("llama-server", SERVER.as_bytes());
        let mount = |name: &str| {
            serde_json::json!({
                "hostPath": format!("/run/current/cdi/{name}"),
                "containerPath": format!("/app/{name}"),
                "options": ["ro", "bind"],
            })
        };
        let device = |name: &str, variable: &str, value: &str| {
            serde_json::json!({
                "name": name,
                "containerEdits": { "env": [format!("{variable}={value}")] },
            })
        };
        let spec = serde_json::json!({
            "cdiVersion": "0.5.0",
            "kind": "nvidia.com/gpu",
            "devices": [
                device("0", "FAKED_0", FIRST),
                device("1", "FAKED_1", SECOND),
                device("GPU-first-is-second", "FAKED_1", FIRST),
                device("GPU-second-is-first", "FAKED_0", SECOND),
            ],
            "containerEdits": { "mounts": [mount("llama-server"), mount("llama-server.real")] },
        });
        fs_err::write(folder.join("faked.json"), spec.to_string()).unwrap();
    });
}

/// A strategy for two GPUs; `uuids` name them where they are not asked for by their place.
fn strategy<'a>(engine: &'a Engine, uuids: Option<[&str; 2]>) -> Strategy<'a> {
    let strategy = Strategy::new(engine, "");
    let hardware = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/engine/presets/hardware/rtx4090-rtx5070ti.toml"
    );
    let mut text = fs_err::read_to_string(hardware).unwrap();
    // Behind each GPU's last key.
    for (bandwidth, uuid) in
        ["bandwidth_gbs = 1008", "bandwidth_gbs = 896"].iter().zip(uuids.into_iter().flatten())
    {
        text = text.replace(bandwidth, &format!("{bandwidth}\nuuid = \"{uuid}\""));
    }
    let file = strategy.path().join("two.toml");
    fs_err::write(&file, text).unwrap();
    let name = strategy.path().join("two");
    let more = format!(
        "hardware = \"{}\"\n[image]\nbackend = \"cuda\"\n[container]\ngpu_driver = \"cdi\"\n",
        name.display()
    );
    strategy.preset("server", &more);
    strategy
}

fn cdi_devices_arrive(engine: &Engine) {
    faked(engine);
    let strategy = strategy(engine, None);
    let said = strategy.run(&[
        "run",
        "server.toml",
        "--out",
        &strategy.project,
        "--",
        "sh",
        "-c",
        "echo $FAKED_1",
    ]);
    said.ends(0, SECOND);
    strategy.up().ends(0, "healthy after");
    let request = strategy.inspect().pointer("/HostConfig/DeviceRequests/0").cloned().unwrap();
    assert_eq!(request.get("Driver").unwrap(), "cdi");
    assert_eq!(
        *request.get("DeviceIDs").unwrap(),
        serde_json::json!(["nvidia.com/gpu=0", "nvidia.com/gpu=1"])
    );
    serving::is_what_compose_would_start(&strategy);
}

fn another_order_is_refused(engine: &Engine) {
    faked(engine);
    let strategy = strategy(engine, Some(["GPU-second-is-first", "GPU-first-is-second"]));
    strategy.up().ends(16, "CUDA0 is a NVIDIA GeForce RTX 5070 Ti with 16303 MiB");
    strategy.nothing_is_left();
}

fn a_device_that_is_not_there(engine: &Engine) {
    faked(engine);
    let strategy = strategy(engine, Some(["GPU-none", "GPU-first-is-second"]));
    strategy.up().ends(16, "nvidia.com/gpu=GPU-none");
    strategy.nothing_is_left();
}

/// Podman before 5.4 starts a container without the GPUs that were asked for through its socket.
pub(crate) fn forgotten_devices_are_told(podman: &Engine) {
    let version = podman.run(&["version", "--format", "{{.Server.Version}}"]);
    let version = String::from_utf8(version).unwrap();
    if !["4.", "5.0", "5.1", "5.2", "5.3"].iter().any(|old| version.starts_with(old)) {
        println!("skipped: Podman {} does not forget devices", version.trim());
        return;
    }
    let strategy = strategy(podman, None);
    strategy.up().ends(16, "forgets those that are asked for");
    strategy.nothing_is_left();
}

/// Each engine by its own: the machine's is older than CDI.
fn doctor_tells_what_the_engine_has(engine: &Engine) {
    let cdi = engine.name == "current";
    if cdi {
        faked(engine);
    }
    let strategy = strategy(engine, None);
    let doctor = || {
        let said = strategy.run(&["doctor", "server.toml", "--format", "json"]);
        let lines: Vec<serde_json::Value> = serde_json::from_str(&said.out).unwrap();
        let line = lines.into_iter().find(|line| line.get("what").unwrap() == "gpus").unwrap();
        let part =
            |name: &str| line.get(name).and_then(|part| part.as_str()).unwrap_or("").to_owned();
        (part("verdict"), part("found"), part("remedy"))
    };
    let (verdict, found, _) = doctor();
    if cdi {
        assert!(verdict == "good" && found.contains("nvidia.com/gpu=0"), "{verdict}: {found}");
    } else {
        assert!(verdict == "unknown" && found.contains("does not list CDI"), "{verdict}: {found}");
    }
    // By the runtime, which neither has.
    let text = fs_err::read_to_string(strategy.path().join("server.toml")).unwrap();
    fs_err::write(strategy.path().join("server.toml"), text.replace("\"cdi\"", "\"nvidia\""))
        .unwrap();
    let (verdict, found, remedy) = doctor();
    let way = if cdi { "gpu_driver = \"cdi\"" } else { "nvidia-container-toolkit" };
    assert!(verdict == "bad" && remedy.contains(way), "{found}: {remedy}");
}
