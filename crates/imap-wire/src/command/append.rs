//! APPEND, MULTIAPPEND, CATENATE and REPLACE. Message literals are streamed, so such a command arrives in pieces.

use bytes::Bytes;
use mail_types::MailboxName;

use super::{FlagList, Numbering};
use crate::{InternalDate, SeqBound};

/// The first piece of an APPEND command. The steps of the others come from
/// [`parse_append_next`](crate::parse_append_next).
///
/// `A1 APPEND INBOX (\Seen) {10}` gives `[Message, Literal]`; after its ten bytes the rest of the line, an empty one,
/// gives `[End]`, or with a second message (MULTIAPPEND) `[Message, Literal]` again.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// What to do, in order. Ends in `Literal` (bytes follow) or `End`.
    pub steps: Vec<AppendStep>,
}

/// The first piece of a REPLACE command (RFC 8508 §3); goes on like [`Append`].
#[derive(Debug, Clone, PartialEq)]
pub struct Replace {
    /// What `message` is.
    pub by: Numbering,
    /// The message to be replaced.
    pub message: SeqBound,
    /// Where to.
    pub mailbox: MailboxName,
    /// What to do, in order. Ends in `Literal` (bytes follow) or `End`.
    pub steps: Vec<AppendStep>,
}

/// One step of building the messages of an APPEND command.
#[derive(Debug, Clone, PartialEq)]
pub enum AppendStep {
    /// A message begins (and the one before, if any, is complete).
    Message {
        /// The flags it shall have.
        flags: FlagList,
        /// The INTERNALDATE it shall have.
        date: Option<InternalDate>,
        /// How its content is given.
        form: AppendForm,
    },
    /// The next part of the message is what this URL points to (RFC 4469).
    Url(Bytes),
    /// The next part, or the whole, of the message is the literal that follows. Always the last step of a frame.
    Literal,
    /// The command is complete. Always the last step.
    End,
}

/// How the content of a message is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendForm {
    /// One literal.
    Whole,
    /// `UTF8 (~{n})` (RFC 6855 §4).
    Utf8,
    /// `CATENATE (...)` (RFC 4469 §3).
    Catenate,
}
