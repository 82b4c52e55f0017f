//! Segments whose messages are mostly gone are written anew without them.
//!
//! Merging leaves out what is gone, but segments that are full are merged no more. A segment is written anew once half of it is
//! gone, so an index has at most twice the messages that there are, and each was written at most once more per halving.

use std::collections::BTreeMap;

use mail_types::AccountId;

use super::SCHEME;
use super::merge::{ACCOUNTS, join, read};
use super::segment::unpack_ids;
use crate::db::{Db, IndexChange, SegmentRow};
use crate::error::DbResult;
use crate::{Storage, StorageError};

/// Messages of an account that are gone from which on its segments are looked at.
pub(super) const GONE_MESSAGES: u32 = 512;
/// Segments of one change: what it holds in memory.
const AT_ONCE: usize = 4;

impl Storage {
    /// Writes the segments anew that half or more of the messages are gone from, in accounts where more than half of all and
    /// `least` are. How many messages were left out.
    ///
    /// Harmless at any time and on any number of instances; what is cut short leaves everything as it was.
    ///
    /// # Errors
    /// [`StorageError::Failed`]; what was done until then stays done.
    pub async fn compact_search_index(&self, least: u32) -> Result<u64, StorageError> {
        let db = &*self.0.db;
        let (mut gone, mut after) = (0, 0);
        loop {
            let accounts = db.index_sparse(after, i64::from(least), ACCOUNTS).await?;
            let Some(last) = accounts.last() else { return Ok(gone) };
            after = *last;
            for account in accounts {
                gone += compact(db, AccountId::try_from(account).map_err(crate::db::damaged)?).await?;
            }
        }
    }
}

async fn compact(db: &dyn Db, account: AccountId) -> DbResult<u64> {
    let mut gone = 0;
    for (width, rows) in sparse(db, account).await? {
        for some in rows.chunks(AT_ONCE) {
            let mut parts = Vec::with_capacity(some.len());
            for row in some {
                // Another process has merged it away.
                let Some(part) = read(db, account, *row).await? else { return Ok(gone) };
                parts.push(part);
            }
            let before: usize = parts.iter().map(|part| part.ids.len()).sum();
            let new = join(db, account, width as usize, parts).await?;
            let left: usize = new.iter().map(|segment| segment.messages as usize).sum();
            let old = some.iter().map(|row| row.id).collect();
            if !db.index_change(IndexChange { account, tail: Vec::new(), old, new }).await? {
                return Ok(gone);
            }
            gone += (before - left) as u64;
        }
    }
    Ok(gone)
}

/// The segments with as many messages that are gone as ones that are there, by width.
async fn sparse(db: &dyn Db, account: AccountId) -> DbResult<BTreeMap<i32, Vec<SegmentRow>>> {
    let mut sparse: BTreeMap<i32, Vec<SegmentRow>> = BTreeMap::new();
    for row in db.index_segments(account).await?.into_iter().filter(|row| row.scheme == SCHEME) {
        let packed = db.index_ids(account, &[row.id]).await?.pop();
        let Some(ids) = packed.and_then(|(_, packed)| unpack_ids(&packed)) else { continue };
        if db.index_living(account, &ids).await?.len() * 2 <= ids.len() {
            sparse.entry(row.width).or_default().push(row);
        }
    }
    Ok(sparse)
}
