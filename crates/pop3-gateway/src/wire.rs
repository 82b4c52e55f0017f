//! A message's octets as a multi-line reply wants them (RFC 1939 §3), and the first lines of one for TOP. No I/O.

use bytes::Bytes;
use memchr::memchr_iter;

/// Ends every multi-line reply.
pub(crate) const TERMINATOR: Bytes = Bytes::from_static(b".\r\n");

const DOT: Bytes = Bytes::from_static(b".");
const CR: Bytes = Bytes::from_static(b"\r");
const CRLF: Bytes = Bytes::from_static(b"\r\n");

/// Where in a line the octets seen so far have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    AfterCr,
    Inside,
}

/// Byte-stuffs a message that comes in chunks, and gives every line its CRLF: a bare LF, which only IMAP's APPEND and the
/// importer let in, becomes one. What needs no change is handed on as slices of the chunk, without a copy.
#[derive(Debug)]
pub(crate) struct Stuffer {
    place: Place,
}

impl Stuffer {
    pub(crate) fn new() -> Self {
        Self { place: Place::LineStart }
    }

    /// The next chunk.
    pub(crate) fn push(&mut self, chunk: &Bytes, mut send: impl FnMut(Bytes)) {
        let (Some(&first), Some(&last)) = (chunk.first(), chunk.last()) else { return };
        if self.place == Place::LineStart && first == b'.' {
            send(DOT);
        }
        let mut sent = 0;
        for at in memchr_iter(b'\n', chunk) {
            let after_cr = match at.checked_sub(1) {
                Some(before) => chunk[before] == b'\r',
                None => self.place == Place::AfterCr,
            };
            if !after_cr {
                send(chunk.slice(sent..at));
                send(CR);
                sent = at;
            }
            if chunk.get(at + 1) == Some(&b'.') {
                send(chunk.slice(sent..=at));
                send(DOT);
                sent = at + 1;
            }
        }
        send(chunk.slice(sent..));
        self.place = match last {
            b'\n' => Place::LineStart,
            b'\r' => Place::AfterCr,
            _ => Place::Inside,
        };
    }

    /// The end of the message: a last line without its end gets one, or the terminator would not stand on its own line.
    pub(crate) fn finish(self, mut send: impl FnMut(Bytes)) {
        if self.place != Place::LineStart {
            send(CRLF);
        }
        send(TERMINATOR);
    }
}

/// Finds the end of "header, empty line, n lines of the body" in a message that comes in chunks (TOP, RFC 1939 §7).
#[derive(Debug)]
pub(crate) struct TopCutter {
    part: Part,
    line: LineSoFar,
    body_lines: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Body,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineSoFar {
    Empty,
    OnlyCr,
    More,
}

impl TopCutter {
    pub(crate) fn new(body_lines: u64) -> Self {
        Self { part: Part::Header, line: LineSoFar::Empty, body_lines }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.part == Part::Done
    }

    /// How many octets of the next chunk belong to the answer.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> usize {
        if self.is_done() {
            return 0;
        }
        let mut start = 0;
        for at in memchr_iter(b'\n', chunk) {
            let empty = matches!(
                (self.line, &chunk[start..at]),
                (LineSoFar::Empty, [] | [b'\r']) | (LineSoFar::OnlyCr, [])
            );
            self.line = LineSoFar::Empty;
            start = at + 1;
            self.end_line(empty);
            if self.is_done() {
                return start;
            }
        }
        self.line = match (self.line, &chunk[start..]) {
            (line, []) => line,
            (LineSoFar::Empty, [b'\r']) => LineSoFar::OnlyCr,
            _ => LineSoFar::More,
        };
        chunk.len()
    }

    fn end_line(&mut self, empty: bool) {
        match self.part {
            Part::Header if empty && self.body_lines == 0 => self.part = Part::Done,
            Part::Header if empty => self.part = Part::Body,
            Part::Body => {
                self.body_lines -= 1;
                if self.body_lines == 0 {
                    self.part = Part::Done;
                }
            }
            Part::Header | Part::Done => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuff(chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut stuffer = Stuffer::new();
        for chunk in chunks {
            stuffer.push(&Bytes::copy_from_slice(chunk), |bytes| out.extend_from_slice(&bytes));
        }
        stuffer.finish(|bytes| out.extend_from_slice(&bytes));
        out
    }

    /// What a client makes of it, RFC 1939 §3.
    fn unstuff(wire: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = wire;
        loop {
            let end = memchr::memmem::find(rest, b"\r\n").expect("a line");
            let line = &rest[..end + 2];
            rest = &rest[end + 2..];
            if line == b".\r\n" {
                assert!(rest.is_empty());
                return out;
            }
            out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
    }

    fn top(message: &[u8], lines: u64, size: usize) -> Vec<u8> {
        let mut cutter = TopCutter::new(lines);
        let mut out = Vec::new();
        for chunk in message.chunks(size) {
            let kept = cutter.push(chunk);
            out.extend_from_slice(&chunk[..kept]);
        }
        out
    }

    #[test]
    fn known_answers() {
        assert_eq!(stuff(&[b""]), b".\r\n");
        assert_eq!(stuff(&[b"a"]), b"a\r\n.\r\n");
        assert_eq!(stuff(&[b"a\r\n"]), b"a\r\n.\r\n");
        assert_eq!(stuff(&[b".\r\n..\r\na.\r\n"]), b"..\r\n...\r\na.\r\n.\r\n");
        assert_eq!(stuff(&[b"a\r\n", b".", b"b\r", b"\n.c"]), b"a\r\n..b\r\n..c\r\n.\r\n");
        assert_eq!(stuff(&[b"a\n.b\n\nc"]), b"a\r\n..b\r\n\r\nc\r\n.\r\n");
    }

    #[test]
    fn what_needs_no_change_is_not_copied() {
        let chunk = Bytes::from_static(b"a\r\nb\r\n");
        let mut parts = Vec::new();
        Stuffer::new().push(&chunk, |bytes| parts.push(bytes));
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn top_is_header_and_lines_of_the_body() {
        let message = b"A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
        for size in 1..message.len() {
            assert_eq!(top(message, 0, size), b"A: 1\r\nB: 2\r\n\r\n");
            assert_eq!(top(message, 1, size), b"A: 1\r\nB: 2\r\n\r\none\r\n");
            assert_eq!(top(message, 2, size), b"A: 1\r\nB: 2\r\n\r\none\r\n\r\n");
            assert_eq!(top(message, u64::MAX, size), message);
            assert_eq!(top(b"\r\nbody\r\nmore", 1, size), b"\r\nbody\r\n");
            assert_eq!(top(b"A: 1\n\nb\nc", 1, size), b"A: 1\n\nb\n");
            assert_eq!(top(b"A: 1\r\n \r\n\r\nb", 0, size), b"A: 1\r\n \r\n\r\n");
            assert_eq!(top(b"only: header", 0, size), b"only: header");
        }
    }

    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![Just(b'.'), Just(b'a'), Just(b'\r'), Just(b'\n'), Just(0u8), Just(0xffu8)];
        proptest::collection::vec(octet, 0..60)
    }

    proptest! {
        #[test]
        fn messages_go_there_and_back(parts in proptest::collection::vec("[.a\u{e9}]{0,4}", 0..12), cut in 1usize..9) {
            let message: Vec<u8> = parts.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
            let chunks: Vec<&[u8]> = message.chunks(cut).collect();
            let wire = stuff(&chunks);
            prop_assert_eq!(unstuff(&wire), message);
        }

        #[test]
        fn any_octets_end_only_at_the_end(message in lines(), cut in 1usize..9) {
            let wire = stuff(&message.chunks(cut).collect::<Vec<_>>());
            let back = unstuff(&wire);
            // Only line ends may differ.
            let plain = |text: &[u8]| text.iter().copied().filter(|b| !b"\r\n".contains(b)).collect::<Vec<_>>();
            prop_assert_eq!(plain(&back), plain(&message));
            prop_assert_eq!(&wire, &stuff(&[&message]));
        }
    }
}
