//! What a framer finds.

use bytes::Bytes;

use crate::{Code, Frame, Tag};

/// What [`Framer::next`](crate::Framer::next) found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameStep {
    /// Read more bytes into the buffer, then call again.
    NeedMore,
    /// Send `+ OK\r\n` (a continuation request, RFC 9051 §7.6), then call again: a literal was announced.
    Continue,
    /// A complete command, or the last piece of an APPEND command.
    Command(Frame),
    /// An APPEND or REPLACE command up to its message literal. Parse it, then either
    /// [`accept_literal`](crate::Framer::accept_literal) or [`refuse_literal`](crate::Framer::refuse_literal).
    LiteralStream(Frame),
    /// What came is no command. Unless it is [fatal](FrameError::is_fatal), send BAD and call again: the rest of it
    /// is swallowed.
    Error(FrameError),
}

/// What [`Framer::next_line`](crate::Framer::next_line) found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineStep {
    /// Read more bytes into the buffer, then call again.
    NeedMore,
    /// A line without its line end.
    Line(Bytes),
    /// Not a line; see [`FrameStep::Error`].
    Error(FrameError),
}

/// What [`Framer::literal_chunk`](crate::Framer::literal_chunk) found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiteralChunk {
    /// Read more bytes into the buffer, then call again.
    NeedMore,
    /// The next bytes of the literal; never empty.
    Data(Bytes),
    /// The literal is complete. Go on with [`Framer::next`](crate::Framer::next).
    Done,
}

/// Why bytes are no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct FrameError {
    /// The tag, if it can be found; otherwise the BAD is untagged.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub kind: FrameErrorKind,
}

impl FrameError {
    /// Must the session end (with BYE)? There is more to swallow than it is worth.
    pub fn is_fatal(&self) -> bool {
        self.kind == FrameErrorKind::Flood
    }
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameErrorKind {
    /// Over [`Limits::line_bytes`](crate::Limits::line_bytes).
    #[error("Line too long")]
    LineTooLong,
    /// A literal makes the command longer than [`Limits::command_bytes`](crate::Limits::command_bytes), or is over [`Limits::non_sync_bytes`](crate::Limits::non_sync_bytes).
    #[error("Literal too large")]
    LiteralTooLarge,
    /// Over [`Limits::literals`](crate::Limits::literals).
    #[error("Too many literals")]
    TooManyLiterals,
    /// NUL outside a literal.
    #[error("NUL in command")]
    Nul,
    /// CR without LF.
    #[error("CR without LF in command")]
    BareCr,
    /// Over [`Limits::discard_bytes`](crate::Limits::discard_bytes): the session must end.
    #[error("Too much input")]
    Flood,
}

impl FrameErrorKind {
    /// The response code for the BAD.
    pub fn code(self) -> Code<'static> {
        match self {
            Self::LiteralTooLarge | Self::TooManyLiterals => Code::TooBig,
            _ => Code::None,
        }
    }
}
