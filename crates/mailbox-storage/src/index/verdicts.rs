//! What searches found: texts do not change, so a message that was looked into need not be looked into again.
//!
//! People search for the same again, and mail programs do so by themselves; a needle that stands in most messages costs its first
//! search only. A cache and nothing else.

use std::sync::Arc;

use mail_types::AccountId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Ids;

/// Octets of all that is kept: a needle takes a quarter of an octet per message.
const BYTES: u64 = 16 << 20;

/// Account, field and needle.
type Key = (AccountId, String);

/// What is known about one needle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    /// Of the texts that were looked into.
    pub(crate) epoch: i64,
    /// Messages that were looked into, or that the index ruled out.
    pub(crate) checked: Ids,
    /// Those of them that contain it.
    pub(crate) found: Ids,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Verdict>> for Weight {
    fn weight(&self, (_, needle): &Key, verdict: &Arc<Verdict>) -> u64 {
        (128 + needle.len() + verdict.checked.bytes() + verdict.found.bytes()) as u64
    }
}

pub(crate) struct Verdicts(Cache<Key, Arc<Verdict>, Weight>);

impl Verdicts {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(1000, BYTES, Weight))
    }

    /// What is known of the texts of this epoch.
    pub(crate) fn get(&self, account: AccountId, needle: &str, epoch: i64) -> Arc<Verdict> {
        let known = self.0.get(&(account, needle.to_owned())).filter(|known| known.epoch == epoch);
        known.unwrap_or_else(|| Arc::new(Verdict { epoch, ..Verdict::default() }))
    }

    pub(crate) fn put(&self, account: AccountId, needle: &str, verdict: Arc<Verdict>) {
        self.0.insert((account, needle.to_owned()), verdict);
    }

    pub(super) fn forget(&self, account: AccountId) {
        self.0.retain(|(other, _), _| *other != account);
    }
}
