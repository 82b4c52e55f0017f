//! The search index: which messages of an account may contain a needle.
//!
//! It names candidates; SEARCH looks into their texts, so an answer is exact whatever the index says, as long as it leaves no
//! message out. A message that the index does not know is a candidate. So nothing has to be locked: what a merge moves while a
//! search reads is seen twice or not at all, and both are right.
//!
//! A message's text is 512 to 262 144 bits, its [`signature`]. It is stored with the message, as a row of the account's tail. A
//! background task merges tails into segments, where the bits of up to 3 840 messages are stored by bit: a search reads of each
//! segment the few rows with the bits of its needle. Segments of like size are merged into larger ones, four at a time.

mod audit;
mod candidates;
mod grams;
mod ids;
mod merge;
mod segment;
mod signature;
mod verdicts;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mail_types::AccountId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Notify;

pub(crate) use candidates::{Candidates, Needle};
pub(crate) use grams::SCHEME;
pub(crate) use ids::Ids;
pub(crate) use signature::signature;
pub(crate) use verdicts::{Verdict, Verdicts};

/// Messages of an account's tail from which on it is merged.
pub(crate) const TAIL_MESSAGES: u32 = 256;
/// Octets of message ids of segments that are kept in memory.
const IDS_BYTES: u64 = 16 << 20;

/// What a process keeps of the index beside the database.
pub(crate) struct Index {
    /// Whose columns a segment has. Segments never change within an epoch.
    ids: Cache<SegmentKey, Arc<Vec<i64>>, IdsWeight>,
    /// What was found before.
    pub(crate) verdicts: Verdicts,
    /// Messages that this process has added to tails since they were merged.
    added: Mutex<HashMap<AccountId, u32>>,
    /// Tails to be merged.
    crowded: Mutex<HashSet<AccountId>>,
    wake: Notify,
}

/// Account, epoch and segment.
type SegmentKey = (AccountId, i64, i64);

#[derive(Clone)]
struct IdsWeight;

impl Weighter<SegmentKey, Arc<Vec<i64>>> for IdsWeight {
    fn weight(&self, _: &SegmentKey, ids: &Arc<Vec<i64>>) -> u64 {
        64 + (ids.capacity() * size_of::<i64>()) as u64
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            ids: Cache::with_weighter(1000, IDS_BYTES, IdsWeight),
            verdicts: Verdicts::new(),
            added: Mutex::default(),
            crowded: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// So many messages were added.
    pub(crate) fn added(&self, account: AccountId, messages: u32) {
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let count = added.entry(account).or_default();
        *count += messages;
        if *count >= TAIL_MESSAGES {
            added.remove(&account);
            drop(added);
            self.crowd(account);
        }
    }

    /// The account's tail is long.
    pub(crate) fn crowd(&self, account: AccountId) {
        self.crowded.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        self.wake.notify_one();
    }

    /// Waits for accounts with long tails.
    async fn crowded(&self) -> Vec<AccountId> {
        loop {
            let accounts: Vec<AccountId> =
                self.crowded.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
            if !accounts.is_empty() {
                return accounts;
            }
            self.wake.notified().await;
        }
    }

    /// Forgets an account.
    pub(crate) fn forget(&self, account: AccountId) {
        self.ids.retain(|(other, _, _), _| *other != account);
        self.verdicts.forget(account);
        self.added.lock().unwrap_or_else(PoisonError::into_inner).remove(&account);
    }
}
