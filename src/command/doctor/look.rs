//! The looks that `doctor` takes: facts in, a line out.

use super::super::accepted;
use super::super::image::free;
use super::super::up::model;
use super::{Line, Wanted};
use crate::engine::Engine;
use crate::engine::compose::Compose;
use crate::engine::facts::Facts;
use crate::engine::image::Image;
use crate::flags::Accepted;
use crate::gpu::{Detected, GpuError};
use crate::plan::image::oldest_driver;
use crate::preset::container::GpuDriver;
use crate::units::Bytes;

/// Less than this on the engine's disk, and a first build will not end well.
const ROOM: u64 = 10 << 30;

pub(super) fn engine(engine: &Engine, facts: &Facts) -> Line {
    let kind = match (facts.podman, facts.rootless) {
        (true, _) => "Podman",
        (false, true) => "Docker, rootless",
        (false, false) => "Docker",
    };
    let found = format!(
        "{kind} {} (API {}) at {}, {} {}",
        facts.version, facts.api, engine.address, facts.os, facts.architecture
    );
    if facts.os == "linux" {
        Line::good("engine", found)
    } else {
        Line::bad("engine", found, "switch the engine to Linux containers")
    }
}

pub(super) fn buildkit(facts: &Facts) -> Line {
    let what = "buildkit";
    if facts.podman {
        let remedy =
            "build with `podman build --target server` in the output directory; running works";
        return Line::bad(what, "Podman has none", remedy);
    }
    if facts.has_buildkit() {
        Line::good(what, format!("part of engine {}", facts.version))
    } else {
        Line::bad(
            what,
            format!("engine {} has none", facts.version),
            "update Docker to 20.10 or later",
        )
    }
}

/// composegen itself needs none.
pub(super) fn compose(found: Option<Compose>) -> Line {
    match found {
        Some(compose) => Line::good("compose", compose.version),
        None => Line::unknown(
            "compose",
            "no Compose 2 or later is installed; composegen needs none, `docker compose` in the output directory does",
        ),
    }
}

pub(super) fn runtime(facts: &Facts, wanted: Option<&Wanted>) -> Line {
    let what = "gpus";
    let (runtime, cdi) = (facts.nvidia_runtime(), facts.cdi_gpus());
    let runtime_said =
        runtime.map_or("no NVIDIA runtime".to_owned(), |name| format!("runtime {name}"));
    let cdi_said = match (cdi.is_empty(), facts.lists_cdi()) {
        (false, _) => format!("CDI devices {}", cdi.join(", ")),
        (true, true) => "no CDI device of NVIDIA".to_owned(),
        (true, false) => "it does not list CDI devices".to_owned(),
    };
    let found = format!("{runtime_said}; {cdi_said}");
    let Some(wanted) = wanted else {
        let known = runtime.is_some() || !cdi.is_empty();
        let found = if known { found } else { format!("{found}; a preset for the CPU needs none") };
        return if known { Line::good(what, found) } else { Line::unknown(what, found) };
    };
    let Some(gpus) = &wanted.service.gpus else { return Line::good(what, "the preset needs none") };
    if !facts.gives_gpus() {
        let found = format!(
            "Podman {} forgets devices that are asked for through its socket",
            facts.version
        );
        return Line::bad(what, found, Facts::WITHOUT_GPUS);
    }
    let lacks = gpus.ids.iter().find(|id| !cdi.contains(&id.as_str()));
    match gpus.driver {
        GpuDriver::Nvidia if runtime.is_some() => Line::good(what, found),
        GpuDriver::Nvidia if !cdi.is_empty() => {
            Line::bad(what, found, "set `gpu_driver = \"cdi\"` in the preset's [container]")
        }
        GpuDriver::Nvidia if facts.podman => {
            let remedy = "set `gpu_driver = \"cdi\"` in the preset's [container], and describe the GPUs with \
                          `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`";
            Line::bad(what, found, remedy)
        }
        GpuDriver::Nvidia => Line::bad(
            what,
            found,
            "install nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, restart Docker",
        ),
        GpuDriver::Cdi if !facts.lists_cdi() => Line::unknown(what, found),
        GpuDriver::Cdi => match lacks {
            None => Line::good(what, found),
            Some(id) => Line::bad(
                what,
                format!("{found}; `{id}` is not among them"),
                "`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` describes the GPUs; Docker has CDI on \
                 from 28.3",
            ),
        },
    }
}

pub(super) fn disk(engine: &Engine, facts: &Facts, wanted: Option<&Wanted>) -> Line {
    let what = "disk";
    let Some(bytes) = engine.address.is_local().then(|| free(&facts.root)).flatten() else {
        return Line::unknown(what, format!("{} is not a disk of this machine", facts.root));
    };
    let found = format!("{} free in {} ({})", Bytes(bytes), facts.root, facts.storage);
    let cpu = wanted.is_some_and(|wanted| wanted.plan.image.cuda().is_none());
    let needed = if cpu { 2 << 30 } else { ROOM };
    if bytes >= needed {
        Line::good(what, found)
    } else {
        Line::bad(
            what,
            found,
            "`docker system df` shows what takes the room; a first build wants more",
        )
    }
}

pub(super) fn memory(facts: &Facts, wanted: Option<&Wanted>) -> Line {
    let what = "memory";
    let per_job = wanted.map_or(2048, |wanted| wanted.plan.image.mib_per_job());
    let needed = Bytes::from_mib(u64::from(per_job));
    let found = format!("{}, {} CPUs", Bytes(facts.memory_bytes), facts.cpus);
    if facts.memory_bytes >= needed.0 {
        Line::good(what, found)
    } else {
        let remedy = format!("one compile job takes {needed}: build the image on another machine");
        Line::bad(what, found, remedy)
    }
}

pub(super) fn image(wanted: &Wanted, found: Option<&Image>) -> Line {
    let name = &wanted.service.image;
    match found {
        Some(image) => Line::good("image", format!("{name}, {}", Bytes(image.bytes))),
        None => Line::bad(
            "image",
            format!("{name} is not there"),
            format!("`composegen build {} --image` makes it", wanted.service.strategy),
        ),
    }
}

/// Whether the image's llama-server takes what the preset gives it.
pub(super) fn flags(wanted: &Wanted, found: Option<&Accepted>) -> Line {
    let what = "flags";
    let Some(found) = found else {
        return Line::unknown(what, "the image does not say which flags its llama-server takes");
    };
    match accepted::hold(found, &wanted.words, &wanted.service.image) {
        Ok(()) => Line::good(what, format!("llama.cpp {} takes all of the preset's", found.name())),
        Err(failure) => Line::of(what, &failure),
    }
}

pub(super) fn driver(found: Result<Detected, GpuError>, wanted: Option<&Wanted>) -> Line {
    let what = "driver";
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            return Line::bad(
                what,
                error.to_string(),
                "reboot after a driver's update, or install it anew",
            );
        }
    };
    let cuda = wanted.and_then(|wanted| wanted.plan.image.cuda());
    let Some(driver) = &found.driver else {
        let nothing = found.notes.first().cloned().unwrap_or_else(|| "none".to_owned());
        return match (wanted.is_some(), cuda) {
            (true, Some(_)) => {
                Line::bad(what, nothing, "install NVIDIA's driver on the engine's machine")
            }
            (true, None) => Line::good(what, "the preset needs none"),
            (false, _) => Line::unknown(what, nothing),
        };
    };
    let gpus: Vec<&str> = found.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
    let said = format!("{driver}, {}", gpus.join(", "));
    let branch = driver.split('.').next().and_then(|part| part.parse::<u32>().ok());
    let Some((cuda, branch)) = cuda.zip(branch) else { return Line::good(what, said) };
    let blackwell = found.gpus.iter().any(|gpu| gpu.compute_capability.major >= 10);
    let needed = oldest_driver(u32::from(cuda.version.major), blackwell);
    if branch >= needed {
        Line::good(what, said)
    } else {
        let remedy = format!(
            "CUDA {} needs driver {needed}: update the driver, or set an older `image.cuda`",
            cuda.version
        );
        Line::bad(what, said, remedy)
    }
}

pub(super) fn models(wanted: &Wanted, here: bool) -> Line {
    let directory = &wanted.service.models;
    if !here {
        let said = format!(
            "{directory} is one of the engine's machine, which is not to be seen from here"
        );
        return Line::unknown("models", said);
    }
    if !directory.is_dir() {
        let remedy = "make it, or name another in `container.models_dir`";
        return Line::bad("models", format!("{directory} is not there"), remedy);
    }
    match model(&wanted.service) {
        Ok(()) => Line::good(
            "models",
            wanted
                .service
                .model
                .as_ref()
                .map_or_else(|| directory.to_string(), ToString::to_string),
        ),
        Err(failure) => Line::of("models", &failure),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::{Facts, buildkit, compose, memory, runtime};

    #[test]
    fn facts_become_verdicts() {
        let docker = Facts { version: "28.5.2".into(), memory_bytes: 4 << 30, ..Facts::default() };
        let podman = Facts { podman: true, ..docker.clone() };
        let old = Facts { version: "19.03.1".into(), memory_bytes: 1 << 30, ..docker.clone() };
        let nvidia = Facts { runtimes: vec!["nvidia".into(), "runc".into()], ..docker.clone() };
        let cdi = Facts { devices: vec!["nvidia.com/gpu=0".into()], ..docker.clone() };
        let verdicts = [
            buildkit(&docker).verdict,
            buildkit(&podman).verdict,
            buildkit(&old).verdict,
            memory(&docker, None).verdict,
            memory(&old, None).verdict,
            runtime(&nvidia, None).verdict,
            runtime(&cdi, None).verdict,
            runtime(&docker, None).verdict,
            compose(None).verdict,
        ];
        let (good, bad, unknown) = (Verdict::Good, Verdict::Bad, Verdict::Unknown);
        assert_eq!(verdicts, [good, bad, bad, good, bad, good, good, unknown, unknown]);
        assert!(buildkit(&old).remedy.is_some());
    }
}
