//! One pass over the message: header blocks by line, bodies by the next line that begins with two hyphens.

use memchr::{memchr_iter, memmem};

use super::{MediaType, Part, PartKind};
use crate::content_type::ContentType;
use crate::header::{fields, is_empty_line, line_end, trim_end};
use crate::limits::{BOUNDARY_MAX, PART_DEPTH_MAX, PARTS_MAX};
use crate::transfer::Encoding;

pub(super) fn scan(message: &[u8]) -> Vec<Part> {
    let mut scanner = Scanner {
        message,
        parts: Vec::new(),
        open: Vec::new(),
        boundaries: 0,
        lines: LineCounter { message, at: 0, lines: 0 },
    };
    let mut at = scanner.open_part(0, Default::TextPlain);
    let finder = memmem::Finder::new(b"\n--");
    while let Some(boundary) = scanner.next_boundary(&finder, at) {
        if !boundary.last && scanner.parts.len() >= PARTS_MAX {
            break;
        }
        scanner.close_above(boundary.level, boundary.line);
        at = boundary.after;
        if boundary.last {
            // What follows is the epilogue; it ends with the container.
            scanner.open[boundary.level].forget_boundary(&mut scanner.boundaries);
        } else {
            let default = scanner.open[boundary.level].default_of_children;
            at = scanner.open_part(at, default);
        }
    }
    scanner.close_to(0, message.len());
    scanner.parts
}

/// The type of a part without a Content-Type.
#[derive(Clone, Copy)]
enum Default {
    /// RFC 2045 §5.2.
    TextPlain,
    /// RFC 2046 §5.1.5: inside multipart/digest.
    Rfc822,
}

/// A part whose end hasn't been seen.
struct Open {
    part: usize,
    /// Of a multipart, until its last boundary was seen.
    boundary: Option<Vec<u8>>,
    default_of_children: Default,
}

impl Open {
    fn forget_boundary(&mut self, boundaries: &mut usize) {
        if self.boundary.take().is_some() {
            *boundaries -= 1;
        }
    }
}

/// A boundary line of an open multipart.
struct Boundary {
    /// Position in `Scanner::open`.
    level: usize,
    /// Where its line begins, and where the next one does.
    line: usize,
    after: usize,
    /// The line that ends with two more hyphens.
    last: bool,
}

struct Scanner<'a> {
    message: &'a [u8],
    parts: Vec<Part>,
    open: Vec<Open>,
    /// How many of `open` have a boundary.
    boundaries: usize,
    lines: LineCounter<'a>,
}

impl Scanner<'_> {
    /// Reads the header at `at`, opens its part and, if that is a message, the part inside it, and so on.
    /// Returns where the body of the innermost begins.
    fn open_part(&mut self, mut at: usize, mut default: Default) -> usize {
        loop {
            let header_end = self.header_end(at);
            let (mut part, boundary) = self.read_header(at..header_end, default);
            part.lines = self.lines.up_to(header_end);
            // A message needs room for the message inside it.
            let depth_left = PART_DEPTH_MAX.saturating_sub(self.open.len());
            let room = depth_left > 0 && self.parts.len() + 1 < PARTS_MAX;
            if !room && part.kind != PartKind::Leaf {
                part.kind = PartKind::Opaque;
            }
            let kind = part.kind;
            let digest = part.media.is("multipart", "digest");
            let boundary = boundary.filter(|_| kind == PartKind::Multipart);
            self.boundaries += usize::from(boundary.is_some());
            self.open.push(Open {
                part: self.parts.len(),
                boundary,
                default_of_children: if digest { Default::Rfc822 } else { Default::TextPlain },
            });
            self.parts.push(part);
            if kind != PartKind::Message {
                return header_end;
            }
            (at, default) = (header_end, Default::TextPlain);
        }
    }

    /// Behind the empty line, or where a boundary line cuts the header off, or the end of the message.
    fn header_end(&self, start: usize) -> usize {
        let mut at = start;
        while at < self.message.len() {
            let rest = &self.message[at..];
            if is_empty_line(rest) {
                return line_end(self.message, at);
            }
            if self.boundaries > 0 && rest.starts_with(b"--") && self.boundary_at(at).is_some() {
                return at;
            }
            at = line_end(self.message, at);
        }
        at
    }

    /// The part that a header describes, its body still empty, and the boundary of a multipart.
    fn read_header(&self, header: std::ops::Range<usize>, default: Default) -> (Part, Option<Vec<u8>>) {
        let (mut content_type, mut encoding) = (None, None);
        for field in fields(&self.message[header.clone()]) {
            if content_type.is_none() && field.is("Content-Type") {
                content_type = ContentType::parse(field.value);
            } else if encoding.is_none() && field.is("Content-Transfer-Encoding") {
                encoding = Some(Encoding::from_field(field.value));
            }
        }
        let encoding = encoding.unwrap_or(Encoding::Identity);
        let default = match default {
            Default::TextPlain => MediaType::new("text", "plain"),
            Default::Rfc822 => MediaType::new("message", "rfc822"),
        };
        let boundary = content_type.as_ref().and_then(|found| found.parameter("boundary"));
        let boundary = boundary.filter(|text| !text.is_empty() && text.len() <= BOUNDARY_MAX);
        let charset = content_type.as_ref().and_then(ContentType::charset);
        let mut media = content_type.map_or(default, |found| found.media());
        let kind = match (&*media.main, &*media.sub) {
            ("multipart", _) if boundary.is_some() => PartKind::Multipart,
            ("multipart", _) => {
                // RFC 2045 §5.2: what is wrong counts as text/plain.
                media = MediaType::new("text", "plain");
                PartKind::Leaf
            }
            // RFC 2046 §5.2.1 forbids to encode it; the octets then aren't those of a message.
            ("message", "rfc822" | "global") if encoding == Encoding::Identity => PartKind::Message,
            ("message", "rfc822" | "global") => PartKind::Opaque,
            _ => PartKind::Leaf,
        };
        let end = header.end as u64;
        let range = header.start as u64..end;
        let part = Part {
            header: range,
            body: end..end,
            lines: 0,
            encoding,
            kind,
            media,
            charset,
            children: 0,
            subtree: 1,
        };
        (part, boundary)
    }

    /// The next line from `from` (where a line begins) that is a boundary of an open multipart.
    fn next_boundary(&self, finder: &memmem::Finder<'_>, from: usize) -> Option<Boundary> {
        if self.boundaries == 0 {
            return None;
        }
        if self.message[from..].starts_with(b"--")
            && let Some(boundary) = self.boundary_at(from)
        {
            return Some(boundary);
        }
        finder.find_iter(&self.message[from..]).find_map(|at| self.boundary_at(from + at + 1))
    }

    /// The boundary line that begins at `line`. RFC 2046 §5.1.1: blanks may follow. The innermost wins; an outer
    /// one ends all that lie deeper, whose last boundary is then missing.
    fn boundary_at(&self, line: usize) -> Option<Boundary> {
        let after = line_end(self.message, line);
        let text = trim_end(&self.message[line + 2..after]);
        if text.is_empty() {
            return None;
        }
        for (level, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else { continue };
            if text.len().wrapping_sub(boundary.len()) > 2 {
                continue;
            }
            let Some(rest) = text.strip_prefix(boundary.as_slice()) else { continue };
            if rest.is_empty() || rest == b"--" {
                return Some(Boundary { level, line, after, last: !rest.is_empty() });
            }
        }
        None
    }

    /// Closes what is open inside `level`, whose boundary line begins at `line`.
    fn close_above(&mut self, level: usize, line: usize) {
        // RFC 2046 §5.1.1: the line end before a boundary belongs to the boundary.
        let before = &self.message[..line];
        let before = before.strip_suffix(b"\n").map_or(before, |cut| cut.strip_suffix(b"\r").unwrap_or(cut));
        // Unless it is the empty line of a header without a body.
        let header_end = self.open.last().map_or(0, |open| self.parts[open.part].header.end as usize);
        self.close_to(level + 1, before.len().max(header_end));
    }

    /// Closes open parts until only `keep` are left; their bodies end at `end`.
    fn close_to(&mut self, keep: usize, end: usize) {
        while self.open.len() > keep {
            let Some(mut closed) = self.open.pop() else { return };
            closed.forget_boundary(&mut self.boundaries);
            let subtree = self.parts.len() - closed.part;
            let part = &mut self.parts[closed.part];
            part.body.end = part.body.start.max(end as u64);
            part.lines = self.lines.up_to(part.body.end as usize).saturating_sub(part.lines);
            part.subtree = subtree as u32;
            if part.kind == PartKind::Multipart && part.children == 0 {
                // RFC 9051 §9 has no multipart without a part; the octets stay readable as text.
                part.kind = PartKind::Leaf;
                part.media = MediaType::new("text", "plain");
            }
            if let Some(parent) = self.open.last() {
                self.parts[parent.part].children += 1;
            }
        }
    }
}

/// Counts line ends from the beginning up to positions that only grow.
struct LineCounter<'a> {
    message: &'a [u8],
    at: usize,
    lines: u64,
}

impl LineCounter<'_> {
    fn up_to(&mut self, position: usize) -> u64 {
        if position > self.at {
            self.lines += memchr_iter(b'\n', &self.message[self.at..position]).count() as u64;
            self.at = position;
        }
        self.lines
    }
}
