//! Where every part of a message lies: enough to answer any section without parsing again.

mod blob;
mod scan;

use std::ops::Range;

pub use blob::PartIndexError;

use crate::transfer::Encoding;

/// The tree of parts, stored flat in the order in which they begin. There is always a first one: the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartIndex {
    parts: Vec<Part>,
}

/// One part: the message itself, a body part, or the message inside a message/rfc822 part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Octet range of the header block, its empty line included. For the message itself, and for the message
    /// inside a message/rfc822 part, that is the RFC 5322 header, else the MIME header. May lack the empty line.
    pub header: Range<u64>,
    /// Octet range of the body, without the line end that belongs to the boundary after it.
    pub body: Range<u64>,
    /// Line ends (LF) in the body.
    pub lines: u64,
    /// Content-Transfer-Encoding.
    pub encoding: Encoding,
    /// What the part contains.
    pub kind: PartKind,
    /// Type and subtype, lower-case.
    pub media: MediaType,
    /// The charset parameter, lower-case.
    pub charset: Option<String>,
    /// Direct children: body parts of a multipart, or the one message inside a message/rfc822 part.
    pub children: u32,
    /// Parts in this part's subtree, itself included: where the next sibling is.
    pub(crate) subtree: u32,
}

/// What a part contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Nothing that IMAP numbers.
    Leaf,
    /// A container whose real type cannot be shown, because it lies beyond a limit or is encoded. Its octets can
    /// be read, its type is `application/octet-stream`.
    Opaque,
    /// Body parts: at least one.
    Multipart,
    /// One message; RFC 9051 §7.5.2 calls it a body type of MESSAGE/RFC822 or MESSAGE/GLOBAL.
    Message,
}

/// A media type, lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// Such as `text`.
    pub main: String,
    /// Such as `plain`.
    pub sub: String,
}

impl MediaType {
    pub(crate) fn new(main: &str, sub: &str) -> Self {
        Self { main: main.to_owned(), sub: sub.to_owned() }
    }

    /// Is it this type and subtype (lower-case)?
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main == main && self.sub == sub
    }
}

/// What of a part a section names, RFC 9051 §6.4.5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionPart {
    /// `BODY[]`, `BODY[1.2]`: the whole message, or the body of a part.
    Whole,
    /// `BODY[HEADER]`, `BODY[1.HEADER]`: the RFC 5322 header of the message, or of a message/rfc822 part.
    Header,
    /// `BODY[TEXT]`, `BODY[1.TEXT]`: what follows that header.
    Text,
    /// `BODY[1.MIME]`: the MIME header of a part.
    Mime,
}

/// The octet range that `BODY[path.part]` names; `None` if the message has no such section.
pub fn section_range(index: &PartIndex, path: &[u32], part: SectionPart) -> Option<Range<u64>> {
    if path.is_empty() {
        let root = index.root();
        return match part {
            SectionPart::Whole => Some(root.header.start..root.body.end),
            SectionPart::Header => Some(root.header.clone()),
            SectionPart::Text => Some(root.body.clone()),
            SectionPart::Mime => None,
        };
    }
    let at = index.locate(path)?;
    let found = &index.parts[at];
    match part {
        SectionPart::Whole => Some(found.body.clone()),
        SectionPart::Mime => Some(found.header.clone()),
        // RFC 9051 §6.4.5.1: HEADER and TEXT of a part name the message inside it, so it must have one.
        SectionPart::Header => index.message_in(at).map(|inner| index.parts[inner].header.clone()),
        SectionPart::Text => index.message_in(at).map(|inner| index.parts[inner].body.clone()),
    }
}

impl PartIndex {
    /// Finds the parts of a message. Never fails: what cannot be understood is a leaf.
    pub fn parse(message: &[u8]) -> Self {
        Self { parts: scan::scan(message) }
    }

    /// A compact form to store; begins with a version octet.
    pub fn encode(&self) -> Vec<u8> {
        blob::encode(&self.parts)
    }

    /// Reads what [`PartIndex::encode`] wrote.
    ///
    /// # Errors
    /// If it wasn't written by this version, or isn't a tree with nested ranges.
    pub fn decode(blob: &[u8]) -> Result<Self, PartIndexError> {
        blob::decode(blob).map(|parts| Self { parts })
    }

    /// End of the message's header in octets, its empty line included.
    pub fn header_len(&self) -> u64 {
        self.root().header.end
    }

    /// The message itself.
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// All parts in the order in which they begin.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The part a section path names (numbers count from 1), RFC 9051 §6.4.5.1. The empty path is the message;
    /// part 1 of a message that isn't multipart is its body; numbers after a message/rfc822 part name the parts
    /// of the message inside.
    pub fn find(&self, path: &[u32]) -> Option<&Part> {
        if path.is_empty() { Some(self.root()) } else { self.locate(path).map(|at| &self.parts[at]) }
    }

    fn locate(&self, path: &[u32]) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        let mut at = self.part_of_message(0, *first)?;
        for number in rest {
            at = match self.parts[at].kind {
                PartKind::Multipart => self.child(at, *number)?,
                PartKind::Message => self.part_of_message(self.message_in(at)?, *number)?,
                PartKind::Leaf | PartKind::Opaque => return None,
            };
        }
        Some(at)
    }

    /// Part `number` of the message that `at` is the root of.
    fn part_of_message(&self, at: usize, number: u32) -> Option<usize> {
        match self.parts[at].kind {
            PartKind::Multipart => self.child(at, number),
            _ if number == 1 => Some(at),
            _ => None,
        }
    }

    /// The message inside a message/rfc822 part.
    pub(crate) fn message_in(&self, at: usize) -> Option<usize> {
        (self.parts[at].kind == PartKind::Message).then_some(at + 1)
    }

    /// Positions of the direct children of `at`.
    pub(crate) fn children(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let mut next = at + 1;
        (0..self.parts[at].children).map(move |_| {
            let child = next;
            next += self.parts[child].subtree as usize;
            child
        })
    }

    fn child(&self, at: usize, number: u32) -> Option<usize> {
        self.children(at).nth(usize::try_from(number.checked_sub(1)?).ok()?)
    }
}
