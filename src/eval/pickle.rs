//! The one thing that LiveCodeBench keeps in Python's pickle format: a text. A pickle is a program, and this reader knows
//! only the instructions by which one string is put on the stack; whatever else stands in it is refused.

use std::str::from_utf8;

/// Reads a pickle of protocols 2 to 5 that holds one string.
pub(super) fn text(bytes: &[u8]) -> Result<String, String> {
    let mut rest = bytes;
    let mut found = None;
    loop {
        let code = *take(&mut rest, 1)?.first().ok_or(SHORT)?;
        match code {
            // PROTO, and the length of a frame, which says nothing new.
            0x80 => drop(take(&mut rest, 1)?),
            0x95 => drop(take(&mut rest, 8)?),
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8.
            0x8c | b'X' | 0x8d => {
                let width = match code {
                    0x8c => 1,
                    b'X' => 4,
                    _ => 8,
                };
                let length = number(take(&mut rest, width)?)?;
                let text = from_utf8(take(&mut rest, length)?).map_err(|e| e.to_string())?;
                if found.replace(text).is_some() {
                    return Err("it holds more than one string".to_owned());
                }
            }
            // MEMOIZE, BINPUT, LONG_BINPUT: nobody asks for it again.
            0x94 => {}
            b'q' => drop(take(&mut rest, 1)?),
            b'r' => drop(take(&mut rest, 4)?),
            b'.' if rest.is_empty() => {
                return found.map(str::to_owned).ok_or_else(|| "it holds no string".to_owned());
            }
            b'.' => return Err("something stands behind its end".to_owned()),
            other => return Err(format!("instruction {other:#04x} is none of a plain string")),
        }
    }
}

const SHORT: &str = "it is cut off";

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], String> {
    let (taken, left) = rest.split_at_checked(count).ok_or(SHORT)?;
    *rest = left;
    Ok(taken)
}

/// Little-endian.
fn number(bytes: &[u8]) -> Result<usize, String> {
    let mut wide = [0; 8];
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    usize::try_from(u64::from_le_bytes(wide)).map_err(|_| SHORT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn one_string_of_every_protocol() {
        let cases: [(&[u8], &str); 4] = [
            (b"\x80\x02X\x03\x00\x00\x00a\xc3\xbcq\x00.", "aü"),
            (b"\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00\x8c\x02hi\x94.", "hi"),
            (b"\x80\x05\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi\x94.", "hi"),
            (b"\x80\x03X\x00\x00\x00\x00r\x00\x00\x00\x00.", ""),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn programs_are_refused() {
        for bytes in [
            // os.system("true"), as protocol 0 and 2 write it.
            b"cos\nsystem\n(S'true'\ntR.".as_slice(),
            b"\x80\x02cos\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.",
            b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93.",
            b"\x80\x04\x8c\x02hi\x94.more",
            b"\x80\x04\x8c\x05hi\x94.",
            b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffhi.",
            b"\x80\x04\x8c\x01\xff\x94.",
            b"\x80\x04.",
            b"N.",
            b"",
        ] {
            assert!(text(bytes).is_err(), "{bytes:?}");
        }
    }
}
