//! Dot-stuffed data: RFC 5321 §4.5.2, for DATA of SMTP and LMTP.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

/// Reads one message of dot-stuffed data. Make a new one for each.
///
/// Only CR LF `.` CR LF ends the data, and `.` CR LF at its very start (RFC 5321 §4.1.1.4: the CR LF
/// before it is that of the DATA command). Lenient ends are how mail is smuggled.
#[derive(Debug)]
pub struct DotReader {
    at_line_start: bool,
    faulty: bool,
}

/// What comes next in dot-stuffed data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataStep {
    /// Bytes of the message, stuffing removed, line ends included.
    Data(Bytes),
    /// The data breaks the rules, told once: refuse it. Read on to [`DataStep::End`]; no more data comes.
    Fault(DataFault),
    /// The end; the terminator is consumed.
    End,
}

/// Why dot-stuffed data must be refused (RFC 5321 §2.3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataFault {
    /// CR not followed by LF.
    #[error("bare CR in message data")]
    BareCr,
    /// LF not after CR.
    #[error("bare LF in message data")]
    BareLf,
}

impl Default for DotReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a scan of the buffer stopped.
enum Stop {
    /// At bytes whose meaning the next bytes decide, or at the buffer's end.
    Starved,
    End,
    Fault(DataFault),
}

impl DotReader {
    /// At the start of the data.
    pub fn new() -> Self {
        Self { at_line_start: true, faulty: false }
    }

    /// The next step from what is buffered, consuming it; `None`: more bytes are needed. At most two
    /// bytes stay buffered then.
    pub fn step(&mut self, input: &mut BytesMut) -> Option<DataStep> {
        loop {
            let scan = self.scan(input);
            if let Stop::Fault(fault) = scan.stop {
                input.advance(scan.read);
                if !self.faulty {
                    self.faulty = true;
                    return Some(DataStep::Fault(fault));
                }
                continue;
            }
            if scan.kept > 0 && !self.faulty {
                let mut data = input.split_to(scan.read);
                data.truncate(scan.kept);
                // The terminator, if it follows, is found again by the next step.
                return Some(DataStep::Data(data.freeze()));
            }
            input.advance(scan.read);
            return match scan.stop {
                Stop::End => {
                    input.advance(TERMINATOR.len());
                    Some(DataStep::End)
                }
                _ => None,
            };
        }
    }

    /// Walks the lines, moving bytes over removed dots. Leaves `at_line_start` as it is at `read`.
    fn scan(&mut self, input: &mut BytesMut) -> Scan {
        let mut scan = Scan { read: 0, kept: 0, stop: Stop::Starved };
        loop {
            if self.at_line_start && input.get(scan.read) == Some(&b'.') {
                match &input[scan.read + 1..] {
                    [b'\r', b'\n', ..] => {
                        scan.stop = Stop::End;
                        return scan;
                    }
                    [] | [b'\r'] => return scan,
                    _ => scan.read += 1,
                }
                self.at_line_start = false;
            }
            let line = &input[scan.read..];
            if line.is_empty() {
                return scan;
            }
            let Some(at) = memchr2(b'\r', b'\n', line) else {
                self.at_line_start = false;
                let length = line.len();
                scan.keep(input, length);
                return scan;
            };
            match (line[at], line.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    self.at_line_start = true;
                    scan.keep(input, at + 2);
                }
                (b'\r', None) => {
                    self.at_line_start &= at == 0;
                    scan.keep(input, at);
                    return scan;
                }
                (ending, _) => {
                    self.at_line_start = false;
                    scan.read += at + 1;
                    scan.stop =
                        Stop::Fault(if ending == b'\r' { DataFault::BareCr } else { DataFault::BareLf });
                    return scan;
                }
            }
        }
    }
}

const TERMINATOR: &[u8] = b".\r\n";

struct Scan {
    /// Bytes walked over.
    read: usize,
    /// Bytes of data at the buffer's start, once dots are removed.
    kept: usize,
    stop: Stop,
}

impl Scan {
    fn keep(&mut self, input: &mut BytesMut, length: usize) {
        if self.kept != self.read {
            input.copy_within(self.read..self.read + length, self.kept);
        }
        self.read += length;
        self.kept += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Data, first fault, and what is left after the end; `None`: no end.
    type Outcome = Option<(Vec<u8>, Option<DataFault>, Vec<u8>)>;

    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut reader = DotReader::new();
        let mut input = BytesMut::new();
        let (mut data, mut fault, mut ended) = (Vec::new(), None, false);
        for chunk in chunks {
            input.extend_from_slice(chunk);
            while !ended {
                match reader.step(&mut input) {
                    Some(DataStep::Data(bytes)) => data.extend_from_slice(&bytes),
                    Some(DataStep::Fault(first)) => fault = Some(first),
                    Some(DataStep::End) => ended = true,
                    None => {
                        assert!(input.len() <= 2);
                        break;
                    }
                }
            }
        }
        ended.then(|| comparable(data, fault, input.to_vec()))
    }

    /// How much of a faulty message came before the fault is told is not promised.
    fn comparable(
        mut data: Vec<u8>,
        fault: Option<DataFault>,
        rest: Vec<u8>,
    ) -> (Vec<u8>, Option<DataFault>, Vec<u8>) {
        if fault.is_some() {
            data.clear();
        }
        (data, fault, rest)
    }

    /// Byte by byte and plain, to compare with.
    fn model(text: &[u8]) -> Outcome {
        let mut data = Vec::new();
        let mut fault = None;
        let (mut at, mut line_start) = (0, true);
        while at < text.len() {
            let rest = &text[at..];
            if line_start && rest.starts_with(b".\r\n") {
                return Some(comparable(data, fault, rest[3..].to_vec()));
            }
            if line_start && rest == b".\r" {
                return None;
            }
            if line_start && rest[0] == b'.' {
                at += 1;
                line_start = false;
                continue;
            }
            line_start = rest.starts_with(b"\r\n");
            let length = if line_start { 2 } else { 1 };
            match rest[0] {
                b'\r' if rest.len() == 1 => return None,
                b'\r' if !line_start => fault = fault.or(Some(DataFault::BareCr)),
                b'\n' => fault = fault.or(Some(DataFault::BareLf)),
                _ if fault.is_none() => data.extend_from_slice(&rest[..length]),
                _ => {}
            }
            at += length;
        }
        None
    }

    #[test]
    fn known_answers() {
        let ok = |text: &[u8], data: &[u8], rest: &[u8]| {
            assert_eq!(run([text]), Some((data.to_vec(), None, rest.to_vec())));
        };
        ok(b".\r\nQUIT\r\n", b"", b"QUIT\r\n");
        ok(b"a\r\n.\r\n", b"a\r\n", b"");
        ok(b"..\r\n...\r\n.x\r\n.\r\n", b".\r\n..\r\nx\r\n", b"");
        ok(b"a\r\n\r\n.\r\nb", b"a\r\n\r\n", b"b");
    }

    #[test]
    fn smuggled_ends_do_not_end() {
        for (text, fault) in [
            (&b"a\n.\r\nMAIL FROM:<x>\r\n.\r\n"[..], DataFault::BareLf),
            (b"a\r\n.\nMAIL FROM:<x>\r\n.\r\n", DataFault::BareLf),
            (b"a\n.\nMAIL FROM:<x>\r\n.\r\n", DataFault::BareLf),
            (b"a\r.\r\nMAIL FROM:<x>\r\n.\r\n", DataFault::BareCr),
            (b"a\r\n.\rMAIL FROM:<x>\r\n.\r\n", DataFault::BareCr),
            (b"a\r\r\n.\r\r\nMAIL FROM:<x>\r\n.\r\n", DataFault::BareCr),
        ] {
            let (_, found, rest) = run([text]).expect("the real end ends it");
            assert_eq!(found, Some(fault), "{}", text.escape_ascii());
            assert_eq!(rest, b"", "{}", text.escape_ascii());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn chunks_never_change_the_result(
            text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            cuts in proptest::collection::vec(1usize..6, 1..40),
        ) {
            let mut text = text;
            text.extend_from_slice(b"\r\n.\r\nrest");
            let mut chunks = Vec::new();
            let mut left = &text[..];
            for cut in cuts {
                let (chunk, rest) = left.split_at(cut.min(left.len()));
                chunks.push(chunk);
                left = rest;
            }
            chunks.push(left);
            let chunked = run(chunks);
            // The end may come in an early chunk, the rest then stays with the client.
            let expected = model(&text);
            prop_assert_eq!(chunked.map(|o| (o.0, o.1)), expected.clone().map(|o| (o.0, o.1)));
            prop_assert_eq!(run([&text[..]]), expected);
        }
    }
}
