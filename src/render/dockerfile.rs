//! The Dockerfile of an image plan, and the list of files that its build context leaves out.

use askama::Template;

use crate::plan::image::{ImagePlan, Source};
use crate::render::filter as filters;

/// The whole text. `header` stands at its top as comment lines: what made the file, and from what.
///
/// # Errors
/// Where a value cannot be written into a Dockerfile: a label with a line break, a control character in the
/// header.
pub fn dockerfile(plan: &ImagePlan, header: &[String]) -> askama::Result<String> {
    let (git, local) = match &plan.source {
        Source::Git { repository, reference, .. } => {
            let git = Git {
                repository: repository.as_str(),
                reference: reference.as_str(),
                commit: pinned(plan),
                lists_references: repository.is_http(),
            };
            (Some(git), None)
        }
        Source::Local { directory, .. } => {
            (None, Some(Local { directory: directory.as_str(), commit: short_commit(plan) }))
        }
    };
    let build_number = plan.build_number.map(|n| n.to_string()).unwrap_or_default();
    Dockerfile { plan, header, git, local, build_number }.render()
}

/// The text of `Dockerfile.dockerignore`, which BuildKit reads instead of `.dockerignore`: nothing but
/// what the Dockerfile copies, so that models beside it are never sent to the engine.
///
/// # Errors
/// As for [`dockerfile`].
pub fn dockerignore(plan: &ImagePlan, header: &[String]) -> askama::Result<String> {
    let local = match &plan.source {
        Source::Local { directory, .. } => Some(directory.as_str()),
        Source::Git { .. } => None,
    };
    Dockerignore { header, local, cuda: plan.cuda().is_some() }.render()
}

#[derive(Template)]
#[template(path = "Dockerfile.plain")]
struct Dockerfile<'a> {
    plan: &'a ImagePlan,
    header: &'a [String],
    git: Option<Git<'a>>,
    local: Option<Local<'a>>,
    build_number: String,
}

struct Git<'a> {
    repository: &'a str,
    reference: &'a str,
    /// Empty where the build resolves the reference.
    commit: &'a str,
    /// Whether the list of references can be asked for by an ADD.
    lists_references: bool,
}

struct Local<'a> {
    directory: &'a str,
    /// In llama.cpp's short form, or `unknown`.
    commit: &'a str,
}

#[derive(Template)]
#[template(path = "Dockerfile.dockerignore.plain")]
struct Dockerignore<'a> {
    header: &'a [String],
    local: Option<&'a str>,
    cuda: bool,
}

fn pinned(plan: &ImagePlan) -> &str {
    plan.source.pinned().map_or("", |commit| commit.as_str())
}

fn short_commit(plan: &ImagePlan) -> &str {
    pinned(plan).get(..9).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::image::tests::cuda_plan;
    use crate::plan::image::{Backend, Commit};
    use crate::quote;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn text(plan: &ImagePlan) -> String {
        dockerfile(plan, &["Made by a test.".to_owned()]).unwrap()
    }

    fn pinned_plan() -> ImagePlan {
        let mut plan = cuda_plan();
        if let Source::Git { commit, .. } = &mut plan.source {
            *commit = Some(COMMIT.parse::<Commit>().unwrap());
        }
        plan
    }

    fn local_plan() -> ImagePlan {
        ImagePlan { source: Source::local("src/llama.cpp").unwrap(), ..cuda_plan() }
    }

    #[test]
    fn nothing_that_engine_20_10_cannot_build() {
        for plan in [cuda_plan(), pinned_plan(), local_plan()] {
            let text = text(&plan);
            for newer in ["# syntax", "<<", "--link", "--start-interval", "--exclude", "--parents"]
            {
                assert!(!text.contains(newer), "{newer}");
            }
        }
    }

    #[test]
    fn the_server_is_the_last_stage() {
        for plan in [cuda_plan(), pinned_plan(), local_plan()] {
            let text = text(&plan);
            let stages: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with("FROM "))
                .filter_map(|line| line.rsplit_once(" AS ").map(|(_, name)| name))
                .collect();
            let source = [
                "checkout",
                "llama-src",
                "toolchain",
                "build",
                "runtime",
                "probe-libraries",
                "probe",
                "server",
            ];
            let skip = usize::from(matches!(plan.source, Source::Local { .. }));
            assert_eq!(stages, source[skip..]);
        }
    }

    #[test]
    fn only_an_unresolved_reference_asks_the_repository_on_each_build() {
        let asks = "ADD ${LLAMA_REPO}/info/refs?service=git-upload-pack";
        assert!(text(&cuda_plan()).contains(asks));
        assert!(!text(&local_plan()).contains(asks));
        let pinned = text(&pinned_plan());
        assert!(!pinned.contains(asks));
        assert!(pinned.contains(&format!("ARG LLAMA_COMMIT=\"{COMMIT}\"")));
        // No list of references to ask for: the build wants a commit instead.
        let mut plan = cuda_plan();
        if let Source::Git { repository, .. } = &mut plan.source {
            *repository = "git://host/llama.cpp".parse().unwrap();
        }
        let text = text(&plan);
        assert!(!text.contains(asks));
        assert!(text.contains("pass --build-arg LLAMA_COMMIT="));
    }

    #[test]
    fn cuda_libraries_and_variables_come_with_cuda_alone() {
        let cpu = text(&ImagePlan { backend: Backend::Cpu, ..local_plan() });
        assert!(
            !cpu.contains("cuda/lib64")
                && !cpu.contains("described-gpus")
                && !cpu.contains("NVIDIA_")
                && !cpu.contains("ldconfig")
        );
        assert!(text(&local_plan()).contains("NVIDIA_REQUIRE_CUDA=\"cuda>=12.8\""));
        assert!(!text(&local_plan()).contains("nccl"));
        let mut plan = local_plan();
        if let Backend::Cuda(cuda) = &mut plan.backend {
            cuda.nccl = true;
        }
        assert!(text(&plan).contains("/libnccl.so.*"));
    }

    #[test]
    fn labels_and_definitions_are_encoded_or_refused() {
        let value = r#"it's "$x" \ `id`"#;
        let mut plan = local_plan();
        plan.labels = vec![("a".into(), value.into())];
        plan.definitions = vec![format!("X={value}").parse().unwrap()];
        let text = text(&plan);
        let label = text.lines().find_map(|line| line.strip_prefix("LABEL a=")).unwrap();
        assert_eq!(quote::dockerfile::encode(value).unwrap(), label);
        let word = text.lines().find_map(|line| line.trim().strip_prefix("-DX=")).unwrap();
        assert_eq!(quote::shell::decode(word.trim_end_matches("; \\")).unwrap(), value);
        for (key, value) in [("a", "x\nRUN y"), ("a b", "x"), ("a", "\0")] {
            plan.labels = vec![(key.into(), value.into())];
            assert!(dockerfile(&plan, &[]).is_err(), "{key:?} {value:?}");
        }
        assert!(dockerfile(&local_plan(), &["a\nRUN x".to_owned()]).is_err());
    }

    #[test]
    fn the_context_is_what_is_copied() {
        assert_eq!(
            dockerignore(&cuda_plan(), &[]).unwrap(),
            "*\n!entrypoint.sh\n!described-gpus.c"
        );
        let local = ImagePlan { backend: Backend::Cpu, ..local_plan() };
        let local = dockerignore(&local, &[]).unwrap();
        assert!(local.starts_with("*\n!entrypoint.sh\n!src/llama.cpp\nsrc/llama.cpp/.git\n"));
    }
}
