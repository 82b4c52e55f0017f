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

/// What there is, without what is in it.
#[derive(Debug, Default)]
pub(crate) struct IndexRows {
    /// Another one when texts of messages that are there may have changed.
    pub(crate) epoch: i64,
    pub(crate) segments: Vec<SegmentRow>,
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

pub(super) const TAIL: &str = "SELECT message_id, derived_version, scheme, bits FROM search_tail
    WHERE account_id = $1 ORDER BY message_id LIMIT $2";
/// UIDVALIDITY tells a store made anew from the one before, where the same numbers meant other messages.
pub(super) const EPOCH: &str =
    "SELECT search_epoch * 4294967296 + next_uidvalidity FROM account_store WHERE account_id = $1";
pub(super) const NEXT_EPOCH: &str =
    "UPDATE account_store SET search_epoch = search_epoch + 1 WHERE account_id = $1";
pub(super) const SEGMENTS: &str =
    "SELECT id, scheme, width, messages FROM search_segment WHERE account_id = $1 ORDER BY id";
/// Accounts after $1 with so many tail rows.
pub(super) const CROWDED: &str =
    "SELECT a.account_id FROM account_store a WHERE a.account_id > $1 AND EXISTS (
      SELECT 1 FROM search_tail t WHERE t.account_id = a.account_id ORDER BY t.message_id LIMIT 1 OFFSET $2)
    ORDER BY a.account_id LIMIT $3";
pub(super) const NEXT_SEGMENT: &str = "SELECT coalesce(max(id), 0) FROM search_segment WHERE account_id = $1";
pub(super) const INSERT_SEGMENT: &str = "INSERT INTO search_segment VALUES ($1, $2, $3, $4, $5, $6)";
pub(super) const INSERT_TAIL: &str =
    "INSERT INTO search_tail VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
