//! The columns of mailboxes that were sorted lately, shared by the process's sessions. May be emptied at any time.

use std::sync::Arc;

use mail_rpc::{MailboxClient, Refusal, pb, set_to_pb};
use mail_types::{AccountId, UidSet};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::column::Column;
use crate::error::CmdError;
use crate::fetch::Place;
use crate::limits::SORT_KEYS_MESSAGES;

/// The account comes first, so that no key can ever name somebody else's mailbox. With UIDVALIDITY and the key of `mailbox.proto`.
type Key = (AccountId, u64, u32, i32);

/// What a key and its place in the cache take, in bytes.
const ENTRY_BYTES: usize = 128;
/// Unknown UIDs between two wanted ones that are asked for too.
const SMALL_GAP: u32 = 16;
/// Messages that are gone that a column may hold, beside as many as there are.
const SPARE: usize = 1000;
/// What a column usually takes, in bytes: only a guess for the size of tables.
const USUAL_BYTES: usize = 16 * 1024;

pub(crate) struct Keys(Cache<Key, Arc<Column>, ByBytes>);

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Column>> for ByBytes {
    fn weight(&self, _: &Key, column: &Arc<Column>) -> u64 {
        (column.weight() + ENTRY_BYTES) as u64
    }
}

impl Keys {
    /// Of at most so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Cache::with_weighter(bytes / USUAL_BYTES + 16, bytes as u64, ByBytes))
    }

    /// A column for each of `keys`, with all of `uids` (ascending) but those that are gone. Storage is asked for what is missing.
    /// `exists`: messages of the mailbox; a column that holds far more is made anew, without those that are gone.
    ///
    /// # Errors
    /// As storage says; NOT_FOUND when the mailbox was deleted.
    pub(crate) async fn load(
        &self,
        storage: &MailboxClient,
        (place, uid_validity, exists): (&Place, u32, usize),
        uids: &[u32],
        keys: &[pb::SortKey],
    ) -> Result<Vec<Arc<Column>>, CmdError> {
        let key = |sort: pb::SortKey| (place.account, place.mailbox.get(), uid_validity, sort.into());
        let mut columns: Vec<Arc<Column>> = keys
            .iter()
            .map(|sort| {
                let held = self.0.get(&key(*sort)).filter(|column| column.len() <= 2 * exists + SPARE);
                held.unwrap_or_else(|| Arc::new(Column::empty(*sort)))
            })
            .collect();
        for (sort, column) in keys.iter().zip(&mut columns) {
            let missing = column.missing(uids);
            if missing.is_empty() {
                continue;
            }
            for part in missing.chunks(SORT_KEYS_MESSAGES) {
                let new = ask(storage, place, part, *sort).await?;
                *column = Arc::new(column.merged(&new));
            }
            self.0.insert(key(*sort), Arc::clone(column));
        }
        Ok(columns)
    }
}

async fn ask(
    storage: &MailboxClient,
    place: &Place,
    uids: &[u32],
    key: pb::SortKey,
) -> Result<Column, CmdError> {
    let request = pb::SortKeysRequest {
        owner: place.owner,
        grant: place.grant.clone(),
        mailbox_id: place.mailbox.get(),
        uids: set_to_pb(&runs(uids)),
        keys: vec![key.into()],
    };
    let reply = storage.sort_keys(request).await;
    let mut reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
    let mut uid = 0u32;
    let found = reply.uid_deltas.iter().map(|delta| {
        uid = uid.wrapping_add(*delta);
        uid
    });
    let found = found.collect();
    Ok(Column::from_pb(key, found, reply.columns.pop().unwrap_or_default())?)
}

/// A set of these UIDs (ascending) with few ranges: small gaps are asked for with them, since most hold no message and one that
/// is there will be asked for next.
fn runs(uids: &[u32]) -> UidSet {
    let runs = uids.chunk_by(|a, b| b - a <= SMALL_GAP);
    UidSet::from_ranges(runs.filter_map(|run| Some((*run.first()?, *run.last()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_gaps_are_closed() {
        assert_eq!(runs(&[1, 2, 5, 100, 101]).to_string(), "1:5,100:101");
        assert!(runs(&[]).is_empty());
    }
}
