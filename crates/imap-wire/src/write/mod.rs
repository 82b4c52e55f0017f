//! Replies, appended to a buffer. What a client, a mail or a user wrote goes out only through functions that quote,
//! count or replace what could be taken for protocol.

mod code;
mod fetch;
mod mailboxes;
mod search;
mod strings;
mod untagged;

pub use code::{Code, InProgress, MetadataCode, PermanentFlags};
pub use fetch::FetchWriter;
pub use mailboxes::{ListLine, MailboxAttribute, StatusValue};
pub use search::{ESearch, Numbers, ThreadNode};

use std::borrow::Cow;

use bytes::BytesMut;

use crate::Tag;

/// Appends replies to a buffer.
///
/// ```
/// # use bytes::BytesMut;
/// # use imap_wire::{Code, Status, Writer};
/// let mut buf = BytesMut::new();
/// let mut writer = Writer::new(&mut buf);
/// writer.exists(3);
/// writer.untagged(Status::Ok, Code::Unseen(2), "Message 2 is first unseen");
/// assert_eq!(&buf[..], b"* 3 EXISTS\r\n* OK [UNSEEN 2] Message 2 is first unseen\r\n");
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut BytesMut,
    options: WriteOptions,
}

/// In which form the client wants its replies.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// `ENABLE IMAP4rev2` or `ENABLE UTF8=ACCEPT` was given: mailbox names and quoted strings in UTF-8 (RFC 6855 §3).
    pub utf8: bool,
    /// `ENABLE UIDONLY` was given: UIDFETCH instead of FETCH (RFC 9586).
    pub uid_only: bool,
    /// The client's language, for texts (RFC 5255 §3); `None`: as they are, in ASCII.
    pub translate: Option<Translate>,
}

/// A text for people in another language; `None` if there is none.
pub type Translate = fn(&str) -> Option<Cow<'static, str>>;

/// How a command, or the server, fares (`resp-cond-state`, RFC 9051 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `OK`
    Ok,
    /// `NO`: refused, or failed.
    No,
    /// `BAD`: not understood.
    Bad,
    /// `BYE`, untagged only: the server closes.
    Bye,
    /// `PREAUTH`, untagged greeting only.
    Preauth,
}

impl<'a> Writer<'a> {
    /// For a client that has not enabled UTF-8: mailbox names in modified UTF-7, no eight-bit quoted strings.
    pub fn new(buf: &'a mut BytesMut) -> Self {
        Self::with(buf, WriteOptions::default())
    }
    /// For a client that has enabled IMAP4rev2 or UTF8=ACCEPT (RFC 6855 §3): mailbox names and quoted strings in
    /// UTF-8.
    pub fn new_utf8(buf: &'a mut BytesMut) -> Self {
        Self::with(buf, WriteOptions { utf8: true, ..WriteOptions::default() })
    }
    /// For a client that wants its replies in this form.
    pub fn with(buf: &'a mut BytesMut, options: WriteOptions) -> Self {
        Self { buf, options }
    }

    /// `tag OK [code] text`
    pub fn tagged(&mut self, tag: &Tag, status: Status, code: Code<'_>, text: &str) {
        self.raw(tag.as_str());
        self.raw(" ");
        self.condition(status, code, text);
    }
    /// `tag OK text`
    pub fn ok(&mut self, tag: &Tag, text: &str) {
        self.tagged(tag, Status::Ok, Code::None, text);
    }
    /// `tag NO [code] text`
    pub fn no(&mut self, tag: &Tag, code: Code<'_>, text: &str) {
        self.tagged(tag, Status::No, code, text);
    }
    /// `tag BAD text`, or untagged if the tag could not be found.
    pub fn bad(&mut self, tag: Option<&Tag>, code: Code<'_>, text: &str) {
        match tag {
            Some(tag) => self.tagged(tag, Status::Bad, code, text),
            None => self.untagged(Status::Bad, code, text),
        }
    }
    /// `* OK [code] text`
    pub fn untagged(&mut self, status: Status, code: Code<'_>, text: &str) {
        self.raw("* ");
        self.condition(status, code, text);
    }
    /// `+ text`: a continuation request (RFC 9051 §7.6).
    pub fn continuation(&mut self, text: &str) {
        self.raw("+ ");
        self.text(text);
        self.line_end();
    }
    /// `+ base64`: a challenge of AUTHENTICATE (RFC 9051 §6.2.2); `+ ` for no bytes.
    pub fn challenge(&mut self, bytes: &[u8]) {
        use base64::Engine;
        self.raw("+ ");
        self.raw(&base64::engine::general_purpose::STANDARD.encode(bytes));
        self.line_end();
    }

    fn condition(&mut self, status: Status, code: Code<'_>, text: &str) {
        self.raw(match status {
            Status::Ok => "OK ",
            Status::No => "NO ",
            Status::Bad => "BAD ",
            Status::Bye => "BYE ",
            Status::Preauth => "PREAUTH ",
        });
        self.code(code);
        self.text(text);
        self.line_end();
    }
}
