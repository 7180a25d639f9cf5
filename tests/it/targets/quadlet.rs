//! Units through Podman's own generator, and what systemd would then run, word by word.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use composegen::plan::Target;
use composegen::quote::systemd;

use crate::chain::{assert_served, compiled_for, hostile_presets, lay_out};
use crate::dialects::values::all;
use crate::repository::{files, root};
use crate::tools;

/// Values per unit: systemd takes lines up to a megabyte.
const BATCH: usize = 500;

/// The services that Quadlet makes of the units of a directory, by name.
fn services(quadlet: &Path, dir: &Path) -> BTreeMap<String, String> {
    let output =
        Command::new(quadlet).arg("-dryrun").env("QUADLET_UNIT_DIRS", dir).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}", said.chars().take(2000).collect::<String>());
    for line in said.lines() {
        assert!(line.contains("Loading source unit file"), "{line}");
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let mut services: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("---").and_then(|name| name.strip_suffix("---")) {
            Some(name) => name.clone_into(&mut current),
            None => services.entry(current.clone()).or_default().push_str(line),
        }
    }
    services
}

/// The arguments that podman would get.
fn podman(service: &str) -> Vec<String> {
    let line = service.split('\n').find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let specifier = |c| matches!(c, 't' | 'N').then(|| format!("<{c}>"));
    systemd::decode(line, &specifier, &|name| Some(format!("<{name}>"))).unwrap()
}

fn values<'a>(argv: &'a [String], option: &str) -> Vec<&'a str> {
    let pairs = argv.iter().zip(argv.iter().skip(1));
    pairs.filter(|(word, _)| *word == option).map(|(_, value)| value.as_str()).collect()
}

fn environment(argv: &[String]) -> BTreeMap<String, String> {
    let pairs = values(argv, "--env").into_iter().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn words_arrive_at_podman() {
    let Some(quadlet) = tools::find("quadlet") else { return };
    let values: Vec<String> =
        all(800).into_iter().filter(|value| systemd::word(value).is_ok()).collect();
    assert!(values.len() > 8000, "{}", values.len());
    let dir = tempfile::tempdir().unwrap();
    for (i, batch) in values.chunks(BATCH).enumerate() {
        let mut unit = "[Container]\nImage=localhost/i:t\n".to_owned();
        for (k, value) in batch.iter().enumerate() {
            let word = systemd::word(&format!("K{k}={value}")).unwrap();
            writeln!(unit, "Environment={word}\nLabel={word}").unwrap();
        }
        std::fs::write(dir.path().join(format!("u{i}.container")), unit).unwrap();
    }
    let services = services(&quadlet, dir.path());
    for (i, batch) in values.chunks(BATCH).enumerate() {
        let argv = podman(&services[&format!("u{i}.service")]);
        let environment = environment(&argv);
        assert_eq!(environment.len(), batch.len());
        for (k, value) in batch.iter().enumerate() {
            assert_eq!(&environment[&format!("K{k}")], value);
        }
        assert_eq!(argv.last().unwrap(), "localhost/i:t");
    }
}

#[test]
fn lines_arrive_at_podman() {
    let Some(quadlet) = tools::find("quadlet") else { return };
    let paths: Vec<String> = all(801)
        .into_iter()
        .map(|value| format!("/a{}", value.replace(':', ";")))
        .filter(|path| systemd::line(path).is_ok())
        .take(2000)
        .collect();
    assert_eq!(paths.len(), 2000);
    let dir = tempfile::tempdir().unwrap();
    let mut unit = "[Container]\nImage=localhost/i:t\n".to_owned();
    for path in &paths {
        writeln!(unit, "Volume={}", systemd::line(&format!("{path}:/x:ro")).unwrap()).unwrap();
    }
    std::fs::write(dir.path().join("u.container"), unit).unwrap();
    let argv = podman(&services(&quadlet, dir.path())["u.service"]);
    let volumes = values(&argv, "-v");
    for (volume, path) in volumes.iter().zip(&paths) {
        assert_eq!(*volume, format!("{path}:/x:ro"));
    }
    assert_eq!(volumes.len(), paths.len());
}

#[test]
fn hostile_presets_arrive_at_the_server() {
    let Some(quadlet) = tools::find("quadlet") else { return };
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    let presets = hostile_presets(here, &|_| true);
    let out = tempfile::tempdir().unwrap();
    let compiled = compiled_for(Some(Target::Quadlet), here, &presets);
    lay_out(out.path(), &compiled);
    let services = services(&quadlet, out.path());
    for strategy in &compiled.plan.strategies {
        let argv = podman(&services[&format!("llama-{}.service", strategy.name)]);
        assert_served(out.path(), strategy, &environment(&argv), "Quadlet");
    }
}

#[test]
fn every_preset_becomes_a_unit() {
    let Some(quadlet) = tools::find("quadlet") else { return };
    let presets = files("presets", "toml");
    for path in presets {
        let preset = path.strip_prefix(root()).unwrap().to_owned();
        let compiled = compiled_for(Some(Target::Quadlet), root(), &[preset]);
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), &compiled);
        let strategy = &compiled.plan.strategies[0];
        let services = services(&quadlet, dir.path());
        let argv = podman(&services[&format!("llama-{}.service", strategy.name)]);
        assert_served(dir.path(), strategy, &environment(&argv), "Quadlet");
        let models = dir.path().join("models");
        assert_eq!(values(&argv, "-v"), [format!("{}:/models:ro", models.display())]);
        assert_eq!(values(&argv, "--publish"), ["127.0.0.1:8080:8080"]);
        assert_eq!(values(&argv, "--user"), ["10001:10001"]);
        let gpus = strategy.host.as_ref().map_or(0, |host| host.gpus.len());
        assert_eq!(values(&argv, "--device").len(), gpus, "{path}");
        assert_eq!(argv.last().unwrap(), &format!("localhost/{}", strategy.image.name));
        verify(dir.path(), &services);
    }
}

/// Strategies of one directory stop each other; further keys arrive where podman reads them.
#[test]
fn several_units_and_all_keys_of_a_container() {
    let Some(quadlet) = tools::find("quadlet") else { return };
    let dir = tempfile::tempdir().unwrap();
    let here = Utf8Path::from_path(dir.path()).unwrap();
    std::fs::create_dir(here.join("hardware")).unwrap();
    let gpu = "[[gpu]]\nname = \"A\"\nmemory_mib = 9000\ncompute_capability = \"8.9\"\nuuid = \"GPU-1\"\n";
    std::fs::write(here.join("hardware/rig.toml"), gpu).unwrap();
    let preset = "hardware = \"rig\"\n[model]\nfile = \"a.gguf\"\nsize_gib = 10\n[placement]\n\
         load_mode = \"mlock\"\n[server]\nport = 9000\napi_key_file = \"k\"\n[image]\n\
         name = \"r.example/i:t\"\n[container]\nproject = \"own\"\npublish = \"::1\"\n\
         models_dir = \"/srv/m $x 5%\"\nvolumes = [\"/a b:/c:ro\", \"d:/e\"]\nmemory_limit = 1000\n\
         shm_size = 64\nrestart = \"always\"\nuser = \"7:8\"\nenvironment = { A = \"%h $x\" }\n";
    let names = ["a", "b", "c"];
    let presets = names.map(|name| {
        std::fs::write(here.join(format!("{name}.toml")), preset).unwrap();
        Utf8PathBuf::from(format!("{name}.toml"))
    });
    let compiled = compiled_for(Some(Target::Quadlet), here, &presets);
    let out = tempfile::tempdir().unwrap();
    lay_out(out.path(), &compiled);
    let services = services(&quadlet, out.path());
    verify(out.path(), &services);
    assert_eq!(services.len(), 4);
    let service = &services["own-b.service"];
    for line in [
        "Conflicts=own-a.service\nConflicts=own-c.service\nAfter=own-a.service\n",
        "\nRestart=always\n",
        // A minute and 12 s for each GiB, a minute of margin, half an hour to pull.
        "\nTimeoutStartSec=2040\n",
    ] {
        assert!(service.contains(line), "{line}: {service}");
    }
    assert!(!service.contains("[Install]") && services["own-a.service"].contains("[Install]"));
    let argv = podman(service);
    let relative = out.path().join("d");
    let volumes = ["/srv/m $x 5%:/models:ro".to_owned(), "/a b:/c:ro".to_owned()];
    let volumes: Vec<_> =
        volumes.into_iter().chain([format!("{}:/e", relative.display())]).collect();
    assert_eq!(values(&argv, "-v"), volumes);
    for (option, value) in [
        ("--device", "nvidia.com/gpu=GPU-1"),
        ("--publish", "[::1]:9000:9000"),
        ("--secret", "own-api-key,type=mount,target=api_key,uid=7,gid=8,mode=0400"),
        ("--network", "own"),
        ("--ulimit", "memlock=-1:-1"),
        ("--shm-size", "64m"),
        ("--health-cmd", "[\"CMD\", \"/usr/local/bin/entrypoint\", \"health\"]"),
        ("--health-startup-retries", "18"),
    ] {
        assert_eq!(values(&argv, option), [value], "{option}");
    }
    assert!(argv.contains(&"--memory=1000m".to_owned()));
    let environment = environment(&argv);
    assert_eq!(environment["A"], "%h $x");
    assert_eq!(environment["CUDA_VISIBLE_DEVICES"], "GPU-1");
    assert_eq!(argv.last().unwrap(), "r.example/i:t");
}

/// systemd finds nothing wrong with the services, beside that podman may not be there.
fn verify(dir: &Path, services: &BTreeMap<String, String>) {
    let Some(analyze) = tools::find("systemd-analyze") else { return };
    for (name, text) in services {
        std::fs::write(dir.join(name), text.replace("/usr/bin/podman", "/bin/true")).unwrap();
    }
    let output = Command::new(analyze)
        .args(["--user", "--man=no", "verify"])
        .args(services.keys().map(|name| dir.join(name)))
        .env("XDG_RUNTIME_DIR", dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Quadlet names each mounted path for its order among mounts, and has no way to write one with blanks.
    let known = "RequiresMountsFor= path is not absolute";
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains(dir.to_str().unwrap()) && !line.contains(known))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}
