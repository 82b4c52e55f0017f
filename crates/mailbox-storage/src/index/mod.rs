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
mod compact;
mod grams;
mod ids;
mod kept;
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

pub(crate) use candidates::Needle;
pub(crate) use grams::SCHEME;
pub(crate) use ids::Ids;
use kept::Kept;
pub(crate) use signature::signature;
pub(crate) use verdicts::{Verdict, Verdicts};

/// Messages of an account's tail from which on it is merged.
pub(crate) const TAIL_MESSAGES: u32 = 256;
/// Octets of indexes that are kept in memory: some for each account that searches.
const KEPT_BYTES: u64 = 32 << 20;

/// What a process keeps of the index beside the database.
pub(crate) struct Index {
    kept: Cache<AccountId, Arc<Kept>, KeptWeight>,
    /// What was found before.
    pub(crate) verdicts: Verdicts,
    /// Messages that this process has added to tails since they were merged.
    added: Mutex<HashMap<AccountId, u32>>,
    /// Tails to be merged.
    crowded: Mutex<HashSet<AccountId>>,
    wake: Notify,
}

#[derive(Clone)]
struct KeptWeight;

impl Weighter<AccountId, Arc<Kept>> for KeptWeight {
    fn weight(&self, _: &AccountId, kept: &Arc<Kept>) -> u64 {
        kept.bytes() as u64
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            kept: Cache::with_weighter(1000, KEPT_BYTES, KeptWeight),
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
        self.kept.remove(&account);
        self.verdicts.forget(account);
        self.added.lock().unwrap_or_else(PoisonError::into_inner).remove(&account);
    }
}
