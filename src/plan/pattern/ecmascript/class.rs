//! Classes in brackets.

use super::{Escaped, NOTHING, Reader, Step, WAY_OUT};

const RANGE: &str = "a range in `[…]` goes from a lower character to a higher one";

impl Reader<'_> {
    pub(super) fn class(&mut self) -> Step {
        let opened = self.at;
        self.at += 1;
        let negated = self.eat("^");
        let mut members = String::new();
        while !self.eat("]") {
            let first = self.member(opened)?;
            let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            let low = match first {
                Escaped::Char(low) => low,
                Escaped::Class(_) if is_range => return self.fail(RANGE, "write `\\-` for a dash"),
                Escaped::Class(class) if class.starts_with('^') => {
                    members.extend(["[", class, "]"]);
                    continue;
                }
                Escaped::Class(class) => {
                    members.push_str(class);
                    continue;
                }
            };
            if !is_range {
                class_char(&mut members, low);
                continue;
            }
            self.at += 1;
            match self.member(opened)? {
                Escaped::Char(high) if low <= high => {
                    class_char(&mut members, low);
                    members.push('-');
                    class_char(&mut members, high);
                }
                _ => return self.fail(RANGE, "write `\\-` for a dash"),
            }
        }
        match (members.as_str(), negated) {
            ("", false) => self.out.push_str(NOTHING),
            ("", true) => self.out.push_str(r"[\x00-\x{10FFFF}]"),
            (members, false) => self.out.extend(["[", members, "]"]),
            (members, true) => self.out.extend(["[^", members, "]"]),
        }
        Ok(())
    }

    /// One character, escape or named class between brackets.
    fn member(&mut self, opened: usize) -> Step<Escaped> {
        for (name, class) in NAMED {
            if self.eat(&format!("[:{name}:]")) {
                return Ok(Escaped::Class(class));
            }
        }
        if ["[:", "[.", "[="].iter().any(|head| self.rest().starts_with(head)) {
            return self.fail("`[` in brackets begins no known class", WAY_OUT);
        }
        match self.next() {
            None => {
                self.at = opened;
                self.fail("`[` is not closed", WAY_OUT)
            }
            Some('\\') if matches!(self.peek(), Some('1'..='9' | 'B')) => {
                self.fail("a reference or `\\B` stands in brackets", "take it out of the brackets")
            }
            Some('\\') => self.escaped(),
            Some(char) if char.is_ascii() => Ok(Escaped::Char(char)),
            Some(_) => self.fail(
                "brackets hold a character beyond ASCII, which llama.cpp takes for several",
                "tensor names are ASCII; leave it out",
            ),
        }
    }
}

/// The classes of POSIX in the C locale, and the three that libstdc++ adds.
const NAMED: [(&str, &str); 15] = [
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("blank", r"\t "),
    ("cntrl", r"\x00-\x1f\x7f"),
    ("digit", "0-9"),
    ("graph", r"\x21-\x7e"),
    ("lower", "a-z"),
    ("print", r"\x20-\x7e"),
    ("punct", r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e"),
    ("space", r"\t-\r "),
    ("upper", "A-Z"),
    ("xdigit", "0-9A-Fa-f"),
    ("d", "0-9"),
    ("s", r"\t-\r "),
    ("w", "0-9A-Za-z_"),
];

/// As a code, so that no sign of the other dialect's set notation is met.
fn class_char(out: &mut String, char: char) {
    if char.is_ascii_alphanumeric() {
        out.push(char);
    } else {
        out.extend([r"\x{", &format!("{:x}", u32::from(char)), "}"]);
    }
}
