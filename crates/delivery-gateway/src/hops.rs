//! How often has this message been received already? RFC 5321 §6.3.

use memchr::memchr_iter;

/// More Received fields than this are a loop. RFC 5321 §6.3 asks for at least 100.
pub(crate) const HOPS_MAX: usize = 100;

const FIELD: &[u8] = b"received:";

/// Counts Received fields of a message that comes in chunks.
#[derive(Debug)]
pub(crate) struct HopCounter {
    hops: usize,
    /// The line's first octets in lower case, as many as decide.
    start: [u8; FIELD.len()],
    seen: usize,
    in_header: bool,
}

impl HopCounter {
    pub(crate) fn new() -> Self {
        Self { hops: 0, start: [0; FIELD.len()], seen: 0, in_header: true }
    }

    pub(crate) fn is_loop(&self) -> bool {
        self.hops > HOPS_MAX
    }

    /// The next octets of the message.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        if !self.in_header {
            return;
        }
        let mut from = 0;
        for at in memchr_iter(b'\n', chunk) {
            self.line(&chunk[from..at]);
            from = at + 1;
            self.end_line();
            if !self.in_header {
                return;
            }
        }
        self.line(&chunk[from..]);
    }

    fn line(&mut self, part: &[u8]) {
        for &octet in part.iter().take(FIELD.len() - self.seen) {
            self.start[self.seen] = octet.to_ascii_lowercase();
            self.seen += 1;
        }
    }

    fn end_line(&mut self) {
        match &self.start[..self.seen] {
            [] | [b'\r'] => self.in_header = false,
            FIELD => self.hops += 1,
            _ => {}
        }
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(message: &[u8], size: usize) -> usize {
        let mut counter = HopCounter::new();
        for chunk in message.chunks(size) {
            counter.push(chunk);
        }
        counter.hops
    }

    #[test]
    fn counts_fields_of_the_header_only() {
        let message =
            b"Received: a\r\n\tReceived: folded\r\nRECEIVED: b\r\nX-Received: c\r\n\r\nReceived: body\r\n";
        for size in 1..message.len() {
            assert_eq!(hops(message, size), 2, "{size}");
        }
        assert_eq!(hops(b"\r\nReceived: body\r\n", 5), 0);
    }

    #[test]
    fn the_edge() {
        let mut counter = HopCounter::new();
        counter.push("Received: x\r\n".repeat(HOPS_MAX).as_bytes());
        assert!(!counter.is_loop());
        counter.push(b"Received: x\r\n");
        assert!(counter.is_loop());
    }
}
