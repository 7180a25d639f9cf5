//! From a preset's path to everything it says, with what it extends merged in and its machine read.
//!
//! Files come through a function that the caller gives, so this module touches no file system. What was read
//! once is kept: a thousand presets that extend the same parent read it once.

mod profile;

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::image::Backend;
use super::{Preset, parse, value};
use crate::cluster::parse::Described;
use crate::cluster::{self, Cluster};
use crate::diagnostic::{Code, Diagnostic, FileId, Location, Sources};
use crate::hardware::{self, Host};
use crate::profile::Profile;
use crate::table::{Field, Set};

/// A preset with its parents merged in.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The file's name without `.toml`.
    pub name: String,
    pub file: FileId,
    pub preset: Preset,
    /// What one server has of the machine, or all machines of a cluster as llama-server sees them: of its GPUs the first set, where sets are given.
    pub host: Option<Rc<Host>>,
    /// The machine, with all of its GPUs.
    pub machine: Option<Rc<Host>>,
    pub cluster: Option<Rc<Cluster>>,
    /// The build whose buffers plans count with, where it is not the newest that is known.
    pub profile: Option<Arc<Profile>>,
    /// All files that had a say, the preset first.
    pub inputs: Vec<FileId>,
}

impl Resolved {
    /// The start of the preset's file: where to point when something is nowhere set.
    pub fn place(&self) -> Location {
        Location::new(self.file, &(0..0))
    }
}

type Load<'a> = dyn Fn(&Utf8Path) -> io::Result<String> + 'a;

/// Everything read in one run.
pub struct Library<'a> {
    load: &'a Load<'a>,
    pub sources: Sources,
    pub findings: Vec<Diagnostic>,
    presets: HashMap<Utf8PathBuf, Option<(FileId, Rc<Preset>)>>,
    hosts: HashMap<Utf8PathBuf, Option<(FileId, Rc<Host>)>>,
    clusters: HashMap<Utf8PathBuf, Option<Read>>,
    profiles: HashMap<Utf8PathBuf, Option<(FileId, Arc<Profile>)>>,
    /// By path, so that asking twice finds nothing twice.
    done: HashMap<Utf8PathBuf, Resolved>,
}

impl<'a> Library<'a> {
    pub fn new(load: &'a Load<'a>) -> Self {
        Self {
            load,
            sources: Sources::default(),
            findings: Vec::new(),
            presets: HashMap::new(),
            hosts: HashMap::new(),
            clusters: HashMap::new(),
            profiles: HashMap::new(),
            done: HashMap::new(),
        }
    }

    /// Reads a preset and what it builds on. An error is one of reading the file itself; what is wrong inside
    /// of it goes to `findings`.
    pub fn resolve(&mut self, path: &Utf8Path) -> io::Result<Resolved> {
        let path = &clean(path);
        if let Some(done) = self.done.get(path) {
            return Ok(done.clone());
        }
        let (file, own) = self.read(path)?;
        let mut inputs = vec![file];
        let mut merged = (*own).clone();
        let mut chain = vec![path.clone()];
        let mut here = path.clone();
        let mut last = own.clone();
        while let Some(name) = last.head.extends.clone() {
            let parent_path = named(&here, "", &name.value);
            if chain.contains(&parent_path) {
                let circle = chain
                    .iter()
                    .map(|p| p.as_str())
                    .chain([parent_path.as_str()])
                    .collect::<Vec<_>>();
                let message = format!("presets extend each other: {}", circle.join(" -> "));
                self.findings.push(
                    Diagnostic::new(Code::ExtendsCycle, message)
                        .at(name.at)
                        .help("let one of them stand on its own"),
                );
                break;
            }
            let Some((file, parent)) = self.read_named(&parent_path, &name, "preset") else {
                break;
            };
            inputs.push(file);
            merged = merged.inherit(&parent);
            last = parent;
            chain.push(parent_path.clone());
            here = parent_path;
        }
        let cluster = self.cluster(path, &chain, &merged, &mut inputs);
        let machine = match &cluster {
            Some(cluster) => Some(Rc::new(seen(cluster, &merged))),
            None => self.host(path, &chain, &merged, &mut inputs),
        };
        let first = value(&merged.container.replica_gpus).and_then(|sets| sets.first());
        let host = machine.clone().map(|machine| match first.and_then(|set| machine.with(set)) {
            Some(part) => Rc::new(part),
            None => machine,
        });
        let profile = self.profile(path, &merged, &mut inputs);
        let name = path.file_stem().unwrap_or_default().to_owned();
        let resolved =
            Resolved { name, file, preset: merged, host, machine, cluster, profile, inputs };
        self.done.insert(path.clone(), resolved.clone());
        Ok(resolved)
    }

    fn read(&mut self, path: &Utf8Path) -> io::Result<(FileId, Rc<Preset>)> {
        if let Some(Some(known)) = self.presets.get(path) {
            return Ok(known.clone());
        }
        let text = (self.load)(path)?;
        let file = self.sources.add(path, text);
        let text = self.sources.get(file).map(|source| source.text.as_str()).unwrap_or_default();
        let preset = Rc::new(parse::parse(file, text, &mut self.findings));
        self.presets.insert(path.to_owned(), Some((file, preset.clone())));
        Ok((file, preset))
    }

    fn read_named(
        &mut self,
        path: &Utf8Path,
        name: &Set<String>,
        what: &str,
    ) -> Option<(FileId, Rc<Preset>)> {
        if let Some(None) = self.presets.get(path) {
            return None;
        }
        match self.read(path) {
            Ok(read) => Some(read),
            Err(error) => {
                self.presets.insert(path.to_owned(), None);
                self.findings.push(missing(what, path, name, &error));
                None
            }
        }
    }

    fn host(
        &mut self,
        path: &Utf8Path,
        chain: &[Utf8PathBuf],
        merged: &Preset,
        inputs: &mut Vec<FileId>,
    ) -> Option<Rc<Host>> {
        let name = merged.head.hardware.as_ref()?;
        // A name means the directory of the file that says it, which may be a parent's.
        let says = self.sources.get(name.at.file).map_or(path, |source| source.path.as_path());
        let host_path = named(says, "hardware", &name.value);
        let beside = chain.first().map(|first| named(first, "hardware", &name.value));
        let found = self.read_host(&host_path, name);
        let found = match (found, beside) {
            (Err(_), Some(other)) if other != host_path => self.read_host(&other, name),
            (found, _) => found,
        };
        match found {
            Ok(Some((file, host))) => {
                inputs.push(file);
                Some(host)
            }
            Ok(None) => None,
            Err(error) => {
                self.findings.push(missing("hardware description", &host_path, name, &error));
                None
            }
        }
    }

    fn cluster(
        &mut self,
        path: &Utf8Path,
        chain: &[Utf8PathBuf],
        merged: &Preset,
        inputs: &mut Vec<FileId>,
    ) -> Option<Rc<Cluster>> {
        let name = merged.head.cluster.as_ref()?;
        let says = self.sources.get(name.at.file).map_or(path, |source| source.path.as_path());
        let file = named(says, "clusters", &name.value);
        let beside = chain.first().map(|first| named(first, "clusters", &name.value));
        let found = match (self.read_cluster(&file), beside) {
            (Err(_), Some(other)) if other != file => self.read_cluster(&other),
            (found, _) => found,
        };
        match found {
            Ok(read) => read.map(|(files, cluster)| {
                inputs.extend(files);
                cluster
            }),
            Err(error) => {
                self.findings.push(missing("cluster", &file, name, &error));
                None
            }
        }
    }

    /// A cluster with the machines that it names, and the files that had a say. `Ok(None)` where findings make it
    /// unusable.
    pub fn read_cluster(&mut self, path: &Utf8Path) -> io::Result<Option<Read>> {
        if let Some(known) = self.clusters.get(path) {
            return Ok(known.clone());
        }
        let text = (self.load)(path)?;
        let file = self.sources.add(path, text);
        let text = self.sources.get(file).map(|source| source.text.as_str()).unwrap_or_default();
        let stem = path.file_stem().unwrap_or_default();
        let described = cluster::parse::parse(file, stem, text, &mut self.findings);
        let mut files = vec![file];
        let mut hosts = HashMap::new();
        let mentioned: Vec<_> = described.iter().flat_map(Described::named).cloned().collect();
        for name in mentioned {
            // Machines are described in one place, for presets and for clusters beside them.
            let dir = path.parent().unwrap_or(Utf8Path::new(""));
            let places = [
                named(path, "../hardware", &name.value),
                named(&dir.join("x"), "hardware", &name.value),
            ];
            let [first, second] = &places;
            let found = match self.read_host(first, &name) {
                Err(_) => self.read_host(second, &name),
                found => found,
            };
            match found {
                Ok(Some((file, host))) => {
                    files.push(file);
                    hosts.insert(name.value, (*host).clone());
                }
                Ok(None) => {}
                Err(error) => {
                    self.findings.push(missing("hardware description", first, &name, &error));
                }
            }
        }
        let settled = described.and_then(|it| it.settle(|name| hosts.get(name).cloned()));
        let read = settled.map(|cluster| (files, Rc::new(cluster)));
        self.clusters.insert(path.to_owned(), read.clone());
        Ok(read)
    }

    fn read_host(
        &mut self,
        path: &Utf8Path,
        name: &Set<String>,
    ) -> io::Result<Option<(FileId, Rc<Host>)>> {
        if let Some(known) = self.hosts.get(path) {
            return Ok(known.clone());
        }
        let text = (self.load)(path)?;
        let file = self.sources.add(path, text);
        let text = self.sources.get(file).map(|source| source.text.as_str()).unwrap_or_default();
        let stem = path.file_stem().unwrap_or(&name.value);
        let host = hardware::parse::parse(file, stem, text, &mut self.findings);
        let known = host.map(|host| (file, Rc::new(host)));
        self.hosts.insert(path.to_owned(), known.clone());
        Ok(known)
    }
}

/// Files that had a say in a cluster, and what came of them.
pub type Read = (Vec<FileId>, Rc<Cluster>);

/// A cluster as a preset's llama-server sees it.
fn seen(cluster: &Cluster, preset: &Preset) -> Host {
    let prefix = or(&preset.container.project, PREFIX);
    let cuda = value(&preset.image.backend).is_none_or(|backend| *backend == Backend::Cuda);
    cluster.view(&cluster.endpoints(prefix), cuda)
}

/// What names of things beyond an output directory begin with where no project is named.
pub const PREFIX: &str = "llama";

fn missing(what: &str, path: &Utf8Path, name: &Set<String>, error: &io::Error) -> Diagnostic {
    Diagnostic::new(Code::MissingFile, format!("cannot read the {what} `{}`", name.value))
        .at(name.at.clone())
        .label(format!("{error}"))
        .help(format!(
            "it is looked for at `{path}`; a value that ends in `.toml` is taken as a path"
        ))
}

/// `name` beside the file that says it: a path if it ends in `.toml`, else a preset's or a machine's name.
fn named(says: &Utf8Path, folder: &str, name: &str) -> Utf8PathBuf {
    let dir = says.parent().unwrap_or(Utf8Path::new(""));
    let path = if Utf8Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) {
        dir.join(name)
    } else {
        dir.join(folder).join(format!("{name}.toml"))
    };
    clean(&path)
}

/// Without `.` and `x/..`, so that one file has one name.
pub fn clean(path: &Utf8Path) -> Utf8PathBuf {
    let mut out = Utf8PathBuf::new();
    for part in path.components() {
        match part {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir
                if matches!(out.components().next_back(), Some(Utf8Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    if out.as_str().is_empty() { Utf8PathBuf::from(".") } else { out }
}

/// The word of a field that is set, else the default.
pub fn or<'f>(field: &'f Field<String>, default: &'f str) -> &'f str {
    value(field).map_or(default, String::as_str)
}

#[cfg(test)]
mod tests {
    use std::io;

    use camino::Utf8Path;

    use super::{Library, clean};
    use crate::diagnostic::Code;
    use crate::preset::value;

    fn load(path: &Utf8Path) -> io::Result<String> {
        let text = match path.as_str() {
            "p/child.toml" => {
                "extends = \"base/parent\"\n[context]\nctx_size = 1\n[[measured]]\ntokens = 2\n"
            }
            "p/base/parent.toml" => {
                "label = \"x\"\nhardware = \"rig\"\n[context]\nctx_size = 9\nkeep = 3\n"
            }
            "p/base/hardware/rig.toml" => {
                "[[gpu]]\nname = \"A\"\nmemory_mib = 1000\ncompute_capability = \"8.9\"\n"
            }
            "p/a.toml" => "extends = \"b\"\n",
            "p/b.toml" => "extends = \"a\"\n",
            "p/lost.toml" => "extends = \"nowhere\"\n",
            _ => return Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        Ok(text.to_owned())
    }

    #[test]
    fn a_child_wins_and_what_was_measured_is_not_inherited() {
        let mut library = Library::new(&load);
        let resolved = library.resolve(Utf8Path::new("p/./child.toml")).unwrap();
        assert!(library.findings.is_empty(), "{:?}", library.findings);
        assert_eq!(resolved.name, "child");
        assert_eq!(value(&resolved.preset.context.ctx_size), Some(&1));
        assert_eq!(value(&resolved.preset.context.keep), Some(&3));
        assert_eq!(resolved.preset.head.label, None);
        assert_eq!(resolved.preset.measured.len(), 1);
        assert_eq!(resolved.host.unwrap().gpus.len(), 1);
        assert_eq!(resolved.inputs.len(), 3);
    }

    #[test]
    fn circles_and_missing_parents_are_findings() {
        for (path, code) in [("p/a.toml", Code::ExtendsCycle), ("p/lost.toml", Code::MissingFile)] {
            let mut library = Library::new(&load);
            library.resolve(Utf8Path::new(path)).unwrap();
            library.resolve(Utf8Path::new(path)).unwrap();
            let codes: Vec<_> = library.findings.iter().map(|f| f.code).collect();
            assert_eq!(codes, [code], "{path}");
        }
    }

    #[test]
    fn paths_have_one_name() {
        for (from, to) in [("a/b/..", "a"), ("../x", "../x"), ("./a/..", "."), ("/a/../b", "/b")] {
            assert_eq!(clean(Utf8Path::new(from)), to);
        }
    }
}
