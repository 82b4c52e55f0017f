//! What is kept in memory of an account's index, so that a search reads the bits of its needle and nothing else.
//!
//! It may lag behind the database, since a message that it does not know is a candidate; and what it says of a message stays
//! true as long as the message's text is the same, which is as long as the epoch.

use std::collections::HashMap;
use std::sync::Arc;

use mail_types::AccountId;

use super::segment::unpack_ids;
use super::{Ids, SCHEME};
use crate::db::{Db, IndexRows, SegmentRow, TailRow};
use crate::error::DbResult;

/// Tail rows that are read; with more, which only a merge that fell behind leaves, the rest counts as unknown.
const TAIL_ROWS: usize = 4096;
/// Before every message.
const FIRST: i64 = i64::MIN;

/// A segment and its messages, in the order of their columns.
pub(super) type KeptSegment = (SegmentRow, Arc<Vec<i64>>);

/// An account's index without the bits of segments.
pub(super) struct Kept {
    /// See `SearchState`.
    pub(super) epoch: i64,
    /// In the order of their messages.
    pub(super) tail: Vec<Arc<TailRow>>,
    /// The last message of the tail, whatever its scheme.
    last: i64,
    pub(super) segments: Vec<KeptSegment>,
    /// The messages of both.
    pub(super) known: Ids,
    /// Messages that were wanted when this was read, and were not there: another read would bring nothing.
    missing: Ids,
    /// Everything was read.
    pub(super) complete: bool,
}

impl Kept {
    /// Reads what is new since `before`, of the same epoch.
    pub(super) async fn read(
        db: &dyn Db,
        account: AccountId,
        epoch: i64,
        before: Option<&Self>,
        wanted: &[i64],
    ) -> DbResult<Self> {
        let (after, there) = before.map_or((FIRST, 0), |before| (before.last, before.tail.len()));
        let mut rows = db.index_rows(account, after, TAIL_ROWS.saturating_sub(there) as i64).await?;
        // Once a merge has moved rows of the tail, which ones are left is not to be seen from what is new.
        let is_next = before.is_some_and(|before| before.has_segments(&rows.segments));
        if before.is_some() && !is_next {
            rows = db.index_rows(account, FIRST, TAIL_ROWS as i64).await?;
        }
        let tail = before.filter(|_| is_next).map_or(&[][..], |before| &before.tail);
        let mut kept = Self::of(db, account, (epoch, before), tail, rows).await?;
        for message in wanted.iter().filter(|message| !kept.known.has(**message)) {
            kept.missing.insert(*message);
        }
        Ok(kept)
    }

    async fn of(
        db: &dyn Db,
        account: AccountId,
        (epoch, before): (i64, Option<&Self>),
        tail: &[Arc<TailRow>],
        rows: IndexRows,
    ) -> DbResult<Self> {
        let all = tail.len() + rows.tail.len() < TAIL_ROWS;
        let last = rows.tail.last().map(|row| row.message).or(tail.last().map(|row| row.message));
        let last = last.unwrap_or(FIRST);
        let new = rows.tail.into_iter().filter(|row| row.scheme == SCHEME).map(Arc::new);
        let tail: Vec<Arc<TailRow>> = tail.iter().cloned().chain(new).collect();
        let wanted: Vec<SegmentRow> = rows.segments.into_iter().filter(|row| row.scheme == SCHEME).collect();
        let segments = segments(db, account, &wanted, before).await?;
        let mut known = Ids::default();
        let ids = segments.iter().flat_map(|(_, ids)| ids.iter().copied());
        for id in tail.iter().map(|row| row.message).chain(ids) {
            // A message that was derived anew may have a row behind those that were read, and old bits in a segment.
            if all || id < last {
                known.insert(id);
            }
        }
        let missing = before.map(|before| before.missing.clone()).unwrap_or_default();
        let complete = all && segments.len() == wanted.len();
        Ok(Self { epoch, tail, last, segments, known, missing, complete })
    }

    fn has_segments(&self, rows: &[SegmentRow]) -> bool {
        let usable = rows.iter().filter(|row| row.scheme == SCHEME);
        usable.clone().count() == self.segments.len()
            && usable.clone().all(|row| self.segments.iter().any(|(old, _)| old.id == row.id))
    }

    /// How many of these messages another read might bring.
    pub(super) fn unknown(&self, wanted: &[i64]) -> usize {
        wanted.iter().filter(|message| !self.known.has(**message) && !self.missing.has(**message)).count()
    }

    pub(super) fn bytes(&self) -> usize {
        let tail: usize = self.tail.iter().map(|row| row.bits.capacity() + 96).sum();
        let segments: usize = self.segments.iter().map(|(_, ids)| ids.capacity() * 8 + 96).sum();
        256 + tail + segments + self.known.bytes() + self.missing.bytes()
    }
}

/// The segments with their messages; those that have just been merged away, or are damaged, are left out.
async fn segments(
    db: &dyn Db,
    account: AccountId,
    wanted: &[SegmentRow],
    before: Option<&Kept>,
) -> DbResult<Vec<KeptSegment>> {
    let held: HashMap<i64, &Arc<Vec<i64>>> =
        before.iter().flat_map(|before| &before.segments).map(|(row, ids)| (row.id, ids)).collect();
    let unread: Vec<i64> = wanted.iter().map(|row| row.id).filter(|id| !held.contains_key(id)).collect();
    let mut read: HashMap<i64, Arc<Vec<i64>>> = HashMap::new();
    if !unread.is_empty() {
        let rows = db.index_ids(account, &unread).await?;
        read.extend(rows.into_iter().filter_map(|(id, packed)| Some((id, Arc::new(unpack_ids(&packed)?)))));
    }
    let ids = |row: &SegmentRow| held.get(&row.id).copied().or(read.get(&row.id)).cloned();
    Ok(wanted
        .iter()
        .filter_map(|row| Some((*row, ids(row)?)))
        .filter(|(row, ids)| row.width > 0 && row.messages as usize == ids.len())
        .collect())
}
