//! FETCH.

use mail_types::ModSeq;

use super::{Numbering, PartialRange};
use crate::SequenceSet;

/// The arguments of FETCH (RFC 9051 §6.4.5).
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// What the numbers of `set` are.
    pub by: Numbering,
    /// Which messages.
    pub set: SequenceSet,
    /// What is asked, macros expanded, in the client's order; never empty.
    pub items: Vec<FetchItem>,
    /// RFC 7162 §3.1.4.1
    pub changed_since: Option<ModSeq>,
    /// RFC 7162 §3.2.6; only with UID FETCH and `changed_since`.
    pub vanished: bool,
    /// RFC 9394 §3.1; only with UID FETCH.
    pub partial: Option<PartialRange>,
}

/// One thing to fetch (`fetch-att`, RFC 9051 §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// `BODY`: BODYSTRUCTURE without extension data.
    Body,
    /// `BODY[...]<...>`, `BODY.PEEK[...]<...>`
    BodySection {
        /// `.PEEK`: `\Seen` is not set.
        peek: bool,
        /// Which part.
        section: Section,
        /// Which bytes of it.
        partial: Option<BytesRange>,
    },
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `BINARY[...]<...>`, `BINARY.PEEK[...]<...>` (RFC 3516)
    Binary {
        /// `.PEEK`: `\Seen` is not set.
        peek: bool,
        /// Part numbers; empty for the whole message.
        part: Vec<u32>,
        /// Which bytes of it.
        partial: Option<BytesRange>,
    },
    /// `BINARY.SIZE[...]` (RFC 3516)
    BinarySize(Vec<u32>),
    /// `EMAILID` (RFC 8474)
    EmailId,
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `PREVIEW`, `PREVIEW (LAZY)` (RFC 8970)
    Preview {
        /// Only if it is at hand.
        lazy: bool,
    },
    /// `RFC822`: as `BODY[]`.
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `RFC822.TEXT`: as `BODY[TEXT]`.
    Rfc822Text,
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
    /// `THREADID` (RFC 8474)
    ThreadId,
    /// `UID`
    Uid,
}

/// `<offset.count>` of a FETCH item: 63-bit numbers, and the count is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytesRange {
    /// Bytes to skip.
    pub offset: u64,
    /// Most bytes to send.
    pub count: u64,
}

/// Which part of a message (`section`, RFC 9051 §9). Default: the whole message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Part numbers, none of them zero; empty for the message itself.
    pub part: Vec<u32>,
    /// What of that part; `None` for all of it.
    pub text: Option<SectionText>,
}

/// What of a part (`section-text`, RFC 9051 §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (...)`; names as the client spelt them.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (...)`
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`
    Text,
    /// `MIME`; only with part numbers.
    Mime,
}
