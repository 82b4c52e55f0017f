//! Bytes to IMAP commands, and IMAP replies to bytes.
//!
//! **Invariant:** no I/O, no async, no clock. Whatever the bytes, nothing here panics, recurses deeper than a named
//! limit, or keeps more memory than a named limit.
//!
//! Three parts:
//! 1. [`Framer`] finds one command in a growing buffer: the line and its literals, as one [`Frame`]. The literals of
//!    messages (APPEND, REPLACE) are not buffered: they are handed over as a stream.
//! 2. [`parse`] turns a complete [`Frame`] into a [`Command`].
//! 3. [`Writer`] appends replies to a buffer.

mod command;
mod date;
mod discard;
mod frame;
mod framer;
mod limits;
mod parse;
mod pattern;
mod sequence;
mod step;
mod url;
pub mod utf7;
mod write;

pub use command::*;
pub use date::{Date, InternalDate};
pub use frame::{Frame, Literal, LiteralHeader};
pub use framer::Framer;
pub use limits::Limits;
#[doc(hidden)]
pub use parse::fuzz;
pub use parse::{ParseError, ParseErrorKind, ParseOptions, SaslLine, parse, parse_append_next, sasl_line};
pub use pattern::list_match;
pub use sequence::{SeqBound, SequenceSet};
pub use step::{FrameError, FrameErrorKind, FrameStep, LineStep, LiteralChunk};
pub use url::{ImapUrl, UrlAccess, UrlAuth, UrlServer};
pub use write::*;
