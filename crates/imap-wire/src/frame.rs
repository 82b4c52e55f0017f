//! One command as it came: contiguous bytes, and where its literals are.

use std::ops::Range;

use bytes::Bytes;

use crate::Tag;

/// The bytes of one command, or of one piece of an APPEND command, with its last line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Lines and literals, as they came.
    pub(crate) bytes: Bytes,
    /// Where the last line's text ends: before its line end, or before the header of the open literal.
    pub(crate) end: usize,
    /// The buffered literals in order.
    pub(crate) literals: Vec<Literal>,
    /// The literal that follows the frame, to be streamed.
    pub(crate) open: Option<LiteralHeader>,
    /// It goes on after a streamed literal, and so has no tag.
    pub(crate) continuation: bool,
}

impl Frame {
    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// The literal that follows and is to be streamed, if there is one.
    pub fn open_literal(&self) -> Option<LiteralHeader> {
        self.open
    }
    /// Is it the piece of an APPEND command after a message literal? Then it goes to
    /// [`parse_append_next`](crate::parse_append_next), otherwise to [`parse`](crate::parse).
    pub fn is_continuation(&self) -> bool {
        self.continuation
    }
}

/// Where a buffered literal is in its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Position of `{`, or of the `~` before it.
    pub(crate) header: usize,
    /// Position of the bytes.
    pub(crate) data: Range<usize>,
    /// `~{n}`: may hold NUL (RFC 3516 §4.4).
    pub(crate) binary: bool,
}

/// The announcement of a literal: `{n}`, `{n+}`, `~{n}`, `~{n+}` (RFC 9051 §4.3, RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteralHeader {
    /// Its size in bytes.
    pub size: u64,
    /// `~{n}`: may hold NUL (RFC 3516 §4.4).
    pub binary: bool,
    /// `{n}` without `+`: the client waits for `+ ` before it sends.
    pub sync: bool,
}

/// Longest announcement of a literal: `~{`, 20 digits, `+}`.
pub(crate) const LITERAL_HEADER_BYTES_MAX: usize = 24;
/// Longest tag in bytes: it is repeated in every reply.
pub(crate) const TAG_BYTES_MAX: usize = 256;

/// The announcement of a literal at the end of a line, with its position. A size that does not fit is `u64::MAX`.
pub(crate) fn literal_header(line: &[u8]) -> Option<(usize, LiteralHeader)> {
    let rest = line.strip_suffix(b"}")?;
    let (rest, sync) = match rest.strip_suffix(b"+") {
        Some(rest) => (rest, false),
        None => (rest, true),
    };
    let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (rest, digits) = rest.split_at(rest.len() - digits);
    let rest = rest.strip_suffix(b"{")?;
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let size = digits
        .iter()
        .try_fold(0u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .unwrap_or(u64::MAX);
    let (at, binary) = match rest.strip_suffix(b"~") {
        Some(rest) => (rest.len(), true),
        None => (rest.len(), false),
    };
    Some((at, LiteralHeader { size, binary, sync }))
}

/// The tag at the beginning of a command, if it is one.
pub(crate) fn tag_of(bytes: &[u8]) -> Option<Tag> {
    let end = bytes.iter().take(TAG_BYTES_MAX + 1).position(|b| !is_tag_char(*b))?;
    if end == 0 || !matches!(bytes[end], b' ' | b'\r' | b'\n') {
        return None;
    }
    std::str::from_utf8(&bytes[..end]).ok().map(|tag| Tag(tag.to_owned()))
}

/// `tag = 1*<any ASTRING-CHAR except "+">` (RFC 9051 §9).
fn is_tag_char(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b'+')
}

/// How far the beginning of a line has come in a command that takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendVerb {
    /// Another command.
    None,
    /// The mailbox name comes next.
    AtMailbox,
    /// The mailbox name is there.
    AfterMailbox,
}

/// Looks at the first line of a command, up to a literal.
pub(crate) fn append_verb(line: &[u8]) -> AppendVerb {
    let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty());
    words.next();
    let mut verb = words.next().unwrap_or_default();
    if verb.eq_ignore_ascii_case(b"UID") {
        verb = words.next().unwrap_or_default();
    }
    let before_mailbox = if verb.eq_ignore_ascii_case(b"APPEND") {
        0
    } else if verb.eq_ignore_ascii_case(b"REPLACE") {
        1
    } else {
        return AppendVerb::None;
    };
    if words.count() > before_mailbox { AppendVerb::AfterMailbox } else { AppendVerb::AtMailbox }
}
