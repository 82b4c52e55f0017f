//! LIST, LSUB and what STATUS can be asked.

/// The arguments of LIST (RFC 9051 §6.3.9, RFC 5258).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// The extended form was used: selection options, several patterns or RETURN. An empty pattern then has no
    /// special meaning (RFC 5258 §3).
    pub extended: bool,
    /// Which mailboxes.
    pub selection: ListSelection,
    /// The reference name, UTF-8.
    pub reference: String,
    /// The patterns, UTF-8, to be joined to the reference and given to [`list_match`](crate::list_match).
    pub patterns: Vec<String>,
    /// What to tell beside the name.
    pub returns: ListReturn,
}

/// Selection options (RFC 9051 §6.3.9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelection {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `REMOTE`
    pub remote: bool,
    /// `RECURSIVEMATCH`; only with another option that selects.
    pub recursive_match: bool,
    /// `SPECIAL-USE` (RFC 6154 §2)
    pub special_use: bool,
}

/// Return options (RFC 9051 §6.3.9.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE` (RFC 6154 §2)
    pub special_use: bool,
    /// `STATUS (...)` (RFC 5819)
    pub status: Option<Vec<StatusItem>>,
    /// `MYRIGHTS` (RFC 8440)
    pub my_rights: bool,
    /// `METADATA (...)` (RFC 9590)
    pub metadata: Option<(MetadataOptions, Vec<String>)>,
}

/// The arguments of LSUB (RFC 3501 §6.3.9), UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsub {
    /// The reference name.
    pub reference: String,
    /// The pattern.
    pub pattern: String,
}

/// What STATUS can be asked (`status-att`, RFC 9051 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `RECENT` (RFC 3501)
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `SIZE` (RFC 8438)
    Size,
    /// `HIGHESTMODSEQ` (RFC 7162)
    HighestModSeq,
    /// `DELETED-STORAGE` (RFC 9208)
    DeletedStorage,
    /// `APPENDLIMIT` (RFC 7889)
    AppendLimit,
    /// `MAILBOXID` (RFC 8474)
    MailboxId,
}

impl StatusItem {
    /// All of them with their names on the wire.
    pub const ALL: [(StatusItem, &'static str); 11] = [
        (Self::Messages, "MESSAGES"),
        (Self::Recent, "RECENT"),
        (Self::UidNext, "UIDNEXT"),
        (Self::UidValidity, "UIDVALIDITY"),
        (Self::Unseen, "UNSEEN"),
        (Self::Deleted, "DELETED"),
        (Self::Size, "SIZE"),
        (Self::HighestModSeq, "HIGHESTMODSEQ"),
        (Self::DeletedStorage, "DELETED-STORAGE"),
        (Self::AppendLimit, "APPENDLIMIT"),
        (Self::MailboxId, "MAILBOXID"),
    ];
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(item, _)| *item == self).map_or("", |(_, name)| name)
    }
}

/// Options of GETMETADATA (RFC 5464 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetadataOptions {
    /// Values longer than this, in bytes, are not sent.
    pub max_size: Option<u32>,
    /// Entries below the named ones.
    pub depth: MetadataDepth,
}

/// How far below an entry GETMETADATA looks (RFC 5464 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataDepth {
    /// Not at all.
    #[default]
    Zero,
    /// One level.
    One,
    /// All levels.
    Infinity,
}
