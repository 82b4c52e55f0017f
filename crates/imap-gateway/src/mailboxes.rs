//! The newest snapshots that this process has seen, shared by its sessions. May be emptied at any time: the price is that storage
//! sends all of a mailbox and not only what changed.

use std::sync::Arc;

use mail_types::{AccountId, MailboxId, MailboxName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::snapshot::Snapshot;

/// Key of everything cached: the account comes first, so that no key can ever name somebody else's mailbox.
type Key = (AccountId, MailboxId);

/// What a key and its place in the cache take, in bytes.
const ENTRY_BYTES: usize = 96;

pub(crate) struct Mailboxes {
    snapshots: Cache<Key, Arc<Snapshot>, ByBytes>,
    /// Which mailbox a name meant last time: only a hint, since storage checks it.
    ids: Cache<(AccountId, MailboxName), MailboxId>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Snapshot>> for ByBytes {
    fn weight(&self, _: &Key, snapshot: &Arc<Snapshot>) -> u64 {
        (snapshot.weight() + ENTRY_BYTES) as u64
    }
}

impl Mailboxes {
    /// Of at most so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let mailboxes = (bytes / 4096).max(16);
        Self { snapshots: Cache::with_weighter(mailboxes, bytes as u64, ByBytes), ids: Cache::new(mailboxes) }
    }

    pub(crate) fn latest(&self, account: AccountId, mailbox: MailboxId) -> Option<Arc<Snapshot>> {
        self.snapshots.get(&(account, mailbox))
    }

    pub(crate) fn latest_by_name(&self, account: AccountId, name: &MailboxName) -> Option<Arc<Snapshot>> {
        let mailbox = self.ids.get(&(account, name.clone()))?;
        self.latest(account, mailbox)
    }

    /// Remembers a snapshot, unless a newer one is there. (Two sessions may do so at once, and the older win: harmless.)
    pub(crate) fn keep(&self, account: AccountId, snapshot: &Arc<Snapshot>) {
        let key = (account, snapshot.meta().mailbox);
        match self.snapshots.get(&key) {
            Some(held) if held.meta().modseq >= snapshot.meta().modseq => {}
            _ => self.snapshots.insert(key, Arc::clone(snapshot)),
        }
    }

    pub(crate) fn keep_name(&self, account: AccountId, name: &MailboxName, mailbox: MailboxId) {
        let key = (account, name.clone());
        if self.ids.get(&key) != Some(mailbox) {
            self.ids.insert(key, mailbox);
        }
    }
}
