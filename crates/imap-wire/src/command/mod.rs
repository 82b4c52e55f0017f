//! What a client can ask for, as values.

mod append;
mod fetch;
mod list;
mod misc;
mod notify;
mod search;

pub use append::{Append, AppendForm, AppendStep, Replace};
pub use fetch::{BytesRange, Fetch, FetchItem, Section, SectionText};
pub use list::{List, ListReturn, ListSelection, Lsub, MetadataDepth, MetadataOptions, StatusItem};
pub use misc::{
    AclChange, FlagList, GetMetadata, Numbering, QResync, Secret, Select, SetAcl, Store, StoreAction, Tag,
};
pub use notify::{MailboxFilter, MessageEvents, Notify, NotifyEvent, NotifyGroup};
pub use search::{
    MAX_SEARCH_DEPTH, ModSeqEntry, PartialRange, Search, SearchKey, SearchReturn, Sort, SortCriterion,
    SortKey, Thread,
};

use bytes::Bytes;
use mail_types::{MailboxName, SpecialUse};

use crate::SequenceSet;

/// One command with its tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The client's name for the command, to be repeated in the tagged reply.
    pub tag: Tag,
    /// What is asked.
    pub body: CommandBody,
    /// Mailbox names that the client gave in another form than they have: not in Unicode Normalization Form C, or
    /// INBOX in other letter case. What it gave, and the name (RFC 9051 §6.3.9.7).
    pub normalized: Vec<(String, MailboxName)>,
}

/// Every command, by the states in which it is allowed (RFC 9051 §6).
#[derive(Debug, Clone, PartialEq)]
pub enum CommandBody {
    // ---- any state
    /// RFC 9051 §6.1.1
    Capability,
    /// RFC 9051 §6.1.2
    Noop,
    /// RFC 9051 §6.1.3
    Logout,
    /// RFC 2971 §3.1. `None` for NIL.
    Id(Option<Vec<(Bytes, Option<Bytes>)>>),
    /// RFC 5255 §3.2. Empty: list the languages.
    Language(Vec<String>),
    /// RFC 5255 §4.7. Empty: tell the one in force.
    Comparator(Vec<String>),
    // ---- not authenticated
    /// RFC 9051 §6.2.1
    StartTls,
    /// RFC 9051 §6.2.2
    Authenticate {
        /// The SASL mechanism, upper-case.
        mechanism: String,
        /// The initial response, decoded (RFC 4959 §3): `=` is `Some` of nothing.
        initial: Option<Secret>,
    },
    /// RFC 9051 §6.2.3
    Login {
        /// As sent; may hold any bytes but NUL.
        user: Bytes,
        /// As sent; never shown by `Debug`.
        password: Secret,
    },
    // ---- authenticated
    /// RFC 9051 §6.3.1. Names in upper case.
    Enable(Vec<String>),
    /// RFC 9051 §6.3.2
    Select(Select),
    /// RFC 9051 §6.3.3
    Examine(Select),
    /// RFC 9051 §6.3.4, RFC 6154 §3. One trailing separator is dropped (RFC 3501 §6.3.3).
    Create {
        /// The new mailbox.
        mailbox: MailboxName,
        /// `USE (...)`; empty when not given.
        special_use: Vec<SpecialUse>,
    },
    /// RFC 9051 §6.3.5
    Delete(MailboxName),
    /// RFC 9051 §6.3.6
    Rename {
        /// The name it has.
        from: MailboxName,
        /// The name it shall have.
        to: MailboxName,
    },
    /// RFC 9051 §6.3.7
    Subscribe(MailboxName),
    /// RFC 9051 §6.3.8
    Unsubscribe(MailboxName),
    /// RFC 9051 §6.3.9, RFC 5258
    List(List),
    /// RFC 3501 §6.3.9
    Lsub(Lsub),
    /// RFC 9051 §6.3.10
    Namespace,
    /// RFC 9051 §6.3.11
    Status {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// What is asked; never empty.
        items: Vec<StatusItem>,
    },
    /// RFC 9051 §6.3.12, RFC 3502, RFC 4469
    Append(Append),
    /// RFC 8508 §3
    Replace(Replace),
    /// RFC 9051 §6.3.13. The line `DONE` is read with [`Framer::next_line`](crate::Framer::next_line).
    Idle,
    /// RFC 4978 §3. The mechanism, upper-case.
    Compress(String),
    /// RFC 8437 §3
    Unauthenticate,
    /// RFC 9208 §4.1.2: the quota root.
    GetQuota(String),
    /// RFC 9208 §4.1.3
    GetQuotaRoot(MailboxName),
    /// RFC 9208 §4.1.1
    SetQuota {
        /// The quota root.
        root: String,
        /// Resource names in upper case with their limits.
        limits: Vec<(String, u64)>,
    },
    /// RFC 4314 §3.1
    SetAcl(SetAcl),
    /// RFC 4314 §3.2
    DeleteAcl {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose rights.
        identifier: String,
    },
    /// RFC 4314 §3.3
    GetAcl(MailboxName),
    /// RFC 4314 §3.4
    ListRights {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose rights.
        identifier: String,
    },
    /// RFC 4314 §3.5
    MyRights(MailboxName),
    /// RFC 5464 §4.2
    GetMetadata(GetMetadata),
    /// RFC 5464 §4.3
    SetMetadata {
        /// `None` for the server itself (the empty name).
        mailbox: Option<MailboxName>,
        /// Entry names with their new values; `None` removes.
        entries: Vec<(String, Option<Bytes>)>,
    },
    /// RFC 5465 §3
    Notify(Notify),
    /// RFC 4467 §7: URLs (rumps) with the mechanism of each, upper-case.
    GenUrlAuth(Vec<(Bytes, String)>),
    /// RFC 4467 §7
    ResetKey {
        /// `None`: all mailboxes.
        mailbox: Option<MailboxName>,
        /// Mechanisms, upper-case; empty: all.
        mechanisms: Vec<String>,
    },
    /// RFC 4467 §7
    UrlFetch(Vec<Bytes>),
    // ---- selected
    /// RFC 3501 §6.4.1
    Check,
    /// RFC 9051 §6.4.1
    Close,
    /// RFC 9051 §6.4.2
    Unselect,
    /// RFC 9051 §6.4.3; with a set it is UID EXPUNGE (RFC 4315 §2.1).
    Expunge(Option<SequenceSet>),
    /// RFC 9051 §6.4.4; RFC 6237 for ESEARCH, which is also allowed without a selected mailbox.
    Search(Search),
    /// RFC 5256 §3, RFC 5267
    Sort(Sort),
    /// RFC 5256 §3
    Thread(Thread),
    /// RFC 10022 §3.1
    UidBatches {
        /// Messages of a batch.
        size: u32,
        /// The first and the last batch that are wanted, as given; `None`: all.
        range: Option<(u32, u32)>,
    },
    /// RFC 5267 §4.3.5: the tags of searches with UPDATE; never empty.
    CancelUpdate(Vec<String>),
    /// RFC 9051 §6.4.5
    Fetch(Fetch),
    /// RFC 9051 §6.4.6
    Store(Store),
    /// RFC 9051 §6.4.7
    Copy {
        /// What the numbers of `set` are.
        by: Numbering,
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        mailbox: MailboxName,
    },
    /// RFC 9051 §6.4.8
    Move {
        /// What the numbers of `set` are.
        by: Numbering,
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        mailbox: MailboxName,
    },
}
