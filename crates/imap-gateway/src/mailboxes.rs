//! The newest snapshots that this process has seen, shared by its sessions. May be emptied at any time: the price is that storage
//! sends all of a mailbox and not only what changed.

use std::sync::Arc;

use mail_types::MailboxId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::others::Whose;
use crate::snapshot::Snapshot;

/// Key of everything cached: who looks and whose it is come first, so that no key can ever name somebody else's view of a mailbox.
type Key = (Whose, MailboxId);

/// What a key and its place in the cache take, in bytes.
const ENTRY_BYTES: usize = 96;

pub(crate) struct Mailboxes {
    snapshots: Cache<Key, Arc<Snapshot>, ByBytes>,
    /// Which mailbox a name meant last time: only a hint, since storage checks it.
    ids: Cache<(Whose, String), MailboxId>,
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

    pub(crate) fn latest(&self, whose: Whose, mailbox: MailboxId) -> Option<Arc<Snapshot>> {
        self.snapshots.get(&(whose, mailbox))
    }

    pub(crate) fn latest_by_name(&self, whose: Whose, name: &str) -> Option<Arc<Snapshot>> {
        let mailbox = self.ids.get(&(whose, name.to_owned()))?;
        self.latest(whose, mailbox)
    }

    /// Remembers a snapshot, unless a newer one is there. (Two sessions may do so at once, and the older win: harmless.) Returns the
    /// one to go on with: of many sessions that ask for the same news at once, all share what the first one made of it.
    pub(crate) fn keep(&self, whose: Whose, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let key = (whose, snapshot.meta().mailbox);
        match self.snapshots.get(&key) {
            Some(held) if held.meta() == snapshot.meta() => return held,
            Some(held) if held.meta().modseq >= snapshot.meta().modseq => {}
            _ => self.snapshots.insert(key, Arc::clone(&snapshot)),
        }
        snapshot
    }

    pub(crate) fn keep_name(&self, whose: Whose, name: &str, mailbox: MailboxId) {
        let key = (whose, name.to_owned());
        if self.ids.get(&key) != Some(mailbox) {
            self.ids.insert(key, mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use mail_types::{AccountId, ModSeq};

    use super::*;
    use crate::snapshot::Meta;

    fn snapshot(modseq: u64) -> Arc<Snapshot> {
        let meta = Meta {
            mailbox: MailboxId::new(1),
            uid_validity: 9,
            uid_next: 1,
            modseq: ModSeq::new(modseq),
            keywords: Arc::default(),
        };
        Arc::new(Snapshot::new(meta, &[]))
    }

    #[test]
    fn sessions_with_the_same_news_share_a_snapshot() {
        let (mailboxes, whose) = (Mailboxes::new(1 << 20), Whose::own(AccountId::new(7)));
        let first = mailboxes.keep(whose, snapshot(5));
        assert!(Arc::ptr_eq(&first, &mailboxes.keep(whose, snapshot(5))));
        let older = snapshot(4);
        assert!(Arc::ptr_eq(&older, &mailboxes.keep(whose, Arc::clone(&older))));
        assert!(Arc::ptr_eq(&first, &mailboxes.latest(whose, MailboxId::new(1)).unwrap()));
        let newer = mailboxes.keep(whose, snapshot(6));
        assert!(Arc::ptr_eq(&newer, &mailboxes.latest(whose, MailboxId::new(1)).unwrap()));
    }
}
