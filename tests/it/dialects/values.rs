//! Values that some reader would rather take for something else. The same seed gives the same values.

/// How many values each sink is tried with.
pub(crate) const COUNT: usize = 10_000;

/// `SplitMix64`: small, and good enough to mix pieces.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

pub(crate) const PIECES: &[&str] = &[
    "'",
    "\"",
    "\\",
    "\\\\",
    "\\'",
    "\\\"",
    "\\n",
    "\\$",
    "$",
    "$$",
    "${",
    "}",
    "${HOME}",
    "$HOME",
    "${A:-b}",
    "$(id)",
    "`id`",
    "$1",
    "{{",
    "}}",
    "{%",
    "{#",
    " ",
    "  ",
    "\t",
    " #",
    "#",
    "# ",
    "\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "*",
    "?",
    "[a-z]",
    "~",
    "!",
    "&",
    "|",
    ";",
    "<",
    ">",
    "(",
    ")",
    "=",
    ":",
    ": ",
    "- ",
    "%",
    "%s",
    "@",
    ",",
    "^blk$",
    r"blk\.([0-9]|1[0-2])\.=CUDA0",
    "null",
    "yes",
    "1e3",
    "0x10",
    "a",
    "b",
    "word",
    "é",
    "żółć",
    "日本",
    "🦙",
    "\u{301}",
    "\u{200b}",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{1}",
    "\u{7}",
    "\u{1b}",
    "\u{1f}",
    "\u{7f}",
    "\u{80}",
    "\u{81}",
    "\u{88}",
    "\u{9f}",
    "\\0101",
    "\\x41",
    "\\u0041",
    "export ",
    "K=v",
    "EOF",
    "--flag",
    "-",
    "/",
    "\u{10ffff}",
];

/// Any text without NUL: mostly pieces, sometimes any characters, sometimes long.
pub(crate) fn hostile(dice: &mut Dice) -> String {
    let length = match dice.below(100) {
        0 => 400,
        1..10 => 30,
        10..20 => 0,
        _ => 6,
    };
    let length = dice.below(length + 1);
    let mut text = String::new();
    for _ in 0..length {
        match dice.below(12) {
            0 => text.extend(char::from_u32(1 + u32::try_from(dice.below(0x11_0000)).unwrap())),
            1 => text.extend(char::from_u32(1 + u32::try_from(dice.below(0x250)).unwrap())),
            2 if length > 20 => text.push_str(&dice.pick(PIECES).repeat(dice.below(60))),
            _ => text.push_str(dice.pick(PIECES)),
        }
    }
    text
}

/// [`COUNT`] of them.
pub(crate) fn all(seed: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    (0..COUNT).map(|_| hostile(&mut dice)).collect()
}

#[test]
fn they_are_what_they_claim() {
    let values = all(1);
    assert_eq!(values, all(1));
    assert!(values.iter().all(|value| !value.contains('\0')));
    let holding = |what: &str| values.iter().filter(|value| value.contains(what)).count();
    for what in ["'", "\"", "\\", "$", "${", "\n", "\r", " #", "*", "\u{1b}", "é", "🦙", "\u{feff}"]
    {
        assert!(holding(what) > 300, "{what:?}: {}", holding(what));
    }
    assert!(values.iter().filter(|value| value.is_empty()).count() > 300);
    assert!(values.iter().filter(|value| value.len() > 1000).count() > 30);
}
