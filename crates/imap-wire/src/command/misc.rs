//! Small parts that several commands share.

use std::fmt;

use bytes::Bytes;
use mail_types::{FlagBits, Keyword, MailboxName, ModSeq, UidValidity};

use super::MetadataOptions;
use crate::SequenceSet;

/// A command's tag: `1*<any ASTRING-CHAR except "+">` (RFC 9051 §9), so it is safe to repeat in a reply.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tag(pub(crate) String);

impl Tag {
    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Bytes);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a command's numbers are, and what the numbers of its replies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// Message sequence numbers.
    Sequence,
    /// Unique identifiers: the command was given as `UID ...` (RFC 9051 §6.4.9).
    Uid,
}

/// The arguments of SELECT and EXAMINE.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// `CONDSTORE` was given (RFC 7162 §3.1.8).
    pub condstore: bool,
    /// `QRESYNC (...)` was given (RFC 7162 §3.2.5).
    pub qresync: Option<QResync>,
}

/// What the client knows of a mailbox (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq)]
pub struct QResync {
    /// Last known UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// Last known mod-sequence.
    pub mod_seq: ModSeq,
    /// UIDs the client knows; never with `*` or `$`.
    pub known_uids: Option<SequenceSet>,
    /// Sequence numbers and the UIDs they had, of the same length (RFC 7162 §3.2.5.2); never with `*` or `$`.
    pub sequence_match: Option<(SequenceSet, SequenceSet)>,
}

/// Flags as a client gives them in STORE and APPEND.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagList {
    /// The system flags. `\Recent` is dropped: no client can set it (RFC 3501 §2.3.2).
    pub system: FlagBits,
    /// The keywords, as spelt by the client, each once.
    pub keywords: Vec<Keyword>,
}

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// The arguments of STORE (RFC 9051 §6.4.6).
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// What the numbers of `set` are.
    pub by: Numbering,
    /// Which messages.
    pub set: SequenceSet,
    /// RFC 7162 §3.1.3
    pub unchanged_since: Option<ModSeq>,
    /// Replace, add or remove.
    pub action: StoreAction,
    /// `.SILENT`: the new flags need not be told.
    pub silent: bool,
    /// The flags.
    pub flags: FlagList,
}

/// How SETACL changes rights (RFC 4314 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclChange {
    /// No prefix.
    Replace,
    /// `+`
    Add,
    /// `-`
    Remove,
}

/// The arguments of SETACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAcl {
    /// Of which mailbox.
    pub mailbox: MailboxName,
    /// Whose rights.
    pub identifier: String,
    /// How.
    pub change: AclChange,
    /// Letters and digits of RFC 4314 §2.
    pub rights: String,
}

/// The arguments of GETMETADATA (RFC 5464 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// `None` for the server itself (the empty name).
    pub mailbox: Option<MailboxName>,
    /// `MAXSIZE` and `DEPTH`.
    pub options: MetadataOptions,
    /// The entries; never empty.
    pub entries: Vec<String>,
}
