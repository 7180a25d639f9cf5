//! Pieces of output put together to lines. A piece may end anywhere, in the middle of a character, too.

/// Keeps what has no end yet.
#[derive(Debug, Default)]
pub struct Lines {
    open: Vec<u8>,
}

/// A line that grows beyond this is given out as it is.
const LONGEST: usize = 1 << 20;

impl Lines {
    /// The lines that this piece completes.
    pub fn take(&mut self, piece: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.open.extend_from_slice(line);
            lines.push(self.rest().unwrap_or_default());
            rest = after.get(1..).unwrap_or_default();
        }
        self.open.extend_from_slice(rest);
        if self.open.len() > LONGEST {
            lines.extend(self.rest());
        }
        lines
    }

    /// What is left without an end of line.
    pub fn rest(&mut self) -> Option<String> {
        if self.open.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.open);
        Some(String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn pieces_become_lines() {
        let mut lines = Lines::default();
        let text = "eins\nzwei \u{e4}\r\n\ndrei\n".as_bytes();
        for size in 1..text.len() {
            let got: Vec<String> = text.chunks(size).flat_map(|piece| lines.take(piece)).collect();
            assert_eq!(got, ["eins", "zwei \u{e4}", "", "drei"], "in pieces of {size}");
            assert_eq!(lines.rest(), None);
        }
        assert!(lines.take(b"no end").is_empty());
        assert_eq!(lines.rest().as_deref(), Some("no end"));
    }
}
