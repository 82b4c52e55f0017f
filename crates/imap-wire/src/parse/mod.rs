//! Complete frames to commands.

mod account;
mod append;
mod charset;
mod cursor;
mod dispatch;
mod fetch;
mod keys;
mod list;
mod mailbox;
mod notify;
mod search;
mod strings;

pub use account::{SaslLine, sasl_line};
pub(crate) use fetch::section_text;

use mail_types::NameError;

use crate::frame::tag_of;
use crate::{AppendForm, AppendStep, Code, Command, Frame, Tag};
use cursor::{Cursor, Fail};

/// What the client has enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParseOptions {
    /// `ENABLE UTF8=ACCEPT` or `ENABLE IMAP4rev2` was given: mailbox names are UTF-8, not modified UTF-7
    /// (RFC 6855 §3, RFC 9051 §5.1).
    pub utf8: bool,
    /// `ENABLE UTF8=ACCEPT` was given: SEARCH takes no CHARSET (RFC 6855 §3).
    pub no_charset: bool,
    /// `ENABLE IMAP4rev2` was given: there is no \Recent (RFC 9051 appendix E).
    pub rev2: bool,
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
    /// The response code for the NO or BAD.
    pub fn code(self) -> Code<'static> {
        match self {
            // Any charset that is known is taken; these are what clients need to be told of.
            Self::BadCharset => Code::BadCharset(&["US-ASCII", "UTF-8"]),
            Self::UseAttr => Code::UseAttr,
            Self::MailboxName(_) => Code::Cannot,
            _ => Code::None,
        }
    }
}

/// The command of a frame that is not a continuation.
///
/// # Errors
/// [`ParseError`] with the tag, if the frame has one. If the frame has an open literal, the caller must still
/// [refuse](crate::Framer::refuse_literal) it.
pub fn parse(frame: &Frame, options: &ParseOptions) -> Result<Command, ParseError> {
    let Some(tag) = tag_of(&frame.bytes).filter(|_| !frame.continuation) else {
        return Err(ParseError { tag: None, kind: ParseErrorKind::Tag, position: 0 });
    };
    let mut cursor = Cursor::new(frame, *options);
    cursor.at = tag.as_str().len();
    match dispatch::body(&mut cursor) {
        Ok(body) => Ok(Command { tag, body, normalized: cursor.normalized }),
        Err(Fail { kind, at }) => Err(ParseError { tag: Some(tag), kind, position: at }),
    }
}

/// The next piece of an APPEND or REPLACE command, after a message literal. `form` is the form of the message that
/// the literal was part of.
///
/// # Errors
/// [`ParseError`] without a tag: the caller knows it.
pub fn parse_append_next(
    frame: &Frame,
    form: AppendForm,
    options: &ParseOptions,
) -> Result<Vec<AppendStep>, ParseError> {
    let mut cursor = Cursor::new(frame, *options);
    append::next_steps(&mut cursor, form).map_err(|Fail { kind, at }| ParseError {
        tag: None,
        kind,
        position: at,
    })
}

/// For fuzzing: any bytes through the framer and the parser. Returns how many commands there were.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) -> usize {
    use crate::{FrameStep, Framer, Limits, LiteralChunk};

    let mut framer = Framer::new(Limits::AUTHENTICATED);
    let mut buf = bytes::BytesMut::from(bytes);
    let utf8 = bytes.first().is_some_and(|b| b % 2 == 0);
    let options = ParseOptions { utf8, no_charset: utf8, rev2: utf8 };
    let mut commands = 0;
    loop {
        match framer.next(&mut buf) {
            FrameStep::NeedMore => return commands,
            FrameStep::Error(error) if error.is_fatal() => return commands,
            FrameStep::Continue | FrameStep::Error(_) => {}
            FrameStep::Command(frame) => {
                commands += usize::from(parse(&frame, &options).is_ok());
                let _ = parse_append_next(&frame, AppendForm::Catenate, &options);
            }
            FrameStep::LiteralStream(frame) => {
                commands += usize::from(parse(&frame, &options).is_ok());
                let _ = parse_append_next(&frame, AppendForm::Whole, &options);
                framer.accept_literal();
                while let LiteralChunk::Data(_) = framer.literal_chunk(&mut buf) {}
            }
        }
    }
}
