//! What goes in and out of the database.

use std::sync::Arc;

use bytes::Bytes;
use mail_rpc::Entry;
use mail_types::{AccountId, FlagBits, KeywordTable, MailboxId, MessageId, Uid, UidSet};

/// A mailbox by name or by id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    Name(&'a str),
    Id(MailboxId),
}

/// 0: no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: i64,
    pub(crate) messages: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) used_bytes: i64,
    pub(crate) used_messages: i64,
    pub(crate) limit_bytes: i64,
    pub(crate) limit_messages: i64,
}

impl Quota {
    /// Is there room for so much more?
    pub(crate) fn has_room(&self, bytes: i64, messages: i64) -> bool {
        let fits = |used: i64, more: i64, limit: i64| limit == 0 || used.saturating_add(more) <= limit;
        fits(self.used_bytes, bytes, self.limit_bytes)
            && fits(self.used_messages, messages, self.limit_messages)
    }
}

/// The columns of `mailbox`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailboxRow {
    pub(crate) id: MailboxId,
    pub(crate) name: String,
    pub(crate) uidvalidity: i64,
    pub(crate) uidnext: i64,
    pub(crate) highest_modseq: i64,
    pub(crate) tombstone_floor: i64,
    pub(crate) special_use: i64,
    pub(crate) subscribed: bool,
    pub(crate) keywords: String,
    pub(crate) messages: i64,
    pub(crate) unseen: i64,
    pub(crate) deleted: i64,
    pub(crate) bytes: i64,
    pub(crate) recent: i64,
    pub(crate) recent_from: i64,
}

impl MailboxRow {
    pub(crate) fn keyword_table(&self) -> KeywordTable {
        KeywordTable::from_stored(&self.keywords)
    }
}

/// A moment of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) mailbox: MailboxId,
    pub(crate) modseq: i64,
}

/// A mailbox at one moment.
#[derive(Debug)]
pub(crate) struct SyncRows {
    pub(crate) state: MailboxRow,
    /// `entries` are all there are.
    pub(crate) full: bool,
    pub(crate) entries: Vec<Entry>,
    /// Expunged since, if not full.
    pub(crate) vanished: UidSet,
}

/// A mailbox after one write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) state: MailboxRow,
    /// `highest_modseq` before the write; equal to the one after when there was nothing to do.
    pub(crate) before: i64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) vanished: UidSet,
}

#[derive(Debug, Clone)]
pub(crate) struct StoreFlags {
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) uids: UidSet,
    /// New flags are `old & keep | set`.
    pub(crate) keep: i64,
    pub(crate) set: i64,
    /// Only where the mod-sequence is not above this.
    pub(crate) unchanged_since: i64,
}

#[derive(Debug)]
pub(crate) struct FlagsStored {
    pub(crate) written: Written,
    /// Left alone because of `unchanged_since`.
    pub(crate) modified: UidSet,
}

#[derive(Debug, Clone)]
pub(crate) struct Expunge {
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) uids: UidSet,
    /// Only messages that have all of these flags.
    pub(crate) having: FlagBits,
    pub(crate) now: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) account: AccountId,
    pub(crate) source: MailboxId,
    pub(crate) destination: MailboxId,
    pub(crate) uids: UidSet,
    /// Remove from the source.
    pub(crate) moves: bool,
    /// Bits of the source and what they are in the destination.
    pub(crate) flag_map: Vec<(FlagBits, FlagBits)>,
    pub(crate) now: i64,
}

#[derive(Debug)]
pub(crate) enum CopyOutcome {
    Done(Box<Copied>),
    NoSource,
    NoDestination,
    OverQuota,
    UidsUsedUp,
    /// A message has a flag that `flag_map` does not know.
    UnknownFlag,
}

#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) source: Written,
    /// Equal to the source's when both are one.
    pub(crate) destination: MailboxRow,
    pub(crate) source_uids: UidSet,
    /// The copies have consecutive UIDs from here on.
    pub(crate) first_uid: i64,
}

/// A delivery key of this age is never swept.
pub(crate) const KEPT_FOR_EVER: i64 = i64::MAX;

/// Messages for one mailbox: all or none.
#[derive(Debug)]
pub(crate) struct InsertItem {
    pub(crate) account: AccountId,
    pub(crate) mailbox: String,
    /// Take INBOX when there is no such mailbox.
    pub(crate) or_inbox: bool,
    /// The mailbox that the keyword bits belong to, if there are any.
    pub(crate) expect: Option<MailboxId>,
    pub(crate) key: Option<Vec<u8>>,
    /// When the key was made, for the sweep; [`KEPT_FOR_EVER`] keeps it.
    pub(crate) key_made_at: i64,
    pub(crate) messages: Vec<NewMessage>,
    pub(crate) now: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub(crate) message: Arc<Prepared>,
    pub(crate) flags: FlagBits,
    pub(crate) received_at: i64,
    /// The chunks are there already, under this id.
    pub(crate) staged: Option<MessageId>,
}

/// A message, ready to be stored.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) hash: [u8; 32],
    pub(crate) size: i64,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) thread_id: i64,
    pub(crate) sent_day: Option<i32>,
    pub(crate) base_subject: String,
    pub(crate) derived_version: i32,
    pub(crate) envelope: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) bodystructure: Vec<u8>,
    pub(crate) parts: Vec<u8>,
    pub(crate) preview: String,
    /// Compressed.
    pub(crate) text: Vec<u8>,
    /// Encoded [`mail_message::SortKeys`].
    pub(crate) keys: Vec<u8>,
    /// Which of them it has is what the search index knows of the text.
    pub(crate) bits: Vec<u8>,
}

impl Prepared {
    /// What it takes in the database, roughly.
    pub(crate) fn stored_bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.data.len()).sum();
        chunks
            + self.text.len()
            + self.bits.len()
            + self.envelope.len()
            + self.body.len()
            + self.bodystructure.len()
            + self.parts.len()
            + self.keys.len()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) no: i32,
    pub(crate) raw_offset: i64,
    pub(crate) raw_len: i32,
    pub(crate) data: Bytes,
}

#[derive(Debug)]
pub(crate) struct ChunkRow {
    pub(crate) message: MessageId,
    pub(crate) no: u32,
    pub(crate) raw_len: u32,
    pub(crate) data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    Done {
        place: Place,
        modseq: i64,
    },
    /// The key is known: it was done before.
    Duplicate(Place),
    NoAccount,
    NoMailbox,
    OverQuota,
    UidsUsedUp,
    /// The mailbox is not the one expected, or staged content is gone: prepare it anew.
    Stale,
}

/// What an insertion takes the place of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OldMessage {
    pub(crate) mailbox: MailboxId,
    pub(crate) uid: Uid,
}

#[derive(Debug)]
pub(crate) struct ReplaceOutcome {
    pub(crate) inserted: Inserted,
    /// The mod-sequence of the old message's mailbox if that went.
    pub(crate) expunged_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) mailbox: MailboxId,
    pub(crate) uidvalidity: i64,
    /// Of the first message; the others follow.
    pub(crate) uid: i64,
}

/// Which derived data is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) envelope: bool,
    pub(crate) body: bool,
    pub(crate) bodystructure: bool,
    pub(crate) parts: bool,
    pub(crate) preview: bool,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct MessageRow {
    pub(crate) uid: i64,
    pub(crate) message_id: i64,
    pub(crate) size: i64,
    pub(crate) received_at: i64,
    pub(crate) saved_at: i64,
    pub(crate) thread_id: i64,
    pub(crate) envelope: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) bodystructure: Vec<u8>,
    pub(crate) parts: Vec<u8>,
    pub(crate) preview: String,
    pub(crate) derived_version: i32,
}

/// A column and what it must lie in, `to` not included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnTest {
    pub(crate) column: TestColumn,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestColumn {
    ReceivedAt,
    SavedAt,
    Size,
    SentDay,
}

/// What a message is sorted by.
#[derive(Debug)]
pub(crate) struct KeyRow {
    pub(crate) uid: i64,
    pub(crate) message_id: i64,
    pub(crate) size: i64,
    pub(crate) received_at: i64,
    /// Encoded [`mail_message::SortKeys`], if they were asked for and are there.
    pub(crate) keys: Option<Vec<u8>>,
}

/// UID, message id, size, received_at, keys.
pub(crate) type KeyFields = (i64, i64, i64, i64, Option<Vec<u8>>);

impl From<KeyFields> for KeyRow {
    fn from((uid, message_id, size, received_at, keys): KeyFields) -> Self {
        Self { uid, message_id, size, received_at, keys }
    }
}
