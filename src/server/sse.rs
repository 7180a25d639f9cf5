//! Server-sent events: bytes as they arrive in, events out, as the HTML standard describes the stream.

/// One event that was complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type, `message` where the stream names none.
    pub kind: String,
    /// All `data` lines of it, joined by line breaks.
    pub data: String,
}

/// An event that does not end. The server is not trusted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MOST} bytes")]
pub struct TooLarge;

/// A reply of llama-server with all settings in it takes some kilobytes; a prompt in it, more.
const MOST: usize = 32 << 20;

/// What has arrived of the stream and is not an event yet.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// The line that has not ended.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    returned: bool,
    begun: bool,
    kind: String,
    data: String,
    has_data: bool,
}

impl Decoder {
    /// Takes bytes, cut anywhere, and gives the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.returned, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.line(&line));
                }
                _ => {
                    if self.line.len() + self.data.len() >= MOST {
                        return Err(TooLarge);
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(events)
    }

    fn line(&mut self, line: &[u8]) -> Option<Event> {
        let text = String::from_utf8_lossy(line);
        let mut text = text.as_ref();
        if !std::mem::replace(&mut self.begun, true) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            return self.dispatch();
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.kind),
            // An id and a time for reconnecting, which is of no use here; a comment; what is not in the standard.
            _ => {}
        }
        None
    }

    /// The event, unless it has no data.
    fn dispatch(&mut self) -> Option<Event> {
        let kind = std::mem::take(&mut self.kind);
        let data = std::mem::take(&mut self.data);
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        std::mem::take(&mut self.has_data).then_some(Event { kind, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decoder, Event, MOST, TooLarge};

    fn events(bytes: &[u8]) -> Vec<(String, String)> {
        let events = Decoder::default().push(bytes).unwrap();
        events.into_iter().map(|Event { kind, data }| (kind, data)).collect()
    }

    #[test]
    fn as_the_standard_says() {
        let cases: [(&str, &[(&str, &str)]); 10] = [
            ("data: a\n\n", &[("message", "a")]),
            ("data:a\ndata:  b\n\n", &[("message", "a\n b")]),
            ("event: error\ndata: {}\n\ndata: x\n\n", &[("error", "{}"), ("message", "x")]),
            (": comment\nid: 7\nretry: 1\nother\n\n", &[]),
            ("data\n\n", &[("message", "")]),
            ("data\ndata\n\n", &[("message", "\n")]),
            (
                "\u{feff}data: a\r\n\r\ndata: b\r\rdata: c\n\n",
                &[("message", "a"), ("message", "b"), ("message", "c")],
            ),
            ("event: lost\n\ndata: a\n\n", &[("message", "a")]),
            ("data: never ended\n", &[]),
            ("data: a: b\n\n", &[("message", "a: b")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(k, d)| ((*k).to_owned(), (*d).to_owned())).collect();
            assert_eq!(events(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(b"data: ").unwrap();
        let chunk = vec![b'x'; 1 << 20];
        let pushed = (0..=MOST >> 20).try_for_each(|_| decoder.push(&chunk).map(drop));
        assert_eq!(pushed, Err(TooLarge));
        // Many lines of one event are as large.
        let mut decoder = Decoder::default();
        let line = [b"data: ".as_slice(), &chunk, b"\n"].concat();
        let pushed = (0..=MOST >> 20).try_for_each(|_| decoder.push(&line).map(drop));
        assert_eq!(pushed, Err(TooLarge));
    }

    proptest! {
        /// Wherever the network cuts, within a character as well.
        #[test]
        fn cuts_do_not_matter(
            text in "(data: [aü🦙]{0,5}(\r\n|\n|\r)|event: x\n|:c\r|\r\n|\n){0,12}",
            cuts in prop::collection::vec(0..80_usize, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                found.extend(decoder.push(&bytes[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(found, Decoder::default().push(bytes).unwrap());
        }
    }
}
