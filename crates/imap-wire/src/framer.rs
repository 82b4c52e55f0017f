//! Finds commands in a stream of bytes.

use bytes::{Bytes, BytesMut};

use crate::{Frame, Limits, LiteralHeader, Tag};

/// Finds one command after another in a buffer that the caller fills. Keeps no bytes itself.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
}

/// What [`Framer::next`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameStep {
    /// Read more bytes into the buffer, then call again.
    NeedMore,
    /// Send `+ OK\r\n` (a continuation request, RFC 9051 §7.6), then call again: a literal was announced.
    Continue,
    /// A complete command, or the last piece of an APPEND command.
    Command(Frame),
    /// An APPEND or REPLACE command up to its message literal. Parse it, then either
    /// [`accept_literal`](Framer::accept_literal) or [`refuse_literal`](Framer::refuse_literal).
    LiteralStream(Frame),
    /// What came is no command. Unless it is [fatal](FrameError::is_fatal), send BAD and call again: the rest of it
    /// is swallowed.
    Error(FrameError),
}

/// What [`Framer::next_line`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineStep {
    /// Read more bytes into the buffer, then call again.
    NeedMore,
    /// A line without its line end.
    Line(Bytes),
    /// Not a line; see [`FrameStep::Error`].
    Error(FrameError),
}

/// What [`Framer::literal_chunk`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiteralChunk {
    /// Read more bytes into the buffer, then call again.
    NeedMore,
    /// The next bytes of the literal; never empty.
    Data(Bytes),
    /// The literal is complete. Go on with [`Framer::next`].
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
    /// Over [`Limits::line_bytes`].
    #[error("Line too long")]
    LineTooLong,
    /// A literal makes the command longer than [`Limits::command_bytes`], or is over [`Limits::non_sync_bytes`].
    #[error("Literal too large")]
    LiteralTooLarge,
    /// Over [`Limits::literals`].
    #[error("Too many literals")]
    TooManyLiterals,
    /// NUL outside a literal.
    #[error("NUL in command")]
    Nul,
    /// CR without LF.
    #[error("CR without LF in command")]
    BareCr,
    /// Over [`Limits::discard_bytes`]: the session must end.
    #[error("Too much input")]
    Flood,
}

impl Framer {
    /// At the beginning of a session.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }
    /// Other limits from the next command on: after login.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }
    /// The next command.
    pub fn next(&mut self, _buf: &mut BytesMut) -> FrameStep {
        FrameStep::NeedMore
    }
    /// The next line as it is: `DONE` of IDLE, and the answers of AUTHENTICATE.
    pub fn next_line(&mut self, _buf: &mut BytesMut) -> LineStep {
        LineStep::NeedMore
    }
    /// The open literal is wanted. If it is a synchronising one, send `+ OK\r\n`.
    pub fn accept_literal(&mut self) {}
    /// The open literal is not wanted, or not any more. The command is over: what the client still sends of it is
    /// swallowed, and [`next`](Framer::next) gives the next command. Send the tagged NO or BAD.
    pub fn refuse_literal(&mut self) {}
    /// The next bytes of an accepted literal.
    pub fn literal_chunk(&mut self, _buf: &mut BytesMut) -> LiteralChunk {
        LiteralChunk::NeedMore
    }
    /// The literal that is being streamed.
    pub fn open_literal(&self) -> Option<LiteralHeader> {
        None
    }
}
