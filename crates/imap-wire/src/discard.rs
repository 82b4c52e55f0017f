//! Swallows the rest of a command that went wrong, in bounded memory.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use crate::frame::{LITERAL_HEADER_BYTES_MAX, literal_header};

/// The end of a line that is kept to see whether it announces a literal: the header, and CR.
const TAIL_BYTES: usize = LITERAL_HEADER_BYTES_MAX + 1;

/// What is left to swallow: a literal, then the rest of the command.
#[derive(Debug)]
pub(crate) struct Discard {
    literal_left: u64,
    /// The last bytes of the present line.
    tail: Vec<u8>,
    total: u64,
    /// Literals may follow the line.
    literals: bool,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swallowed {
    NeedMore,
    Done,
    Flood,
}

impl Discard {
    /// The rest of a command line.
    pub(crate) fn line() -> Self {
        Self::literal(0)
    }
    /// The rest of a line that is no command.
    pub(crate) fn plain_line() -> Self {
        Self { literals: false, ..Self::literal(0) }
    }
    /// The rest of a literal, and of the command after it.
    pub(crate) fn literal(left: u64) -> Self {
        Self { literal_left: left, tail: Vec::new(), total: 0, literals: true }
    }

    pub(crate) fn swallow(&mut self, buf: &mut BytesMut, most: u64) -> Swallowed {
        loop {
            if self.literal_left > most.saturating_sub(self.total) {
                return Swallowed::Flood;
            }
            if self.literal_left > 0 {
                let take = self.literal_left.min(buf.len() as u64);
                buf.advance(take as usize);
                self.literal_left -= take;
                self.total += take;
                if self.literal_left > 0 {
                    return Swallowed::NeedMore;
                }
            }
            let lf = memchr(b'\n', buf);
            self.take_line(buf, lf.unwrap_or(buf.len()));
            if self.total > most {
                return Swallowed::Flood;
            }
            if lf.is_none() {
                return Swallowed::NeedMore;
            }
            buf.advance(1);
            let line = self.tail.strip_suffix(b"\r").unwrap_or(&self.tail);
            let header = literal_header(line);
            self.tail.clear();
            match header {
                Some((_, header)) if self.literals && !header.sync => self.literal_left = header.size,
                _ => return Swallowed::Done,
            }
        }
    }

    fn take_line(&mut self, buf: &mut BytesMut, bytes: usize) {
        self.tail.extend_from_slice(&buf[bytes.saturating_sub(TAIL_BYTES)..bytes]);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        self.total += bytes as u64;
        buf.advance(bytes);
    }
}
