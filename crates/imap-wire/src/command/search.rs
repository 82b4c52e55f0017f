//! SEARCH, SORT and THREAD.

use mail_types::{Keyword, ModSeq};

use super::{FetchItem, MailboxFilter, Numbering};
use crate::{Date, SequenceSet};

/// Deepest nesting of search keys. Clients nest one OR for each address they look for; nobody needs more, and each
/// level costs stack.
pub const MAX_SEARCH_DEPTH: usize = 100;

/// The arguments of SEARCH (RFC 9051 §6.4.4) and ESEARCH (RFC 6237).
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// What the numbers of the reply are. (Those in the key are what the key says.)
    pub by: Numbering,
    /// `RETURN (...)`: the reply is then an ESEARCH line.
    pub returns: Option<SearchReturn>,
    /// The command was ESEARCH: which mailboxes. Empty for the selected one.
    pub mailboxes: Option<Vec<MailboxFilter>>,
    /// What to find.
    pub key: SearchKey,
}

/// Search return options (RFC 9051 §6.4.4, RFC 5182, RFC 9394). None set: `RETURN ()`, which is `ALL`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// `MIN`
    pub min: bool,
    /// `MAX`
    pub max: bool,
    /// `ALL`, also set for `RETURN ()`.
    pub all: bool,
    /// `COUNT`
    pub count: bool,
    /// `SAVE`
    pub save: bool,
    /// `PARTIAL a:b`
    pub partial: Option<PartialRange>,
    /// `UPDATE` (RFC 5267)
    pub update: bool,
    /// What UPDATE is to tell of messages that come (RFC 5465 §7).
    pub update_items: Vec<FetchItem>,
    /// `CONTEXT` (RFC 5267)
    pub context: bool,
    /// `RELEVANCY` (RFC 6203)
    pub relevancy: bool,
}

/// A window of results: positions from 1 at the front, or from the back (RFC 9394 §3.1). `first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialRange {
    /// `1:100`: counted from the first.
    Front(u32, u32),
    /// `-1:-100`: counted from the last.
    Back(u32, u32),
}

/// What a message must be like (`search-key`, RFC 9051 §9). Texts are UTF-8, whatever charset the client used.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchKey {
    /// `ALL`
    All,
    /// All of these; never empty. Also the list of keys of the command.
    And(Vec<SearchKey>),
    /// Either.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// Not this one.
    Not(Box<SearchKey>),
    /// `ANSWERED`, `DELETED`, `DRAFT`, `FLAGGED`, `SEEN` and their `UN` forms: the flags, and whether they are set.
    Flag(mail_types::FlagBits, bool),
    /// `KEYWORD`, `UNKEYWORD`
    Keyword(Keyword, bool),
    /// `RECENT` (RFC 3501)
    Recent,
    /// `NEW` (RFC 3501): `RECENT UNSEEN`
    New,
    /// `OLD` (RFC 3501): `NOT RECENT`
    Old,
    /// Message sequence numbers (or, with the saved result, whatever it holds).
    Sequence(SequenceSet),
    /// `UID`
    Uid(SequenceSet),
    /// `BCC`
    Bcc(String),
    /// `BODY`
    Body(String),
    /// `CC`
    Cc(String),
    /// `FROM`
    From(String),
    /// `HEADER`: field name and value; an empty value asks for the field alone.
    Header(String, String),
    /// `SUBJECT`
    Subject(String),
    /// `TEXT`
    Text(String),
    /// `TO`
    To(String),
    /// `BEFORE`
    Before(Date),
    /// `ON`
    On(Date),
    /// `SINCE`
    Since(Date),
    /// `SENTBEFORE`
    SentBefore(Date),
    /// `SENTON`
    SentOn(Date),
    /// `SENTSINCE`
    SentSince(Date),
    /// `SAVEDBEFORE` (RFC 8514)
    SavedBefore(Date),
    /// `SAVEDON` (RFC 8514)
    SavedOn(Date),
    /// `SAVEDSINCE` (RFC 8514)
    SavedSince(Date),
    /// `SAVEDATESUPPORTED` (RFC 8514)
    SaveDateSupported,
    /// `LARGER`, in bytes
    Larger(u64),
    /// `SMALLER`, in bytes
    Smaller(u64),
    /// `OLDER`, in seconds (RFC 5032)
    Older(u32),
    /// `YOUNGER`, in seconds (RFC 5032)
    Younger(u32),
    /// `MODSEQ`: at least this (RFC 7162 §3.1.5)
    ModSeq {
        /// The least mod-sequence.
        at_least: ModSeq,
        /// The entry that is meant, if one was given; a server with one mod-sequence a message may ignore it.
        entry: Option<ModSeqEntry>,
    },
    /// `EMAILID` (RFC 8474)
    EmailId(String),
    /// `THREADID` (RFC 8474)
    ThreadId(String),
    /// `FUZZY` (RFC 6203)
    Fuzzy(Box<SearchKey>),
    /// `FILTER` (RFC 5466): the filter's name.
    Filter(String),
}

/// `"/flags/..." all` of SEARCH MODSEQ (RFC 7162 §3.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModSeqEntry {
    /// The entry's name.
    pub name: String,
    /// `priv`, `shared` or `all`, lower-case.
    pub kind: String,
}

/// The arguments of SORT (RFC 5256 §3).
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    /// What the numbers of the reply are.
    pub by: Numbering,
    /// `RETURN (...)` (RFC 5267 §3)
    pub returns: Option<SearchReturn>,
    /// By what; never empty.
    pub criteria: Vec<SortCriterion>,
    /// What to find.
    pub key: SearchKey,
}

/// One sort criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// `REVERSE`
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// What to sort by (RFC 5256 §3, RFC 5957).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// `ARRIVAL`
    Arrival,
    /// `CC`
    Cc,
    /// `DATE`
    Date,
    /// `FROM`
    From,
    /// `SIZE`
    Size,
    /// `SUBJECT`
    Subject,
    /// `TO`
    To,
    /// `DISPLAYFROM`
    DisplayFrom,
    /// `DISPLAYTO`
    DisplayTo,
    /// `RELEVANCY` (RFC 6203)
    Relevancy,
}

/// The arguments of THREAD (RFC 5256 §3).
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// What the numbers of the reply are.
    pub by: Numbering,
    /// The algorithm, upper-case.
    pub algorithm: String,
    /// What to find.
    pub key: SearchKey,
}
