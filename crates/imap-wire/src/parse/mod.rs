//! Complete frames to commands.

use mail_types::NameError;

use crate::{AppendForm, AppendStep, Command, Frame, Tag};

/// What the client has enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParseOptions {
    /// `ENABLE UTF8=ACCEPT` or `ENABLE IMAP4rev2` was given: mailbox names are UTF-8, not modified UTF-7
    /// (RFC 6855 §3, RFC 9051 §5.1).
    pub utf8: bool,
}

/// Why a frame is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError {
    /// The tag, if there was one; otherwise the BAD is untagged.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Where, in bytes from the beginning of the frame.
    pub position: usize,
}

/// What is wrong with a command. All but the last three are the client's fault and are answered with BAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// No tag, or not a tag.
    #[error("Invalid tag")]
    Tag,
    /// There is no such command.
    #[error("Unknown command")]
    UnknownCommand,
    /// Something else was expected here; says what.
    #[error("Syntax error: expected {0}")]
    Expected(&'static str),
    /// A number is too large, or zero where it cannot be.
    #[error("Number out of range")]
    Number,
    /// NUL outside of a binary literal.
    #[error("NUL in string")]
    Nul,
    /// Nesting deeper than a limit.
    #[error("Nested too deeply")]
    TooDeep,
    /// Not valid modified UTF-7 or UTF-8.
    #[error("Mailbox name is not properly encoded")]
    MailboxEncoding,
    /// A text is not in the charset it claims to be in.
    #[error("Text does not match its charset")]
    Text,
    /// NO: the name is well-formed but not possible here.
    #[error("{0}")]
    MailboxName(NameError),
    /// NO \[BADCHARSET\]
    #[error("Charset is not supported")]
    BadCharset,
    /// NO \[USEATTR\]: an unknown special use in CREATE (RFC 6154 §3).
    #[error("Special use is not supported")]
    UseAttr,
}

impl ParseErrorKind {
    /// Is it answered with NO, not with BAD?
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::MailboxName(_) | Self::BadCharset | Self::UseAttr)
    }
}

/// The command of a frame that is not a continuation.
///
/// # Errors
/// [`ParseError`] with the tag, if the frame has one. If the frame has an open literal, the caller must still
/// [refuse](crate::Framer::refuse_literal) it.
pub fn parse(_frame: &Frame, _options: &ParseOptions) -> Result<Command, ParseError> {
    Err(ParseError { tag: None, kind: ParseErrorKind::Tag, position: 0 })
}

/// The next piece of an APPEND or REPLACE command, after a message literal. `form` is the form of the message that
/// the literal was part of.
///
/// # Errors
/// [`ParseError`] without a tag: the caller knows it.
pub fn parse_append_next(
    _frame: &Frame,
    _form: AppendForm,
    _options: &ParseOptions,
) -> Result<Vec<AppendStep>, ParseError> {
    Err(ParseError { tag: None, kind: ParseErrorKind::Tag, position: 0 })
}
