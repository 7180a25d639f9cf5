//! The sentence in one function: presets in, artifacts out. `build` writes what it returns, `check` compares it, the
//! snapshot tests keep it, and `examples/` is it; there is no second way to make a file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::artifact::{Artifact, Digest};
use crate::check::check;
use crate::diagnostic::{Code, Diagnostic, FileId, Location, Severity};
use crate::lock::{Placed, Resolved as Pinned};
use crate::plan::Plan;
use crate::preset::resolve::{Library, Resolved, clean};
use crate::preset::target::Target;
use crate::preset::value;
use crate::render::{RenderError, render, render_image};
use crate::strategy::Strategy;

/// What to compile.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In order; the first is the default.
    pub presets: &'a [Utf8PathBuf],
    pub out: &'a Utf8Path,
    /// What the command line wants to be written for; the presets decide where it says nothing.
    pub target: Option<Target>,
    /// The current directory, absolute: what relative paths start from.
    pub here: &'a Utf8Path,
    /// What was resolved from outside earlier.
    pub pinned: &'a Pinned,
    /// Placements for presets that have them planned, by name; those of other presets are passed over.
    pub placements: &'a BTreeMap<String, Placed>,
    /// Whether the image is built next. It has to be before anybody can know its digest.
    pub builds_image: bool,
}

/// A whole output directory, in memory.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Without the lock file.
    pub artifacts: Vec<Artifact>,
    /// Whether only what the image is built from is among them, and what is deployed waits for its digest.
    pub image_only: bool,
    pub plan: Plan,
    /// Each input relative to the output directory, with the digest of its text; the presets first, in order.
    pub inputs: Vec<(Utf8PathBuf, Digest)>,
    /// The presets as [`Self::inputs`] names them.
    pub presets: Vec<Utf8PathBuf>,
    /// The planned placements that were used.
    pub placements: BTreeMap<String, Placed>,
}

#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("{0}")]
    Render(#[from] RenderError),
}

/// Compiles presets. `Ok(None)` where findings in the library stop it.
pub fn compile(
    library: &mut Library<'_>,
    request: Request<'_>,
) -> Result<Option<Compiled>, CompileError> {
    let mut strategies = Vec::new();
    let mut names = HashMap::new();
    let mut placements = BTreeMap::new();
    let mut image_only = false;
    for path in request.presets {
        let resolved = library.resolve(path)?;
        check(&resolved, request.target, &mut library.findings);
        let auto = value(&resolved.preset.placement.auto) == Some(&true);
        let placed = request.placements.get(&resolved.name).filter(|_| auto);
        unplanned(&resolved, placed, &mut library.findings);
        placements.extend(placed.map(|placed| (resolved.name.clone(), placed.clone())));
        let strategy = Strategy::new(&resolved, placed);
        if let Some(strategy) = &strategy {
            image_only |= unpinned(&resolved, strategy, request, &mut library.findings);
        }
        strategies.extend(strategy);
        same_name(&mut names, &resolved, &mut library.findings);
    }
    let plan = Plan::new(strategies, request.target, request.pinned, &mut library.findings);
    // In the order in which a reader meets them.
    library.findings.sort_by_key(|f| f.at.clone());
    let stopped = library.findings.iter().any(|f| f.severity() == Severity::Error);
    let (Some(plan), false) = (plan, stopped) else { return Ok(None) };

    let names = Names::new(library, request);
    let header = |files: &[FileId]| header(&names, files);
    let artifacts =
        if image_only { render_image(&plan, &header)? } else { render(&plan, &header)? };
    let mut files: Vec<FileId> = Vec::new();
    let mut presets = Vec::new();
    for strategy in &plan.strategies {
        presets.push(names.get(strategy.file));
        files.extend(&strategy.inputs);
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(*file));
    let inputs = files
        .into_iter()
        .filter_map(|file| {
            let text = &library.sources.get(file)?.text;
            Some((names.get(file), Digest::of(text.as_bytes())))
        })
        .collect();
    Ok(Some(Compiled { artifacts, image_only, plan, inputs, presets, placements }))
}

/// A placement that is to be planned has to come from somewhere. Where there are errors, one of them says why it did not.
fn unplanned(resolved: &Resolved, placed: Option<&Placed>, findings: &mut Vec<Diagnostic>) {
    let auto = resolved.preset.placement.auto.as_ref().filter(|set| set.value);
    let Some(set) = auto.filter(|_| placed.is_none()) else { return };
    let said = |finding: &Diagnostic| match finding.code {
        Code::Unplanned => finding.at.as_ref() == Some(&set.at),
        code => code.severity() == Severity::Error,
    };
    if !findings.iter().any(said) {
        findings.push(
            Diagnostic::new(Code::Unplanned, "the placement was never planned")
                .at(set.at.clone())
                .help(
                    "name the GGUF's header in `model.header`, or put the model into the models directory, \
                     and build; the placement is then locked",
                ),
        );
    }
}

/// Nodes that pull an image should all get the same. Whether what is deployed has to wait until its digest is known: the
/// workers of a split model must run the server's build, and the digest comes with the first push.
fn unpinned(
    resolved: &Resolved,
    strategy: &Strategy,
    request: Request<'_>,
    findings: &mut Vec<Diagnostic>,
) -> bool {
    let target = request.target.or(strategy.target);
    let name = &strategy.image.name;
    if !target.is_some_and(Target::pulls)
        || name.is_pinned()
        || request.pinned.digest(name.as_str()).is_some()
    {
        return false;
    }
    let at = resolved.preset.image.name.as_ref().map_or(resolved.place(), |set| set.at.clone());
    let waits = strategy.cluster.is_some() && request.builds_image && name.has_registry();
    let help = if name.has_registry() {
        match (&strategy.cluster, waits) {
            (None, _) => {
                "`composegen push` pushes the image and locks its digest; or add `@sha256:...` to the name"
            }
            (Some(_), true) => {
                "`composegen push` pushes the image, locks its digest and writes what is deployed"
            }
            (Some(_), false) => {
                "`composegen build --image` builds the image, and `composegen push` then pushes it, locks its digest and \
                 writes the rest; or add `@sha256:...` to the name"
            }
        }
    } else {
        "give `image.name` the name of a registry that all nodes reach; `composegen push` then pushes it and locks its digest"
    };
    let (code, message) = match &strategy.cluster {
        None => (Code::UnpinnedImage, format!("nothing says which `{name}` the nodes are to run")),
        Some(_) if waits => (
            Code::UnpinnedImage,
            format!("`{name}` has no digest yet, so that only what it is built from is written"),
        ),
        Some(_) => (
            Code::MixedBuilds,
            format!(
                "`{name}` can be another build on every node, and a worker of another build than \
                 llama-server's computes something else, if anything"
            ),
        ),
    };
    findings.push(Diagnostic::new(code, message).at(at).help(help));
    waits
}

/// Two presets of one name would write one `.env`. On some file systems case does not tell them apart.
fn same_name(
    names: &mut HashMap<String, Location>,
    resolved: &Resolved,
    findings: &mut Vec<Diagnostic>,
) {
    let Some(other) = names.insert(resolved.name.to_ascii_lowercase(), resolved.place()) else {
        return;
    };
    findings.push(
        Diagnostic::new(
            Code::DuplicateName,
            format!("two presets would write `{}.env`", resolved.name),
        )
        .at(resolved.place())
        .related(other, "the other one")
        .help("rename one of them, or build them into two directories"),
    );
}

/// Inputs as the artifacts name them: relative to the output directory, so that a checkout can lie anywhere.
struct Names(Vec<Utf8PathBuf>);

impl Names {
    fn new(library: &Library<'_>, request: Request<'_>) -> Self {
        let absolute = |path: &Utf8Path| clean(&request.here.join(path));
        let out = absolute(request.out);
        let sources = library.sources.iter().map(|s| relative(&out, &absolute(&s.path)));
        Self(sources.collect())
    }

    fn get(&self, file: FileId) -> Utf8PathBuf {
        self.0.get(file.0).cloned().unwrap_or_default()
    }
}

/// How many inputs a file names before it points to the lock file for the rest.
const NAMED: usize = 12;

/// The opening comment of a file made from `inputs`.
fn header(names: &Names, inputs: &[FileId]) -> Vec<String> {
    let mut lines = vec![format!("Made by composegen {} from", env!("CARGO_PKG_VERSION"))];
    lines.extend(inputs.iter().take(NAMED).map(|file| format!("  {}", names.get(*file))));
    if inputs.len() > NAMED {
        lines.push(format!("  and {} more, which composegen.lock lists", inputs.len() - NAMED));
    }
    lines.push("Not to be edited: change those files and run `composegen build`.".to_owned());
    lines
}

/// The path from directory `from` to `to`, both absolute and clean.
pub fn relative(from: &Utf8Path, to: &Utf8Path) -> Utf8PathBuf {
    let mut ours = from.components().peekable();
    let mut theirs = to.components().peekable();
    while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
        if a != b {
            break;
        }
        ours.next();
        theirs.next();
    }
    let up = ours.map(|_| Utf8Component::ParentDir);
    let path: Utf8PathBuf = up.chain(theirs).collect();
    if path.as_str().is_empty() { Utf8PathBuf::from(".") } else { path }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::relative;

    #[test]
    fn relative_paths() {
        for (from, to, path) in [
            ("/a/b", "/a/c/d.toml", "../c/d.toml"),
            ("/a", "/a/d", "d"),
            ("/a/b", "/a/b", "."),
            ("/x/y", "/a", "../../a"),
        ] {
            assert_eq!(relative(Utf8Path::new(from), Utf8Path::new(to)), path);
        }
    }
}
