//! The search index's rows, for both databases.

use mail_types::AccountId;

/// A message that is in no segment yet.
#[derive(Debug, Clone)]
pub(crate) struct TailRow {
    pub(crate) message: i64,
    pub(crate) version: i32,
    pub(crate) scheme: i32,
    pub(crate) bits: Vec<u8>,
}

/// A segment without its messages and bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentRow {
    pub(crate) id: i64,
    pub(crate) scheme: i32,
    pub(crate) width: i32,
    pub(crate) messages: i32,
}

/// What a search asks first: does what is kept of a mailbox and of the index still hold?
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchState {
    pub(crate) highest_modseq: i64,
    /// Another one when texts of messages that are there may have changed.
    pub(crate) epoch: i64,
}

/// The segments, and the tail after a message, at one moment.
#[derive(Debug, Default)]
pub(crate) struct IndexRows {
    pub(crate) segments: Vec<SegmentRow>,
    pub(crate) tail: Vec<TailRow>,
}

/// A row of [`INDEX`].
pub(super) type IndexRow = (i32, i64, i32, i32, i32, Option<Vec<u8>>);

pub(super) fn index_rows(rows: Vec<IndexRow>) -> IndexRows {
    let mut out = IndexRows::default();
    for (kind, number, scheme, width, messages, bits) in rows {
        match kind {
            0 => out.segments.push(SegmentRow { id: number, scheme, width, messages }),
            _ => out.tail.push(TailRow {
                message: number,
                version: width,
                scheme,
                bits: bits.unwrap_or_default(),
            }),
        }
    }
    out
}

/// A segment to be stored.
#[derive(Debug)]
pub(crate) struct NewSegment {
    pub(crate) scheme: i32,
    pub(crate) width: i32,
    pub(crate) messages: i32,
    pub(crate) ids: Vec<u8>,
    pub(crate) blocks: Vec<Vec<u8>>,
}

/// New segments in the place of tail rows (message, version) and of old segments.
#[derive(Debug)]
pub(crate) struct IndexChange {
    pub(crate) account: AccountId,
    pub(crate) tail: Vec<(i64, i32)>,
    pub(crate) old: Vec<i64>,
    pub(crate) new: Vec<NewSegment>,
}

/// Segments and the tail after $2 in one statement: what a merge moves is seen in one of them.
pub(super) const INDEX: &str = "SELECT 0 AS kind, id AS number, scheme, width, messages, NULL AS bits
      FROM search_segment WHERE account_id = $1
    UNION ALL SELECT 1, t.message_id, t.scheme, t.derived_version, 0, t.bits FROM (
      SELECT message_id, scheme, derived_version, bits FROM search_tail
       WHERE account_id = $1 AND message_id > $2 ORDER BY message_id LIMIT $3) t";
impl IndexChange {
    /// May a later segment get the number of one that was there? Then what others keep of it must not hold any more.
    pub(super) fn frees_numbers(&self) -> bool {
        self.new.is_empty() && !self.old.is_empty()
    }
}

pub(super) const TAIL: &str = "SELECT message_id, derived_version, scheme, bits FROM search_tail
    WHERE account_id = $1 ORDER BY message_id LIMIT $2";
/// UIDVALIDITY tells a store made anew from the one before, where the same numbers meant other messages.
pub(super) const SEARCH_STATE: &str =
    "SELECT m.highest_modseq, coalesce((SELECT a.search_epoch * 4294967296 + a.next_uidvalidity
      FROM account_store a WHERE a.account_id = $1), 0) FROM mailbox m WHERE m.account_id = $1 AND m.id = $2";
pub(super) const NEXT_EPOCH: &str =
    "UPDATE account_store SET search_epoch = search_epoch + 1 WHERE account_id = $1";
pub(super) const SEGMENTS: &str =
    "SELECT id, scheme, width, messages FROM search_segment WHERE account_id = $1 ORDER BY id";
/// Accounts after $1 with so many tail rows.
pub(super) const CROWDED: &str =
    "SELECT a.account_id FROM account_store a WHERE a.account_id > $1 AND EXISTS (
      SELECT 1 FROM search_tail t WHERE t.account_id = a.account_id ORDER BY t.message_id LIMIT 1 OFFSET $2)
    ORDER BY a.account_id LIMIT $3";
/// Accounts after $1 whose segments have more than twice as many messages as there are, and $2 more.
pub(super) const SPARSE: &str = "SELECT a.account_id FROM account_store a WHERE a.account_id > $1
      AND (SELECT coalesce(sum(s.messages), 0) FROM search_segment s WHERE s.account_id = a.account_id) > 2 * a.used_messages + $2
    ORDER BY a.account_id LIMIT $3";
pub(super) const NEXT_SEGMENT: &str = "SELECT coalesce(max(id), 0) FROM search_segment WHERE account_id = $1";
pub(super) const INSERT_SEGMENT: &str = "INSERT INTO search_segment VALUES ($1, $2, $3, $4, $5, $6)";
pub(super) const INSERT_TAIL: &str =
    "INSERT INTO search_tail VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
