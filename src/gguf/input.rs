//! A buffered little-endian reader that knows where it is and refuses to go beyond the file or the header's limit.
//!
//! Lengths in the file are checked against what is left of it before anything is done with them.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::GgufError;

/// The longest header that is read. The largest seen in the wild are about 40 MiB, nearly all of it vocabulary.
pub(super) const MAX_HEADER: u64 = 256 << 20;

const BUFFER: usize = 128 << 10;

pub(super) struct Input<'a, R> {
    source: &'a mut R,
    buffer: Vec<u8>,
    /// What of the buffer is filled and not yet consumed.
    start: usize,
    end: usize,
    /// Where in the file `buffer[start]` stands.
    at: u64,
    length: u64,
}

impl<'a, R: Read + Seek> Input<'a, R> {
    pub(super) fn new(source: &'a mut R) -> Result<Self, GgufError> {
        let io = |source| GgufError::Io { at: 0, source };
        let length = source.seek(SeekFrom::End(0)).map_err(io)?;
        source.seek(SeekFrom::Start(0)).map_err(io)?;
        Ok(Self { source, buffer: vec![0; BUFFER], start: 0, end: 0, at: 0, length })
    }

    /// Bytes from the start of the file to what is read next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fails unless `len` more bytes are in the file and within the limit.
    pub(super) fn expect(&self, len: u64, what: &'static str) -> Result<(), GgufError> {
        match self.at.checked_add(len) {
            Some(end) if end <= self.length.min(MAX_HEADER) => Ok(()),
            Some(end) if end <= self.length => {
                Err(GgufError::Endless { what, at: self.at, limit: MAX_HEADER })
            }
            _ => Err(GgufError::Truncated { what, at: self.at, length: self.length }),
        }
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        self.at += len as u64;
    }

    /// Moves the rest to the front and reads until `len` bytes are buffered; `len` is at most [`BUFFER`].
    fn fill(&mut self, len: usize, what: &'static str) -> Result<(), GgufError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < len {
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(free) {
                // The file became shorter than it was when its length was asked for.
                Ok(0) => {
                    return Err(GgufError::Truncated { what, at: self.at, length: self.length });
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(GgufError::Io { at: self.at, source }),
            }
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        loop {
            if let Some(bytes) = self.buffered().first_chunk::<N>().copied() {
                self.expect(N as u64, what)?;
                self.consume(N);
                return Ok(bytes);
            }
            self.expect(N as u64, what)?;
            self.fill(N, what)?;
        }
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, GgufError> {
        self.array::<1>(what).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, GgufError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(super) fn magic(&mut self) -> Result<[u8; 4], GgufError> {
        self.array("the magic number")
    }

    /// The next `len` bytes; the caller has bounded `len`.
    pub(super) fn bytes(&mut self, len: u64, what: &'static str) -> Result<Vec<u8>, GgufError> {
        self.expect(len, what)?;
        let mut bytes = Vec::new();
        let mut left = usize::try_from(len).unwrap_or(usize::MAX);
        while left > 0 {
            if self.start == self.end {
                self.fill(left.min(BUFFER), what)?;
            }
            let part = self.buffered();
            let part = part.get(..left.min(part.len())).unwrap_or_default();
            bytes.extend_from_slice(part);
            let read = part.len();
            self.consume(read);
            left -= read;
        }
        Ok(bytes)
    }

    /// Passes over `len` bytes without reading those that are not buffered.
    pub(super) fn skip(&mut self, len: u64, what: &'static str) -> Result<(), GgufError> {
        self.expect(len, what)?;
        match usize::try_from(len) {
            Ok(len) if len <= self.end - self.start => self.consume(len),
            _ => {
                self.at += len;
                (self.start, self.end) = (0, 0);
                self.source
                    .seek(SeekFrom::Start(self.at))
                    .map_err(|source| GgufError::Io { at: self.at, source })?;
            }
        }
        Ok(())
    }

    /// Passes over `count` strings, each a length in 8 bytes and its text.
    pub(super) fn skip_strings(&mut self, count: u64, what: &'static str) -> Result<(), GgufError> {
        // Each has at least its length, so that a count that lies is found out before the walk.
        self.expect(count.saturating_mul(8), what)?;
        let mut left = count;
        while left > 0 {
            let (strings, len) = whole_strings(self.buffered(), left);
            self.expect(len as u64, what)?;
            self.consume(len);
            left -= strings;
            if left > 0 {
                let len = self.u64(what)?;
                self.skip(len, what)?;
                left -= 1;
            }
        }
        Ok(())
    }
}

/// How many of at most `count` strings lie completely in `bytes`, and how many bytes they take.
fn whole_strings(bytes: &[u8], count: u64) -> (u64, usize) {
    let (mut rest, mut strings) = (bytes, 0);
    while strings < count {
        let Some((len, text)) = rest.split_first_chunk::<8>() else { break };
        let Ok(len) = usize::try_from(u64::from_le_bytes(*len)) else { break };
        let Some(after) = text.get(len..) else { break };
        rest = after;
        strings += 1;
    }
    (strings, bytes.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Read, Seek, SeekFrom};

    use super::{BUFFER, Input};
    use crate::gguf::GgufError;

    /// Gives one byte at a time and is interrupted before each.
    struct Trickle(Cursor<Vec<u8>>, bool);

    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let one = out.len().min(1);
            self.0.read(&mut out[..one])
        }
    }

    impl Seek for Trickle {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn strings_are_skipped_across_buffers_and_trickles() {
        let mut bytes = Vec::new();
        let lengths = [3, 0, BUFFER, 1, 2 * BUFFER + 5, 7, 0];
        for len in lengths {
            bytes.extend((len as u64).to_le_bytes());
            bytes.resize(bytes.len() + len, b'x');
        }
        bytes.extend(0xAB12u16.to_le_bytes());

        let mut trickle = Trickle(Cursor::new(bytes.clone()), false);
        let mut slow = Input::new(&mut trickle).unwrap();
        slow.skip_strings(lengths.len() as u64, "strings").unwrap();
        assert_eq!(slow.u16("end").unwrap(), 0xAB12);

        let mut cursor = Cursor::new(bytes);
        let mut fast = Input::new(&mut cursor).unwrap();
        fast.skip_strings(lengths.len() as u64, "strings").unwrap();
        assert_eq!(fast.u16("end").unwrap(), 0xAB12);
        assert_eq!(fast.at(), fast.length());
        assert!(matches!(fast.u8("more"), Err(GgufError::Truncated { .. })));
    }

    #[test]
    fn a_count_that_lies_is_found_out_before_the_walk() {
        let mut cursor = Cursor::new(vec![0; 64]);
        let mut input = Input::new(&mut cursor).unwrap();
        for count in [9, 1 << 40, u64::MAX] {
            assert!(matches!(input.skip_strings(count, "it"), Err(GgufError::Truncated { .. })));
            assert_eq!(input.at(), 0);
        }
        input.skip_strings(8, "it").unwrap();
    }
}
