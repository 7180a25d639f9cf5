//! From a cluster file to a [`Cluster`]. Machines that stand in files of their own are left to who can read them.

use toml::de::DeTable;

use super::{Cluster, Member, Worker};
use crate::diagnostic::{Code, Diagnostic, FileId, Location};
use crate::hardware::parse::{PARTS, parts};
use crate::hardware::{Host, Link};
use crate::table::{Field, Number, Reader, Set, Table, document, table};

/// What `ggml-rpc-server` takes where nothing else is said.
const PORT: u16 = 50052;

table! {
    /// The machines together.
    pub struct Head {
        /// What to call them.
        name: String;
        /// Encrypt the network between them, as far as the target can; true where it is not given.
        encrypt: bool;
    }
}

table! {
    /// One machine. The first runs llama-server and holds the model's files, the others lend their devices.
    pub struct HostTable {
        /// Its name: lower-case letters, digits, dashes.
        name: String;
        /// Its hardware: a name in `hardware/` beside the presets, or a path; or write `gpu`, `cpu`, `ram` and `speed` below it.
        hardware: String;
        /// Where its worker listens, on a private network.
        port: i64, 1 ..= 65535;
    }
}

table! {
    /// What lies between two machines.
    pub struct LinkTable {
        /// The names of both.
        between: Vec<String>;
        /// Bandwidth in 10^9 bits per second, as measured in the network that the workers will use.
        gbit: Number, 0.001 ..= 10_000.0;
        /// Round-trip time in milliseconds.
        rtt_ms: Number, 0.0 ..= 10_000.0;
    }
}

/// A cluster whose machines may be described elsewhere.
#[derive(Debug)]
pub struct Described {
    name: String,
    encrypt: bool,
    hosts: Vec<Entry>,
    links: Vec<((usize, usize), Link)>,
    /// Where the file begins.
    place: Location,
}

#[derive(Debug)]
struct Entry {
    name: Set<String>,
    hardware: Hardware,
    port: u16,
}

#[derive(Debug)]
enum Hardware {
    Here(Box<Host>),
    /// A name or a path.
    Named(Box<Set<String>>),
}

/// Reads a cluster file. `None` where a finding makes it unusable.
pub fn parse(
    file: FileId,
    fallback_name: &str,
    text: &str,
    findings: &mut Vec<Diagnostic>,
) -> Option<Described> {
    let before = findings.len();
    let root = document(file, text, findings);
    let root = root.get_ref();
    let mut reader = Reader { file, findings, stray: |_| None };
    let known = Head::KEYS.iter().map(|key| key.name);
    reader.unknown(root, "", &known.chain(["host", "link"]));
    let head = Head::read(&mut reader, root);
    let tables = reader.entries(root, "host");
    let called: Vec<Option<&str>> = tables.iter().map(|table| called(table)).collect();
    let hosts: Vec<Option<Entry>> =
        tables.into_iter().map(|table| entry(&mut reader, table)).collect();
    let links = reader.entries(root, "link");
    let links: Vec<Option<Said>> =
        links.into_iter().map(|table| complete(&mut reader, table)).collect();
    let place = Location::new(file, &(0..0));
    let hosts: Vec<Entry> = hosts.into_iter().flatten().collect();
    if findings.len() == before {
        names(&hosts, &place, findings);
    }
    let links = links.into_iter().flatten();
    let links = links.filter_map(|said| link(said, &hosts, &called, findings));
    let described = Described {
        name: head.name.map_or_else(|| fallback_name.to_owned(), |set| set.value),
        encrypt: head.encrypt.is_none_or(|set| set.value),
        links: links.collect(),
        hosts,
        place,
    };
    if findings.len() == before {
        described.unlinked(findings);
    }
    (findings.len() == before).then_some(described)
}

fn called<'t>(table: &'t DeTable<'_>) -> Option<&'t str> {
    table.get("name").and_then(|name| name.get_ref().as_str())
}

fn entry(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Entry> {
    let known = HostTable::KEYS.iter().map(|key| key.name);
    reader.unknown(table, "host", &known.chain(PARTS));
    let host = HostTable::read(reader, table);
    let name = required(host.name, "name", "host", table, reader)?;
    let described = PARTS.iter().find_map(|part| table.get(*part));
    let hardware = match (host.hardware, described) {
        (Some(named), None) => Hardware::Named(named),
        (None, Some(_)) => Hardware::Here(Box::new(parts(reader, table, &name.value))),
        (Some(named), Some(_)) => {
            reader.findings.push(
                Diagnostic::new(
                    Code::PlacementConflict,
                    format!("`{}` has a `hardware` and describes itself as well", name.value),
                )
                .at(named.at.clone())
                .help("keep one of them"),
            );
            return None;
        }
        // It was said to be wrong.
        (None, None) if table.get("hardware").is_some() => return None,
        (None, None) => {
            reader.findings.push(
                Diagnostic::new(
                    Code::MissingKey,
                    format!("nothing says what `{}` has", name.value),
                )
                .at(name.at.clone())
                .help("name a file in `hardware`, or write `[[host.gpu]]`, `[host.cpu]`, `[host.ram]` below it"),
            );
            return None;
        }
    };
    let port = host.port.and_then(|set| u16::try_from(set.value).ok()).unwrap_or(PORT);
    Some(Entry { name: *name, hardware, port })
}

fn required<T>(
    field: Field<T>,
    key: &str,
    of: &str,
    table: &DeTable<'_>,
    reader: &mut Reader<'_>,
) -> Field<T> {
    if field.is_none() && table.get(key).is_none() {
        let first = table.iter().next().map(|(_, value)| reader.location(value));
        let at = first.unwrap_or(Location::new(reader.file, &(0..0)));
        reader.findings.push(
            Diagnostic::new(Code::MissingKey, format!("a {of} has no `{key}`"))
                .at(at)
                .help(format!("add `{key} = ...` below its `[[{of}]]`")),
        );
    }
    field
}

/// A link as the file has it: the names of both ends, and what lies between them.
type Said = (Box<Set<Vec<String>>>, Link);

fn complete(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Said> {
    reader.unknown(table, "link", &LinkTable::KEYS.iter().map(|key| key.name));
    let link = LinkTable::read(reader, table);
    let between = required(link.between, "between", "link", table, reader);
    let gbit = required(link.gbit, "gbit", "link", table, reader);
    let rtt_ms = required(link.rtt_ms, "rtt_ms", "link", table, reader);
    Some((between?, Link { gbit: gbit?.value.value, rtt_ms: rtt_ms?.value.value }))
}

/// Names that DNS can carry behind a prefix, each once, and at least two.
fn names(hosts: &[Entry], place: &Location, findings: &mut Vec<Diagnostic>) {
    for (at, host) in hosts.iter().enumerate() {
        let name = &host.name.value;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty()
            || name.len() > 20
            || !name.chars().all(plain)
            || name.starts_with('-')
            || name.ends_with('-')
        {
            findings.push(
                Diagnostic::new(
                    Code::UnsafeName,
                    format!("no service can be named after `{name}`"),
                )
                .at(host.name.at.clone())
                .help("lower-case letters, digits and dashes between them, at most 20"),
            );
        }
        if let Some(other) = hosts.iter().take(at).find(|other| other.name.value == *name) {
            findings.push(
                Diagnostic::new(Code::DuplicateName, format!("two hosts are called `{name}`"))
                    .at(host.name.at.clone())
                    .related(other.name.at.clone(), "the other one")
                    .help("rename one of them"),
            );
        }
    }
    if hosts.len() < 2 {
        findings.push(
            Diagnostic::new(Code::MissingKey, "a cluster has at least two hosts")
                .at(place.clone())
                .help("add `[[host]]` for each machine; for one alone `hardware` in the preset is enough"),
        );
    }
}

/// `called` are the names of all hosts, also of those that cannot be read for another reason; one without a name can be any.
fn link(
    (between, link): Said,
    hosts: &[Entry],
    called: &[Option<&str>],
    findings: &mut Vec<Diagnostic>,
) -> Option<((usize, usize), Link)> {
    let place = |name: &String| hosts.iter().position(|host| host.name.value == *name);
    let (a, b) = match between.value.as_slice() {
        [a, b] if a != b => (a, b),
        _ => {
            findings.push(
                Diagnostic::new(Code::MissingKey, "a link lies between two hosts")
                    .at(between.at)
                    .help("a link has `between = [\"A\", \"B\"]`, `gbit` and `rtt_ms`"),
            );
            return None;
        }
    };
    match (place(a), place(b)) {
        (Some(a), Some(b)) => Some(((a.min(b), a.max(b)), link)),
        (a_place, b_place) => {
            for (item, name, place) in [(0, a, a_place), (1, b, b_place)] {
                if place.is_some() || called.iter().any(|other| other.is_none_or(|o| o == name)) {
                    continue;
                }
                let names: Vec<&str> = called.iter().copied().flatten().collect();
                findings.push(
                    Diagnostic::new(Code::MissingKey, format!("no host is called `{name}`"))
                        .at(between.item(item))
                        .help(format!("the hosts are {}", names.join(", "))),
                );
            }
            None
        }
    }
}

impl Described {
    fn link(&self, worker: usize) -> Option<Link> {
        self.links.iter().find(|(pair, _)| *pair == (0, worker)).map(|(_, link)| *link)
    }

    /// llama-server talks to each worker, and workers do not talk to each other.
    fn unlinked(&self, findings: &mut Vec<Diagnostic>) {
        let Some(server) = self.hosts.first() else { return };
        for (at, host) in self.hosts.iter().enumerate().skip(1) {
            if self.link(at).is_none() {
                let (ours, theirs) = (&server.name.value, &host.name.value);
                findings.push(
                    Diagnostic::new(
                        Code::MissingKey,
                        format!("no link lies between `{ours}`, where llama-server runs, and `{theirs}`"),
                    )
                    .at(host.name.at.clone())
                    .help(format!(
                        "add `[[link]]` with `between = [\"{ours}\", \"{theirs}\"]`, `gbit` and `rtt_ms`"
                    )),
                );
            }
        }
    }

    /// The hardware files that hosts name.
    pub fn named(&self) -> impl Iterator<Item = &Set<String>> {
        self.hosts.iter().filter_map(|host| match &host.hardware {
            Hardware::Named(name) => Some(&**name),
            Hardware::Here(_) => None,
        })
    }

    /// Puts in what `find` has for each of [`Self::named`]; `None` where it lacks one.
    pub fn settle(self, find: impl Fn(&str) -> Option<Host>) -> Option<Cluster> {
        let (name, encrypt) = (self.name.clone(), self.encrypt);
        let links: Vec<Option<Link>> = (0..self.hosts.len()).map(|at| self.link(at)).collect();
        let mut members = Vec::new();
        for entry in self.hosts {
            let host = match entry.hardware {
                Hardware::Here(host) => *host,
                Hardware::Named(name) => find(&name.value)?,
            };
            members.push((Member { name: entry.name.value, host }, entry.port));
        }
        let mut members = members.into_iter().zip(links);
        let ((server, _), _) = members.next()?;
        let workers =
            members.map(|((member, port), link)| Some(Worker { member, port, link: link? }));
        Some(Cluster { name, server, workers: workers.collect::<Option<_>>()?, encrypt })
    }

    /// Where the file begins.
    pub const fn place(&self) -> &Location {
        &self.place
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::diagnostic::{Code, FileId};

    const TWO: &str =
        "[[host]]\nname = \"a\"\nhardware = \"x\"\n[[host]]\nname = \"b\"\nhardware = \"y\"\n";
    const LINK: &str = "[[link]]\nbetween = [\"a\", \"b\"]\ngbit = 1\nrtt_ms = 0.2\n";

    fn said(text: &str) -> Vec<(Code, String)> {
        let mut findings = Vec::new();
        let described = parse(FileId(0), "x", text, &mut findings);
        assert_eq!(described.is_none(), !findings.is_empty());
        findings.into_iter().map(|finding| (finding.code, finding.message)).collect()
    }

    #[test]
    fn every_fault_is_said() {
        assert_eq!(said(&format!("{TWO}{LINK}")), []);
        for (text, code, part) in [
            (
                "[[host]]\nname = \"a\"\nhardware = \"x\"\n".to_owned(),
                Code::MissingKey,
                "at least two",
            ),
            (TWO.to_owned(), Code::MissingKey, "no link lies between `a`"),
            (format!("{TWO}{LINK}").replace("\"b\"]", "\"c\"]"), Code::MissingKey, "called `c`"),
            (format!("{TWO}{LINK}").replace("\"b\"]", "\"a\"]"), Code::MissingKey, "two hosts"),
            (format!("{TWO}{LINK}").replace("gbit = 1", ""), Code::MissingKey, "has no `gbit`"),
            (format!("{TWO}{LINK}").replace("gbit = 1", "gbit = 0"), Code::OutOfRange, "gbit"),
            (TWO.replace("\"b\"", "\"a\""), Code::DuplicateName, "two hosts"),
            (TWO.replace("\"b\"", "\"B b\""), Code::UnsafeName, "B b"),
            (TWO.replace("hardware = \"y\"", ""), Code::MissingKey, "what `b` has"),
            (format!("{TWO}[host.ram]\ntotal_mib = 4096\n"), Code::PlacementConflict, "as well"),
            (TWO.replace("name = \"b\"", "nam = \"b\""), Code::UnknownKey, "nam"),
            (format!("{TWO}{LINK}").replace("rtt_ms", "rtt"), Code::UnknownKey, "rtt"),
        ] {
            let said = said(&text);
            assert!(said.iter().any(|(c, m)| *c == code && m.contains(part)), "{text}\n{said:?}");
        }
    }

    /// What is there and wrong is not missing as well, and a host that cannot be read is not unknown.
    #[test]
    fn one_fault_is_said_once() {
        for (from, to) in [
            ("gbit = 1", "gbit = 0"),
            ("rtt_ms = 0.2", "rtt_ms = \"x\""),
            ("[\"a\", \"b\"]", "5"),
            ("hardware = \"y\"", "hardware = 5"),
        ] {
            let text = format!("{TWO}{LINK}").replace(from, to);
            let said = said(&text);
            assert_eq!(said.len(), 1, "{text}\n{said:?}");
        }
    }
}
