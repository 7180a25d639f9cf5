//! The generated Dockerfile: clean for the linters, and built for real, from a server of the source as from a
//! directory, on every engine.

use std::path::Path;

use composegen::hardware::Isa;
use composegen::plan::image::{
    Architecture, Backend, CpuKernels, Cuda, ImagePlan, Reference, Source,
};
use composegen::render::dockerfile::{dockerfile, dockerignore};

use crate::engine::{BASE, Engine};
use crate::repository::Repository;
use crate::{Case, project, tools};

pub(crate) const CASES: &[Case] = &[
    ("dockerfile::every_variant_is_clean", every_variant_is_clean),
    ("dockerfile::a_moved_branch_is_built_anew", a_moved_branch_is_built_anew),
    ("dockerfile::a_pinned_commit_stays", a_pinned_commit_stays),
    ("dockerfile::cuda_from_a_directory", cuda_from_a_directory),
    ("dockerfile::described_gpus_are_seen", described_gpus_are_seen),
];

const DESCRIBED_GPUS: &str = include_str!("../../templates/described-gpus.c");
const ENTRYPOINT: &str = "#!/bin/sh\nexec /app/llama-server \"$@\"\n";

fn every_variant_is_clean(engine: &Engine) {
    let cpu = plan(Source::upstream());
    let cuda = ImagePlan { backend: Backend::Cuda(cuda()), tls: true, rpc: true, ..cpu.clone() };
    let (build_base, runtime_base) = cuda.backend.default_bases();
    let cuda = ImagePlan { build_base, runtime_base, ..cuda };
    let mut pinned = cuda.clone();
    if let Source::Git { commit, .. } = &mut pinned.source {
        *commit = Some("0123456789abcdef0123456789abcdef01234567".parse().unwrap());
    }
    let local = ImagePlan { source: Source::local("llama.cpp").unwrap(), ..cuda.clone() };
    for plan in [cpu, cuda, pinned, local] {
        let context = context(&plan);
        let path = context.path();
        project::write(&path.join("llama.cpp"), "x");
        if let Some(mut hadolint) = tools::find("hadolint") {
            let output = hadolint.arg("--no-color").arg(path.join("Dockerfile")).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        // The older engine takes `--check` for the name of a frontend in a registry.
        if engine.name == "current" {
            let log = engine.must_build(path, &["--check"]);
            assert!(log.contains("no warnings found"), "{log}");
        }
    }
}

fn a_moved_branch_is_built_anew(engine: &Engine) {
    let repository = Repository::new();
    // The words are new in each run, so that the compiler's cache has not seen them.
    let nonce = format!("{}-{}", engine.name, std::process::id());
    project::write(repository.path(), &format!("one-{nonce}"));
    repository.commit();
    let server = repository.serve();
    let plan = plan(git(&server.url, Reference::branch("master").unwrap()));
    let context = context(&plan);
    let image = engine.image();
    let build = || engine.must_build(context.path(), &["--tag", &image.name]);
    let run = || String::from_utf8(image.run(&["--workdir=/tmp"], &["a b", "$c"])).unwrap();

    build();
    let short = |commit: &str| commit.split_at(9).0.to_owned();
    let first = short(&repository.git(&["rev-parse", "HEAD"]));
    assert_eq!(run(), format!("one-{nonce} 1-{first}\na b\n$c\n"));

    project::set_word(repository.path(), &format!("two-{nonce}"));
    let second = short(&repository.commit());
    let log = build();
    assert_eq!(run(), format!("two-{nonce} 2-{second}\na b\n$c\n"), "{log}");
    // Two files of the library have changed; the four programs' main has not.
    let counts = |line: &str| {
        let numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        numbers.collect::<Vec<u32>>()
    };
    let stats = |what: &str| log.lines().find(|line| line.contains(what)).map(counts);
    assert_eq!(stats("Hits:"), Some(vec![7, 9]), "{log}");
    assert_eq!(stats("Misses:"), Some(vec![2, 9]), "{log}");

    // Another branch moves: asked again, found the same, nothing compiled.
    repository.git(&["branch", "other", "HEAD~1"]);
    let log = build();
    assert!(log.contains("llama.cpp b2, commit"), "the source was not asked for again:\n{log}");
    // Where another build holds the layers before this one at the moment, BuildKit may run the step again: then all of it
    // comes out of the compiler's cache.
    let stats = |what: &str| log.lines().find(|line| line.contains(what)).map(counts);
    let again = log.contains("Building C object");
    assert!(!again || stats("Misses:") == Some(vec![0, 9]), "{log}");
}

fn a_pinned_commit_stays(engine: &Engine) {
    let repository = Repository::new();
    project::write(repository.path(), "one");
    let first = repository.commit();
    project::set_word(repository.path(), "two");
    let second = repository.commit();
    let server = repository.serve();
    let mut plan = plan(git(&server.url, Reference::branch("master").unwrap()));
    if let Source::Git { commit, .. } = &mut plan.source {
        *commit = Some(first.parse().unwrap());
    }
    let context = context(&plan);
    let source = |arguments: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let output = format!("--output=type=local,dest={}", out.path().display());
        let mut options = vec!["--target=llama-src", &output];
        options.extend(arguments.iter().flat_map(|argument| ["--build-arg", argument]));
        engine.build(context.path(), &options)?;
        Ok::<_, String>(fs_err::read_to_string(out.path().join(".llama-build")).unwrap())
    };
    let stamp = |number: u32, commit: &str| Ok(format!("{number} {}\n", commit.split_at(9).0));

    assert_eq!(source(&[]), stamp(1, &first));
    let other = format!("LLAMA_COMMIT={second}");
    assert_eq!(source(&[&other]), stamp(2, &second));
    // Both commits are in the cache now: no server, no layer cache, same source.
    drop(server);
    assert_eq!(source(&["LLAMA_BUILD_NUMBER=7"]), stamp(7, &first));
    assert_eq!(source(&[&other, "LLAMA_BUILD_NUMBER=8"]), stamp(8, &second));

    for (arguments, message) in [
        (vec!["LLAMA_REF=b1"], "LLAMA_COMMIT is still that of master; pass both"),
        (vec!["LLAMA_COMMIT="], "LLAMA_COMMIT is empty"),
        (vec!["LLAMA_COMMIT=b1"], "give all 40 hex digits"),
    ] {
        let log = source(&arguments).unwrap_err();
        assert!(log.contains(message), "{arguments:?}: {log}");
    }
}

fn cuda_from_a_directory(engine: &Engine) {
    let toolkit = stand_in_toolkit(engine);
    let nasty = r#"a b "$x" \ `id` * 'q' #"#;
    let mut plan = plan(Source::local("llama.cpp").unwrap());
    plan.backend = Backend::Cuda(cuda());
    plan.build_base = toolkit.name.parse().unwrap();
    plan.definitions = vec![format!("NASTY={nasty}").parse().unwrap()];
    plan.build_number = Some(11434);
    plan.labels = vec![("dev.composegen.test".into(), nasty.into())];
    let context = context(&plan);
    let source = context.path().join("llama.cpp");
    project::write(&source, "cuda");
    for heavy in [".git/config", "build/x.c", "build-cuda/x.c", "models/x.txt", "deep/x.gguf"] {
        project::file(&source, heavy, "");
    }
    project::file(context.path(), "model.gguf", "");

    let image = engine.image();
    engine.must_build(context.path(), &["--tag", &image.name]);
    assert_eq!(image.run(&["--workdir=/"], &["x"]), b"cuda 11434-unknown\nx\n");
    let cat =
        |path: &str| String::from_utf8(image.run(&["--entrypoint=/bin/cat"], &[path])).unwrap();
    let seen = format!(
        "CMAKE_CUDA_ARCHITECTURES=89-real;120a-real\nGGML_CUDA_FA_QUANTS=f16-f16;q8_0-q8_0\n\
         GGML_NATIVE=OFF\nNASTY={nasty}\nFILES=CMakeLists.txt;build.c.in;cuda.c;main.c;word.c\n"
    );
    assert_eq!(cat("/app/seen.so.txt"), seen);
    assert_eq!(cat("/usr/local/lib/libcublas.so.12"), "libcublas.so.12\n");
    let id = image.run(&["--entrypoint=/usr/bin/id"], &[]);
    assert_eq!(id, b"uid=10001(llama) gid=10001(llama) groups=10001(llama)\n");

    let inspected = image.inspect();
    let config = inspected.get("Config").unwrap();
    let is = |pointer: &str, json: &str| {
        let expected: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(config.pointer(pointer), Some(&expected), "{pointer}");
    };
    is("/User", r#""10001:10001""#);
    is("/StopSignal", r#""SIGTERM""#);
    is("/ExposedPorts", r#"{"8080/tcp": {}}"#);
    is("/Entrypoint", r#"["/usr/local/bin/entrypoint"]"#);
    is("/Healthcheck/Test", r#"["CMD", "/usr/local/bin/entrypoint", "health"]"#);
    is("/Healthcheck/StartPeriod", "900000000000");
    let label = config.pointer("/Labels/dev.composegen.test").and_then(|label| label.as_str());
    assert_eq!(label, Some(nasty));
    let environment = config.get("Env").unwrap().to_string();
    assert!(environment.contains(r#""NVIDIA_REQUIRE_CUDA=cuda>=12.8""#), "{environment}");
}

/// By the image for probes, and by the server's where a probe asks it; compiled against the headers of both majors.
fn described_gpus_are_seen(engine: &Engine) {
    for major in ["12", "13"] {
        let toolkit = stand_in_toolkit_of(engine, major);
        let mut plan = plan(Source::local("llama.cpp").unwrap());
        plan.backend = Backend::Cuda(cuda());
        plan.build_base = toolkit.name.parse().unwrap();
        let context = context(&plan);
        project::write(&context.path().join("llama.cpp"), "cuda");
        for target in ["probe", "server"] {
            let image = engine.image();
            engine.must_build(context.path(), &["--target", target, "--tag", &image.name]);
            let see = |libraries: &str| {
                let path = format!("--env=LD_LIBRARY_PATH={libraries}");
                let gpus = "--env=COMPOSEGEN_GPUS=24564:23671:8.9,16303:12761:12.0";
                let preload = "--env=LD_PRELOAD=/usr/local/lib/composegen/libdescribed-gpus.so";
                let entrypoint = "--entrypoint=/app/llama-server";
                String::from_utf8(image.run(&[&path, gpus, preload, entrypoint], &[])).unwrap()
            };
            let said = see("/usr/local/lib/composegen");
            if target == "probe" {
                let want = "0: 23671 of 24564 MiB\n1: 12761 of 16303 MiB\ndriver 1998\n";
                assert_eq!(said, want, "CUDA {major}");
            } else {
                // Its cuBLAS is the toolkit's, here a text.
                assert!(said.contains("libcublas.so.12"), "{said}");
            }
            // Without the directory no program finds a driver, as it must be.
            assert!(see("").contains("libcuda.so.1"), "CUDA {major}, {target}");
        }
    }
}

/// A base with files of the toolkit's names in the toolkit's place, and its real headers.
fn stand_in_toolkit(engine: &Engine) -> crate::engine::Image<'_> {
    stand_in_toolkit_of(engine, "12")
}

fn stand_in_toolkit_of<'a>(engine: &'a Engine, major: &str) -> crate::engine::Image<'a> {
    let context = tempfile::tempdir().unwrap();
    let headers = tools::target(&format!("engines/cuda-{major}"));
    copy(&headers, &context.path().join("include"));
    let text = format!(
        "FROM {BASE}\n\
         COPY include /usr/local/cuda/include\n\
         RUN mkdir -p /usr/local/cuda/lib64 && cd /usr/local/cuda/lib64 && \
         for name in cudart cublas cublasLt; do \
         echo \"lib$name.so.12\" > lib$name.so.12.8.1 && ln -s lib$name.so.12.8.1 lib$name.so.12; done\n"
    );
    project::file(context.path(), "Dockerfile", &text);
    let image = engine.image();
    engine.must_build(context.path(), &["--tag", &image.name]);
    image
}

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs_err::copy(entry.path(), to).unwrap();
        }
    }
}

fn plan(source: Source) -> ImagePlan {
    ImagePlan {
        backend: Backend::Cpu,
        build_base: BASE.parse().unwrap(),
        runtime_base: BASE.parse().unwrap(),
        source,
        build_number: None,
        cpu: CpuKernels::Isa(Isa::V3),
        rpc: false,
        tls: false,
        definitions: Vec::new(),
        port: 8080,
        start_period: 900,
        uid: 10001,
        labels: Vec::new(),
    }
}

fn cuda() -> Cuda {
    Cuda {
        version: "12.8.1".parse().unwrap(),
        architectures: Architecture::of(["12.0", "8.9"].map(|gpu| gpu.parse().unwrap())),
        fa_quants: vec!["q8_0-q8_0".parse().unwrap()],
        nccl: false,
    }
}

fn git(url: &str, reference: Reference) -> Source {
    Source::Git { repository: url.parse().unwrap(), reference, commit: None }
}

/// A build context as `composegen build` would write it.
fn context(plan: &ImagePlan) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let header = ["Made by a test.".to_owned()];
    let put = |name: &str, text: &str| project::file(Path::new(directory.path()), name, text);
    put("Dockerfile", &format!("{}\n", dockerfile(plan, &header).unwrap()));
    put("Dockerfile.dockerignore", &format!("{}\n", dockerignore(plan, &header).unwrap()));
    put("entrypoint.sh", ENTRYPOINT);
    if plan.cuda().is_some() {
        put("described-gpus.c", DESCRIBED_GPUS);
    }
    directory
}
