//! Values that try to break out of a Dockerfile, seen from inside of the container.

use std::fmt::Write as _;

use composegen::quote;

use crate::engine::{BASE, Engine, Image};
use crate::{Case, project};

pub(crate) const CASES: &[Case] = &[
    ("words::known_strings_arrive", known_strings_arrive),
    ("words::generated_strings_arrive", generated_strings_arrive),
];

/// Prints its arguments and its environment, each in the kernel's own form: every entry ends in NUL.
const TELL: &str = "cat /proc/$$/cmdline; printf '\\n\\377'; cat /proc/$$/environ";

pub(crate) const KNOWN: &[&str] = &[
    r"-ot blk\.([0-9]|1[0-2])\.=CUDA0,blk\.(1[3-8])\.=CUDA1,exps=CPU",
    "",
    "  lead and trail  ",
    "a # b",
    "#a",
    "x$HOME/y ${HOME} ${HOME:-z} $$ $1 $( ^blk$ a${b",
    r#"it's "quoted" 'q' a'b"c"#,
    r#"{"enable_thinking": false}"#,
    r"back\slash a\\b lit\n a\$b a\'b trail\",
    "a\rb\r",
    "* ? [a-z] ~ {a,b}",
    "`id` $(id)",
    "a;b&c|d<e>f(g)h!i <<EOF",
    "null",
    "a\u{a0}\u{85}\u{2028}\u{feff}é\u{1f999}",
    "a\u{1}\u{7}\u{1b}\u{7f}b",
    "tab\there",
    "K=V=W",
    "--mount=type=bind",
];

fn known_strings_arrive(engine: &Engine) {
    let values: Vec<String> = KNOWN.iter().map(|&value| value.to_owned()).collect();
    variables(engine, &values);
    labels(engine, &values);
    let lines = ["l1\nl2".to_owned(), "\n".to_owned(), "\\\n\"".to_owned()];
    arguments(engine, &[&values[..], &lines].concat());
}

fn generated_strings_arrive(engine: &Engine) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let values: Vec<String> = (0..10_000).map(|_| random.value(PIECES)).collect();
    labels(engine, &values);
    for some in values.chunks(1000) {
        arguments(engine, some);
    }
    // Engine 20.10 takes time by the cube of the number of variables (200: 5 s, 1000: 2 minutes), so that
    // the first stand alone, and all together in a few.
    variables(engine, values.split_at(100).0);
    variables(engine, &values.chunks(1000).map(|some| some.join("/")).collect::<Vec<_>>());
}

const PIECES: &[&str] = &[
    "a",
    "0",
    " ",
    "  ",
    "\t",
    "\\",
    "\\\\",
    "\"",
    "'",
    "$",
    "${",
    "}",
    "$$",
    "$HOME",
    "#",
    " #",
    "`",
    "(",
    ")",
    ";",
    "&",
    "|",
    "<",
    ">",
    "<<EOF",
    "*",
    "?",
    "[",
    "]",
    "{",
    "~",
    "!",
    "=",
    ",",
    ":",
    "\r",
    "\u{1}",
    "\u{1b}",
    "é",
    "\u{a0}",
    "\u{2028}",
    "\u{1f999}",
    "%",
    "@",
    "\\n",
    "\\$",
    "--",
    "/",
];

/// All values as variables of one image.
fn variables(engine: &Engine, values: &[String]) {
    let mut text = format!("FROM {BASE}\n");
    for (at, value) in values.iter().enumerate() {
        writeln!(text, "ENV E{at}={}", quote::dockerfile::encode(value).unwrap()).unwrap();
    }
    let exec = quote::exec::encode(&["/bin/sh", "-c", TELL]).unwrap();
    writeln!(text, "ENTRYPOINT {exec}").unwrap();
    let (_, environment) = told(&build(engine, &text));
    for (at, value) in values.iter().enumerate() {
        let variable = format!("E{at}={value}");
        assert!(environment.contains(&variable.into_bytes()), "ENV {value:?}");
    }
}

/// All values as labels of one image.
fn labels(engine: &Engine, values: &[String]) {
    let mut text = format!("FROM {BASE}\n");
    // Several on a line, as a line costs more than a word; it may have 64 KiB.
    for (chunk, some) in values.chunks(200).enumerate() {
        text.push_str("LABEL");
        for (at, value) in some.iter().enumerate() {
            let word = quote::dockerfile::encode(value).unwrap();
            write!(text, " l.{}={word}", chunk * 200 + at).unwrap();
        }
        text.push('\n');
    }
    let inspected = build(engine, &text).inspect();
    let labels = inspected.pointer("/Config/Labels").unwrap();
    for (at, value) in values.iter().enumerate() {
        let label = labels.get(format!("l.{at}")).and_then(|label| label.as_str());
        assert_eq!(label, Some(value.as_str()));
    }
}

/// All values as arguments in exec form.
fn arguments(engine: &Engine, values: &[String]) {
    let mut argv = vec!["/bin/sh".to_owned(), "-c".into(), TELL.into(), "sh".into()];
    argv.extend(values.iter().cloned());
    let exec = quote::exec::encode(&argv).unwrap();
    let image = build(engine, &format!("FROM {BASE}\nENTRYPOINT {exec}\n"));
    let (arrived, _) = told(&image);
    let sent: Vec<Vec<u8>> = argv.into_iter().map(String::into_bytes).collect();
    assert_eq!(arrived, sent);
}

fn build<'a>(engine: &'a Engine, text: &str) -> Image<'a> {
    let context = tempfile::tempdir().unwrap();
    project::file(context.path(), "Dockerfile", text);
    let image = engine.image();
    engine.must_build(context.path(), &["--tag", &image.name]);
    image
}

/// What [`TELL`] printed: arguments and variables. The byte FF is in no value, which are all UTF-8.
fn told(image: &Image<'_>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let said = image.run(&[], &[]);
    let end = said.windows(2).position(|pair| pair == b"\n\xff").unwrap();
    let (arguments, variables) = said.split_at(end);
    let list = |bytes: &[u8]| {
        let mut list: Vec<_> = bytes.split(|&b| b == 0).map(<[u8]>::to_vec).collect();
        assert_eq!(list.pop().as_deref(), Some(&b""[..]));
        list
    };
    (list(arguments), list(variables.strip_prefix(b"\n\xff").unwrap()))
}

/// xorshift64: the same values in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap()
    }

    fn value(&mut self, pieces: &[&str]) -> String {
        let length = self.next() % 12;
        (0..length).map(|_| *pieces.get(self.next() % pieces.len()).unwrap()).collect()
    }
}
