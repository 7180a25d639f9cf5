//! What is compiled: one source, and a CUDA that knows the GPUs and that the driver knows.

use super::{Subject, at};
use crate::diagnostic::{Code, Diagnostic};
use crate::hardware::{ComputeCapability, Gpu};
use crate::plan::image::Backend;
use crate::plan::image::oldest_driver;
use crate::strategy::Image;

pub(super) fn check(subject: &mut Subject<'_>) {
    source(subject);
    // Words that are no image, no commit, no version are found where they are read.
    let image = Image::new(subject.preset, subject.host, subject.findings);
    if let Backend::Cuda(cuda) = &image.plan.backend {
        versions(subject, (u32::from(cuda.version.major), u32::from(cuda.version.minor)));
    }
}

fn source(subject: &mut Subject<'_>) {
    let image = &subject.preset.image;
    let given = [
        image.branch.as_ref().map(|set| ("branch", &set.at)),
        image.tag.as_ref().map(|set| ("tag", &set.at)),
        image.commit.as_ref().map(|set| ("commit", &set.at)),
        image.source_dir.as_ref().map(|set| ("source_dir", &set.at)),
    ];
    let mut given = given.into_iter().flatten();
    let (Some((first, first_at)), Some((second, second_at))) = (given.next(), given.next()) else {
        return;
    };
    let finding = Diagnostic::new(
        Code::SourceConflict,
        format!("`{first}` and `{second}` name two sources of llama.cpp"),
    )
    .at(second_at.clone())
    .related(first_at.clone(), format!("`{first}` is set here"))
    .help("keep one of `branch`, `tag`, `commit` and `source_dir`");
    subject.push(finding);
}

fn versions(subject: &mut Subject<'_>, version: (u32, u32)) {
    let Some(host) = subject.host else { return };
    let written = format!("{}.{}", version.0, version.1);
    let place = || at(&subject.preset.image.cuda).or_else(|| at(&subject.preset.head.hardware));
    let mut findings = Vec::new();
    let processor = |gpu: &Gpu| gpu.remote.as_ref().is_some_and(|remote| remote.cpu);
    for gpu in host.gpus.iter().filter(|gpu| !processor(gpu)) {
        let needed = oldest(gpu.compute_capability);
        if version < needed {
            let ComputeCapability { major, minor } = gpu.compute_capability;
            findings.push(
                Diagnostic::new(
                    Code::CudaTooOld,
                    format!("CUDA {written} cannot compile for {} (sm_{major}{minor})", gpu.name),
                )
                .at(place())
                .help(format!("set `image.cuda` to {}.{} or newer", needed.0, needed.1)),
            );
        }
    }
    let blackwell = host.gpus.iter().any(|gpu| gpu.compute_capability.major >= 10);
    let needed = oldest_driver(version.0, blackwell);
    let driver = host.driver.as_deref().and_then(|driver| driver.split('.').next()?.parse().ok());
    if let Some(driver) = driver.filter(|driver: &u32| *driver < needed) {
        findings.push(
            Diagnostic::new(
                Code::CudaTooNew,
                format!("CUDA {written} needs driver {needed}, and the machine has {driver}"),
            )
            .at(place())
            .help("update the driver, or take an older CUDA that still knows the GPUs"),
        );
    }
    subject.findings.extend(findings);
}

/// The first CUDA release that compiles for the GPU (ggml-cuda's CMakeLists.txt).
fn oldest(capability: ComputeCapability) -> (u32, u32) {
    match (capability.major, capability.minor) {
        (12, 1..) => (12, 9),
        (10.., _) => (12, 8),
        (8, 9) | (9, _) => (11, 8),
        _ => (11, 0),
    }
}
