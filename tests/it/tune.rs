//! Where `tune` begins, and what its steps mean: layers per card as flags, held against the estimate.

use std::process::Command;

use composegen::gguf;
use composegen::hardware::Gpu;
use composegen::plan::counted::{Counted, Way};
use composegen::plan::memory::Request;
use composegen::units::Bytes;

use crate::repository::{root, snapshots};

fn gpu(total: u64, free: u64) -> Gpu {
    Gpu {
        name: String::new(),
        memory: Bytes::from_mib(total),
        free: Bytes::from_mib(free),
        compute_capability: "8.9".parse().unwrap(),
        bandwidth_gbs: None,
        pci: None,
        uuid: None,
        remote: None,
    }
}

fn header(name: &str) -> String {
    root().join("tests/it/headers").join(name).into_string()
}

/// One layer more takes at least what a layer is said to take; the fullest plan fits, and one more does not.
#[test]
fn steps_are_what_they_are_said_to_be() {
    let gpus = [gpu(24564, 23671), gpu(16303, 12761)];
    let margin = [Bytes::from_mib(1024)];
    for (file, front, ctx_size, way) in [
        ("qcn-ud6-00001-of-00003.gguf", true, 262_144, Way::Front),
        ("qcn-ud6-00001-of-00003.gguf", false, 131_072, Way::Own),
        ("gpt-oss-20b.gguf", false, 262_144, Way::Own),
        ("gemma3-27b.gguf", false, 131_072, Way::Blocks),
    ] {
        let model = gguf::open(header(file).as_ref()).unwrap();
        let words = ["-fa", "on", "-np", "1", "-ub", "1024"];
        let request = Request { ctx_size, ..Request::from_args(&words).unwrap() };
        let counted = Counted::new(&model, &gpus, &request, front, &margin).unwrap();
        assert_eq!((counted.way, counted.devices.len()), (way, 2), "{file}");
        assert_eq!(counted.split.iter().sum::<u32>(), model.block_count + 1, "{file}");
        let fullest = counted.fullest(ctx_size, &margin).unwrap().unwrap();
        assert!(counted.fits(&fullest, ctx_size, &margin).unwrap(), "{file}: {fullest:?}");
        let most = counted.most();
        for card in 0..2 {
            let total = |layers: &[u32]| {
                let estimate = counted.estimate(layers, ctx_size).unwrap();
                estimate.devices[card].model.0 + estimate.devices[card].context.0
            };
            let mut more = fullest.clone();
            more[card] += 1;
            if more[card] > most[card] || more.iter().sum::<u32>() > counted.blocks() {
                continue;
            }
            let step = (total(&more) - total(&fullest)) >> 20;
            assert!(step >= counted.layer_mib(), "{file}: {step} for {}", counted.layer_mib());
            let last = card == 1;
            assert!(!last || !counted.fits(&more, ctx_size, &margin).unwrap(), "{file}: {more:?}");
        }
    }
}

#[test]
fn a_split_that_is_given_stays() {
    let model = gguf::open(header("qcn-ud6-00001-of-00003.gguf").as_ref()).unwrap();
    let gpus = [gpu(24564, 23671), gpu(16303, 12761)];
    let request = Request::from_args(&["-ts", "30,19", "-c", "65536", "-fa", "on"]).unwrap();
    for front in [true, false] {
        let counted = Counted::new(&model, &gpus, &request, front, &[]).unwrap();
        assert_eq!(counted.split, [30, 19]);
        let flags = counted.flags(&[2, 1]);
        assert!(
            flags.iter().any(|(flag, word)| flag.long() == "--tensor-split" && word == "30,19")
        );
    }
    // One that planning chose is not asked for twice.
    let counted = Counted::new(&model, &gpus, &request, false, &[]).unwrap();
    assert_eq!(counted.most(), [30, 18]);
    let (_, rules) = counted.flags(&[29, 18]).pop().unwrap();
    assert_eq!(rules, r"blk\.(29)\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU");
}

fn dry(dir: &std::path::Path, preset: &str, args: &[&str]) -> String {
    std::fs::write(dir.join("mine.toml"), preset).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_composegen"))
        .args(["tune", "mine.toml", "--dry-run"])
        .args(args)
        .current_dir(dir)
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- out\n{out}--- err\n{err}").replace(root().as_str(), "")
}

#[test]
fn where_it_begins_is_reviewed() {
    let dir = tempfile::tempdir().unwrap();
    let base = root().join("presets/base/qwen3-coder-next");
    let ud6 = header("qcn-ud6-00001-of-00003.gguf");
    let model = format!("[model]\nfile = \"m-00001-of-00003.gguf\"\nheader = \"{ud6}\"\n");
    let preset = |more: &str| format!("extends = \"{base}\"\n{model}{more}");
    let rig = root().join("presets/hardware/rtx4090-rtx5070ti");
    let dense = format!(
        "hardware = \"{rig}\"\n[model]\nfile = \"m.gguf\"\nheader = \"{}\"\n[context]\nctx_size = 131072\n\
         [placement]\nauto = true\n",
        header("gemma3-27b.gguf")
    );
    let layers = preset("[placement]\nlayers = [13, 6]\n");
    let recorded = preset(
        "[placement]\nlayers = [13, 6]\n[[attempt]]\nlayers = [14, 7]\noutcome = \"out-of-memory\"\ndevice = \"CUDA0\"\n",
    );
    let auto = preset("[placement]\nauto = true\n");
    let pinned = preset("[placement]\nauto = true\npinned_layers = [2, \"auto\"]\n");
    for (name, preset, args) in [
        ("layers", &layers, &["--contexts", "192K,128K"][..]),
        ("recorded", &recorded, &["--contexts", "192K"]),
        ("auto", &auto, &["--contexts", "128K", "--also", "ubatch=1024,4096", "--format", "json"]),
        ("pinned", &pinned, &[]),
        ("dense", &dense, &["--contexts", "32K", "--also", "threads"]),
        ("layers-of-three", &layers, &["--layers", "3,2,1"]),
        ("layers-asked-for", &layers, &["--layers", "2,1", "--contexts", "192K"]),
        ("layers-beyond", &layers, &["--layers", "99,99"]),
        ("layers-beyond-in-all", &layers, &["--layers", "40,40"]),
        ("contexts-above", &layers, &["--contexts", "512K,128K"]),
        ("margin-of-three", &layers, &["--margin", "1,2,3"]),
        ("also-unknown", &layers, &["--also", "temp=1"]),
        ("also-value", &layers, &["--also", "cache-type=q8_0,q9_9"]),
        ("also-twice", &layers, &["--also", "ubatch", "--also", "ubatch=512"]),
        ("no-context", &layers, &["--contexts", "12"]),
    ] {
        let text = dry(dir.path(), preset, args);
        snapshots("tune").bind(|| insta::assert_snapshot!(name, text));
    }
}
