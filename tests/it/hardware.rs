//! `hardware detect` and `--gpu`: machines as drivers describe them, and as people name them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use composegen::diagnostic::FileId;
use composegen::hardware::{Host, parse};

use crate::repository::root;

/// A machine with nothing on its path but, perhaps, an `nvidia-smi` that prints what was recorded.
struct Machine(tempfile::TempDir);

/// As driver 570 prints it for the newest of our queries.
const TWO: &str = "\
index, name, uuid, pci.bus_id, memory.total [MiB], memory.free [MiB], compute_cap, driver_version, mig.mode.current
0, NVIDIA GeForce RTX 4090, GPU-11111111-2222-3333-4444-555555555555, 00000000:01:00.0, 24564 MiB, 24100 MiB, 8.9, 570.124.06, [N/A]
1, NVIDIA GeForce RTX 5070 Ti, GPU-66666666-7777-8888-9999-000000000000, 00000000:0A:00.0, 16303 MiB, 13000 MiB, 12.0, 570.124.06, [N/A]
";

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(machine.0.path().join("bin")).unwrap();
        machine
    }

    fn smi(self, script: &str) -> Self {
        let path = self.0.path().join("bin/nvidia-smi");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn prints(self, text: &str) -> Self {
        self.smi(&format!("/bin/cat <<'END'\n{text}END"))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_composegen"))
            .args(args)
            .current_dir(self.0.path())
            .env("PATH", self.path("bin"))
            .output()
            .unwrap()
    }

    /// Standard output and error of a run that ends with this code.
    fn ends(&self, code: i32, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}{err}");
        (out, err)
    }
}

/// A driver that answers here is asked before any program on the path.
fn has_a_driver() -> bool {
    let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib"];
    let found = Path::new("/proc/driver/nvidia").exists()
        || libraries.iter().any(|dir| Path::new(dir).join("libnvidia-ml.so.1").exists());
    if found {
        println!("skipped: this machine has an NVIDIA driver, which answers instead");
    }
    found
}

fn host(text: &str) -> Host {
    let mut findings = Vec::new();
    parse::parse(FileId(0), "x", text, &mut findings)
        .unwrap_or_else(|| panic!("{findings:?}\n{text}"))
}

#[test]
fn what_nvidia_smi_says_becomes_a_file_that_presets_can_name() {
    if has_a_driver() {
        return;
    }
    let machine = Machine::new().prints(TWO);
    let (_, said) = machine.ends(0, &["hardware", "detect"]);
    let path = "presets/hardware/rtx4090-rtx5070ti.toml";
    assert!(said.contains(&format!("{path}: RTX 4090 + RTX 5070 Ti, ")), "{said}");
    assert!(said.contains("hardware = \"rtx4090-rtx5070ti\""), "{said}");
    assert!(said.contains("CUDA1 (NVIDIA GeForce RTX 5070 Ti) had only 12470 of 16303"), "{said}");
    assert!(!said.contains("CUDA0"), "a card that is free is not worth a word: {said}");
    let found = host(&machine.read(path));
    assert_eq!(found.name, "RTX 4090 + RTX 5070 Ti");
    assert_eq!(found.driver.as_deref(), Some("570.124.06"));
    let gpus: Vec<_> = found
        .gpus
        .iter()
        .map(|gpu| {
            let capability = gpu.compute_capability.to_string();
            (gpu.memory.mib(), gpu.free.mib(), capability, gpu.bandwidth_gbs)
        })
        .collect();
    let expected = [
        (24564.0, 24100.0 - 530.0, "8.9".to_owned(), Some(1008.0)),
        (16303.0, 13000.0 - 530.0, "12.0".to_owned(), Some(896.0)),
    ];
    assert_eq!(gpus, expected);
    assert_eq!(found.gpus[1].pci.as_deref(), Some("0000:0a:00.0"));
    assert!(found.cpu.threads.is_some() && found.ram.total.is_some());
    // Either way it says where the figure is from, or what to fill in.
    let ram = machine.read(path);
    let ram = ram.split("[ram]").nth(1).unwrap();
    let known = ["# By the firmware's table: ", "# Measured: ", "# Channels x MT/s x 8 / 1000"];
    assert!(known.iter().any(|known| ram.contains(known)), "{ram}");

    std::fs::write(
        machine.path("presets/a.toml"),
        "hardware = \"rtx4090-rtx5070ti\"\n[model]\nfile = \"m.gguf\"\n",
    )
    .unwrap();
    machine.ends(0, &["build", "a"]);
    assert!(machine.read("deploy/a/docker-compose.yml").contains("GPU-66666666"));
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    if has_a_driver() {
        return;
    }
    let machine = Machine::new().prints(TWO);
    machine.ends(0, &["hardware", "detect", "--name", "rig"]);
    let mine = machine.read("presets/hardware/rig.toml") + "# mine\n";
    std::fs::write(machine.path("presets/hardware/rig.toml"), &mine).unwrap();
    let (_, said) = machine.ends(6, &["hardware", "detect", "--name", "rig"]);
    assert!(said.contains("presets/hardware/rig.toml") && said.contains("--force"), "{said}");
    assert_eq!(machine.read("presets/hardware/rig.toml"), mine);
    machine.ends(0, &["hardware", "detect", "--name", "rig", "--force"]);
    assert_eq!(machine.read("presets/hardware/rig.toml") + "# mine\n", mine);
    assert_eq!(host(&mine).name, "rig");
    machine.ends(2, &["hardware", "detect", "--name", "../rig"]);
    let (text, _) = machine.ends(0, &["hardware", "detect", "--out", "-"]);
    assert_eq!(host(&text).gpus.len(), 2);
}

#[test]
fn an_old_driver_is_asked_for_less() {
    if has_a_driver() {
        return;
    }
    let machine = Machine::new().smi(
        "case \"$1\" in *mig*|*compute_cap*) echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2;; esac\n\
         echo 'index, name, uuid, pci.bus_id, memory.total [MiB], memory.free [MiB], driver_version'\n\
         echo '0, Tesla P40, GPU-1, 00000000:03:00.0, 24576 MiB, 24500 MiB, 470.82.01'",
    );
    machine.ends(0, &["hardware", "detect", "--out", "rig.toml"]);
    let found = host(&machine.read("rig.toml"));
    assert_eq!(found.gpus[0].compute_capability.to_string(), "6.1", "from the table of cards");
}

#[test]
fn without_a_gpu_the_ways_to_describe_one_are_named() {
    if has_a_driver() {
        return;
    }
    let machine = Machine::new();
    let (_, said) = machine.ends(8, &["hardware", "detect"]);
    for word in ["no NVIDIA GPU was found", "--gpu \"RTX 4090\"", "detect --cpu", "hardware list"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!machine.path("presets").exists(), "nothing is written");
    let broken = Machine::new().smi("echo \"NVIDIA-SMI has failed\"; exit 9");
    let (_, said) = broken.ends(8, &["hardware", "detect"]);
    assert!(said.contains("NVIDIA-SMI has failed") && said.contains("restart"), "{said}");
}

#[test]
fn a_machine_without_gpus_and_a_machine_by_names() {
    let machine = Machine::new();
    machine.ends(0, &["hardware", "detect", "--cpu", "--no-measure"]);
    let text = machine.read("presets/hardware/cpu.toml");
    let found = host(&text);
    assert!(found.gpus.is_empty() && found.ram.total.is_some(), "{text}");
    // The template becomes a GPU by taking its marks away.
    let filled: String = text
        .lines()
        .map(|line| {
            let filled = line
                .strip_prefix("# ")
                .filter(|rest| rest.starts_with("[[gpu]]") || rest.split(' ').nth(1) == Some("="));
            format!("{}\n", filled.unwrap_or(line))
        })
        .collect();
    let found = host(&filled);
    assert_eq!(found.gpus.len(), 1, "{filled}");
    assert_eq!(found.ram.bandwidth_gbs, Some(50.0));

    machine.ends(0, &["hardware", "detect", "--gpu", "RTX 3090", "--gpu", "rtx 3090"]);
    let found = host(&machine.read("presets/hardware/2xrtx3090.toml"));
    assert_eq!(found.name, "2 x RTX 3090");
    assert_eq!(found.gpus[1].bandwidth_gbs, Some(936.0));
}

#[test]
fn known_cards_are_listed() {
    let machine = Machine::new();
    let (text, _) = machine.ends(0, &["hardware", "list"]);
    let row = text.lines().find(|line| line.starts_with("RTX 4090 ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[2], "24564");
    assert_eq!(&cells[4..], ["1008", "8.9"]);
    let (json, _) = machine.ends(0, &["hardware", "list", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len() + 1, text.lines().count());
}

/// The devices of an estimate for these GPUs, as name, and MiB that are free.
fn estimated(gpus: &[&str]) -> Vec<(String, f64)> {
    let model = root().join("tests/it/headers/gemma3-27b.gguf");
    let mut args = vec!["estimate", model.as_str(), "--format", "json"];
    args.extend(gpus.iter().flat_map(|gpu| ["--gpu", gpu]));
    args.extend(["--", "-c", "8192"]);
    let (json, _) = Machine::new().ends(0, &args);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let devices = json["devices"].as_array().unwrap().iter();
    devices
        .filter_map(|device| {
            Some((device["name"].as_str()?.to_owned(), device["free_mib"].as_f64()?))
        })
        .collect()
}

#[test]
fn cards_are_named_or_measured_and_both_together() {
    let free = |gpus: &[&str]| -> Vec<f64> {
        estimated(gpus)
            .into_iter()
            .filter(|(name, _)| name != "Host")
            .map(|(_, free)| free)
            .collect()
    };
    let known = composegen::hardware::known("RTX 4090").unwrap().free.mib();
    assert_eq!(free(&["RTX 4090"]), [known]);
    assert_eq!(free(&["4090", "16303:12761", "rtx 5070 ti:12761"]), [known, 12761.0, 12761.0]);
    let by_name = estimated(&["RTX 4090"]);
    let by_numbers = estimated(&[&format!("24564:{known}:8.9:1008")]);
    assert_eq!(by_name, by_numbers);
}

#[test]
fn a_card_that_is_not_known_is_asked_back() {
    let model = root().join("tests/it/headers/gemma3-27b.gguf");
    for (gpu, parts) in [
        (
            "RTX 4091",
            &["`RTX 4091` is no GPU that is known here", "`RTX 4090`", "hardware list"][..],
        ),
        ("RTX 4060 Ti", &["there are several", "RTX 4060 Ti 8GB`, `RTX 4060 Ti 16GB"]),
        ("RTX 4090:30000", &["in MiB, of 24564"]),
        ("RTX 4090:", &["in MiB, of 24564"]),
        ("24564", &["is no GPU that is known here", "TOTAL:FREE"]),
        ("16303:24564", &["TOTAL:FREE in MiB"]),
        ("24564:23671:8.9:inf", &["TOTAL:FREE in MiB"]),
        ("", &["is no GPU that is known here"]),
    ] {
        for command in ["estimate", "plan"] {
            let mut args = vec![command];
            args.extend((command == "plan").then_some("--model"));
            args.extend([model.as_str(), "--gpu", gpu]);
            let (_, said) = Machine::new().ends(2, &args);
            for part in parts {
                assert!(said.contains(part), "{gpu}: {part}: {said}");
            }
        }
    }
}
