//! The background task that merges tails into segments, and segments into larger ones.
//!
//! What a merge read must all be there still when it writes, else nothing is changed; so any number of processes may merge, and
//! a merge that is cut short leaves nothing behind.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::time::Duration;

use mail_types::AccountId;

use super::compact::GONE_MESSAGES;
use super::segment::{Segment, capacity, pack_ids, unpack_ids};
use super::{SCHEME, TAIL_MESSAGES};
use crate::db::{Db, IndexChange, NewSegment, SegmentRow, TailRow};
use crate::error::{DbError, DbResult};
use crate::{Storage, StorageError};

/// Tail rows of one merge: what it holds in memory.
const TAIL_ROWS: i64 = 2048;
/// Segments of like size that become one.
const LIKE_SEGMENTS: usize = 4;
/// Accounts of one look for long tails.
pub(super) const ACCOUNTS: i64 = 1000;
/// How often is looked for tails that other processes have left long.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// Where a segment's columns come from.
#[derive(Debug, Clone)]
enum Source {
    /// The tail rows of its width.
    Tail,
    Segment(SegmentRow),
}

impl Storage {
    /// Merges every tail of so many messages or more. How many messages came into segments.
    ///
    /// # Errors
    /// [`StorageError::Failed`]; what was done until then stays done.
    pub async fn merge_search_index(&self, least: u32) -> Result<u64, StorageError> {
        let db = &*self.0.db;
        let (mut merged, mut after) = (0, 0);
        loop {
            let accounts = db.index_crowded(after, i64::from(least.max(1)), ACCOUNTS).await?;
            let Some(last) = accounts.last() else { return Ok(merged) };
            after = *last;
            for account in accounts {
                let account = AccountId::try_from(account).map_err(crate::db::damaged)?;
                merged += merge(db, account, least as usize).await?;
            }
        }
    }

    /// Merges for ever what grows long; drop the future to stop.
    pub async fn keep_merging_search_index(&self) {
        let looking = async {
            loop {
                if let Err(error) = self.merge_search_index(TAIL_MESSAGES).await {
                    tracing::warn!(%error, "the search index was not merged; trying again");
                }
                if let Err(error) = self.compact_search_index(GONE_MESSAGES).await {
                    tracing::warn!(%error, "the search index was not compacted; trying again");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let listening = async {
            loop {
                for account in self.0.index.crowded().await {
                    if let Err(error) = merge(&*self.0.db, account, TAIL_MESSAGES as usize / 2).await {
                        tracing::warn!(%error, %account, "the search index was not merged; trying again");
                    }
                }
            }
        };
        tokio::join!(looking, listening);
    }
}

/// Merges an account's tail while it has `least` messages or more.
async fn merge(db: &dyn Db, account: AccountId, least: usize) -> DbResult<u64> {
    let mut merged = 0;
    loop {
        let tail = db.index_tail(account, TAIL_ROWS).await?;
        if tail.is_empty() || tail.len() < least {
            return Ok(merged);
        }
        let moved = tail.len() as u64;
        if !merge_once(db, account, tail).await? {
            // Another process does it.
            return Ok(merged);
        }
        merged += moved;
    }
}

async fn merge_once(db: &dyn Db, account: AccountId, tail: Vec<TailRow>) -> DbResult<bool> {
    let keys: Vec<(i64, i32)> =
        tail.iter().filter(|row| row.scheme <= SCHEME).map(|row| (row.message, row.version)).collect();
    let (outdated, rows): (Vec<SegmentRow>, Vec<SegmentRow>) = db
        .index_segments(account)
        .await?
        .into_iter()
        .filter(|segment| segment.scheme <= SCHEME)
        .partition(|segment| segment.scheme < SCHEME);
    let mut by_width: BTreeMap<usize, Vec<(i64, Vec<u8>)>> = BTreeMap::new();
    // Rows of older numbers go: rebuilding brings the messages back.
    for row in tail.into_iter().filter(|row| row.scheme == SCHEME) {
        by_width.entry(row.bits.len() * 8).or_default().push((row.message, row.bits));
    }
    let mut change = IndexChange {
        account,
        tail: keys,
        old: outdated.iter().map(|segment| segment.id).collect(),
        new: Vec::new(),
    };
    for (width, signatures) in by_width {
        let there: Vec<SegmentRow> = rows.iter().filter(|s| s.width as usize == width).copied().collect();
        for group in plan(width, signatures.len(), &there) {
            let mut parts = Vec::with_capacity(group.len());
            for source in group {
                parts.push(match source {
                    Source::Tail => {
                        let all: Vec<(i64, &[u8])> = signatures.iter().map(|(id, s)| (*id, &s[..])).collect();
                        Segment::of(width, &all)
                    }
                    Source::Segment(row) => {
                        change.old.push(row.id);
                        let Some(part) = read(db, account, row).await? else { return Ok(false) };
                        part
                    }
                });
            }
            change.new.extend(join(db, account, width, parts).await?);
        }
    }
    db.index_change(change).await
}

/// Which segments and which part of the tail become one: what is of like size, until there are fewer of a size.
fn plan(width: usize, tail: usize, there: &[SegmentRow]) -> Vec<Vec<Source>> {
    let most = capacity(width);
    let full = |messages: usize| messages * 2 > most;
    let size = |messages: usize| messages.max(16).ilog2() / 2;
    let mut groups: Vec<(usize, Vec<Source>)> = there
        .iter()
        .filter(|row| !full(row.messages as usize))
        .map(|row| (row.messages as usize, vec![Source::Segment(*row)]))
        .collect();
    groups.push((tail, vec![Source::Tail]));
    loop {
        let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
        for (messages, _) in groups.iter().filter(|(messages, _)| !full(*messages)) {
            *sizes.entry(size(*messages)).or_default() += 1;
        }
        let Some((crowded, _)) = sizes.into_iter().find(|(_, count)| *count >= LIKE_SEGMENTS) else { break };
        let (alike, rest): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(messages, _)| !full(*messages) && size(*messages) == crowded);
        groups = rest;
        let messages = alike.iter().map(|(messages, _)| messages).sum();
        groups.push((messages, alike.into_iter().flat_map(|(_, sources)| sources).collect()));
    }
    // A segment that stays alone stays as it is.
    let alone = |sources: &[Source]| matches!(sources, [Source::Segment(_)]);
    groups.into_iter().map(|(_, sources)| sources).filter(|sources| !alone(sources)).collect()
}

/// `None`: another process has merged it away.
pub(super) async fn read(db: &dyn Db, account: AccountId, row: SegmentRow) -> DbResult<Option<Segment>> {
    let blocks = db.index_all_slices(account, row.id).await?;
    let ids = db.index_ids(account, &[row.id]).await?.pop().and_then(|(_, packed)| unpack_ids(&packed));
    Ok(ids.and_then(|ids| Segment::from_blocks(row.width as usize, ids, &blocks)))
}

/// One segment, or several where one would be too large. Messages that are gone are left out.
pub(super) async fn join(
    db: &dyn Db,
    account: AccountId,
    width: usize,
    parts: Vec<Segment>,
) -> DbResult<Vec<NewSegment>> {
    let ids: Vec<i64> = parts.iter().flat_map(|part| part.ids.iter().copied()).collect();
    let living: HashSet<i64> = db.index_living(account, &ids).await?.into_iter().collect();
    tokio::task::spawn_blocking(move || {
        let joined = Segment::join(width, &parts, |id| living.contains(&id));
        if joined.ids.is_empty() { Vec::new() } else { joined.split().iter().map(stored).collect() }
    })
    .await
    .map_err(|_| DbError::Closed)
}

fn stored(segment: &Segment) -> NewSegment {
    NewSegment {
        scheme: SCHEME,
        width: segment.width as i32,
        messages: segment.ids.len() as i32,
        ids: pack_ids(&segment.ids),
        blocks: segment.blocks().map(<[u8]>::to_vec).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_few() {
        let mut there: Vec<SegmentRow> = Vec::new();
        let (mut id, mut written) = (0, 0);
        for _ in 0..400 {
            for group in plan(4096, 256, &there) {
                let mut messages = 0;
                for source in group {
                    messages += match source {
                        Source::Tail => 256,
                        Source::Segment(row) => {
                            there.retain(|other| other.id != row.id);
                            row.messages as usize
                        }
                    };
                }
                written += messages;
                while messages > 0 {
                    id += 1;
                    let part = messages.min(capacity(4096));
                    messages -= part;
                    there.push(SegmentRow { id, scheme: SCHEME, width: 4096, messages: part as i32 });
                }
            }
        }
        let messages: i32 = there.iter().map(|row| row.messages).sum();
        assert_eq!(messages, 400 * 256);
        assert!(there.len() <= 60, "{} segments", there.len());
        assert!(written < 4 * 400 * 256, "each message was written {} times", written / (400 * 256));
    }
}
