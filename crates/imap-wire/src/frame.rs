//! One command as it came: contiguous bytes, and where its literals are.

use std::ops::Range;

use bytes::Bytes;

/// The bytes of one command, or of one piece of an APPEND command, with its last line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Lines and literals, as they came.
    pub(crate) bytes: Bytes,
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
    /// `~{n}`: may hold NUL (RFC 3516 §4.5).
    pub(crate) binary: bool,
}

/// The announcement of a literal: `{n}`, `{n+}`, `~{n}`, `~{n+}` (RFC 9051 §4.3, RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteralHeader {
    /// Its size in bytes.
    pub size: u64,
    /// `~{n}`: may hold NUL (RFC 3516 §4.5).
    pub binary: bool,
    /// `{n}` without `+`: the client waits for `+ ` before it sends.
    pub sync: bool,
}
