//! Who in this process waits for which account.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mail_types::{AccountId, MailboxId, ModSeq};
use tokio::sync::Notify;

use crate::{Hint, TraceParent, Wake};

/// Shards of the map: publishers and subscribers of different accounts seldom meet at a lock.
const SHARDS: usize = 16;
/// Mailboxes with news that one slow subscriber may have waiting; beyond it they become one Resync.
const PENDING_MAX: usize = 64;

/// The latest of one mailbox.
struct News {
    mailbox: MailboxId,
    modseq: ModSeq,
    trace: Option<TraceParent>,
}

/// What waits for one subscriber.
#[derive(Default)]
pub(crate) struct Slot {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Default)]
struct Pending {
    mailboxes: Vec<News>,
    resync: bool,
    /// Every hint from now on reaches this slot, from other processes too.
    effective: bool,
    /// The subscriber has gone on to read the database: a confirmation that comes later is news to it.
    settled: bool,
}

impl Slot {
    /// Cancel-safe.
    pub(crate) async fn next(&self) -> Wake {
        loop {
            if let Some(wake) = self.take() {
                return wake;
            }
            // The permit of an earlier `notify_one` is kept, so news between the two lines is not missed.
            self.wake.notified().await;
        }
    }

    /// Waits for the subscription to be in effect.
    pub(crate) async fn effective(&self) {
        while !lock(&self.pending).effective {
            self.wake.notified().await;
        }
    }

    /// The subscriber reads the database from now on.
    pub(crate) fn settle(&self) {
        lock(&self.pending).settled = true;
    }

    fn take(&self) -> Option<Wake> {
        let mut pending = lock(&self.pending);
        if std::mem::take(&mut pending.resync) {
            pending.mailboxes = Vec::new();
            return Some(Wake::Resync);
        }
        if pending.mailboxes.is_empty() {
            return None;
        }
        let News { mailbox, modseq, trace } = pending.mailboxes.remove(0);
        if pending.mailboxes.is_empty() {
            // An idle session has no room for news.
            pending.mailboxes = Vec::new();
        }
        Some(Wake::Mailbox { mailbox, modseq, trace })
    }

    fn push(&self, Hint { mailbox, modseq, trace, .. }: Hint) {
        let mut pending = lock(&self.pending);
        if pending.resync {
            return;
        }
        if let Some(news) = pending.mailboxes.iter_mut().find(|news| news.mailbox == mailbox) {
            if modseq >= news.modseq {
                news.trace = trace.or(news.trace);
            }
            news.modseq = modseq.max(news.modseq);
        } else if pending.mailboxes.len() < PENDING_MAX {
            pending.mailboxes.push(News { mailbox, modseq, trace });
        } else {
            pending.resync = true;
        }
        drop(pending);
        self.wake.notify_one();
    }

    fn resync(&self) {
        lock(&self.pending).resync = true;
        self.wake.notify_one();
    }

    fn confirm(&self) {
        let mut pending = lock(&self.pending);
        if !std::mem::replace(&mut pending.effective, true) && pending.settled {
            pending.resync = true;
        }
        drop(pending);
        self.wake.notify_one();
    }

    fn interrupt(&self) {
        lock(&self.pending).effective = false;
    }
}

#[derive(Default)]
struct Subscribers {
    slots: Vec<Arc<Slot>>,
    effective: bool,
}

/// All subscribers of this process.
pub(crate) struct Registry {
    shards: [Mutex<HashMap<AccountId, Subscribers>>; SHARDS],
    /// Hints come from other processes too, so that a subscription is in effect only once that way is open.
    linked: bool,
    changed: Mutex<Changed>,
    change: Notify,
}

/// Accounts that got their first subscriber or lost their last one, for the link to act on.
#[derive(Default)]
struct Changed {
    accounts: Vec<AccountId>,
    /// The link acts on them. While it does not, none are noted: it begins with a look at everybody.
    open: bool,
}

impl Registry {
    /// Hints come from this process only.
    pub(crate) fn alone() -> Self {
        Self::new(false)
    }

    /// A link brings hints from elsewhere.
    pub(crate) fn linked() -> Self {
        Self::new(true)
    }

    fn new(linked: bool) -> Self {
        Self { shards: Default::default(), linked, changed: Mutex::default(), change: Notify::new() }
    }

    pub(crate) fn join(&self, account: AccountId) -> Arc<Slot> {
        let slot = Arc::new(Slot::default());
        let mut shard = self.shard(account);
        let subscribers = shard.entry(account).or_insert_with(|| Subscribers {
            // One subscriber is the rule, and a Vec would make room for four.
            slots: Vec::with_capacity(1),
            effective: !self.linked,
        });
        subscribers.slots.push(slot.clone());
        let effective = subscribers.effective;
        drop(shard);
        if effective {
            slot.confirm();
        } else {
            self.note_change(account);
        }
        slot
    }

    pub(crate) fn leave(&self, account: AccountId, slot: &Arc<Slot>) {
        let mut shard = self.shard(account);
        let MapEntry::Occupied(mut entry) = shard.entry(account) else { return };
        entry.get_mut().slots.retain(|other| !Arc::ptr_eq(other, slot));
        if entry.get().slots.is_empty() {
            entry.remove();
            drop(shard);
            if self.linked {
                self.note_change(account);
            }
        }
    }

    pub(crate) fn wake(&self, hint: Hint) {
        if let Some(subscribers) = self.shard(hint.account).get(&hint.account) {
            for slot in &subscribers.slots {
                slot.push(hint);
            }
        }
    }

    /// Everybody may have missed something.
    pub(crate) fn resync_all(&self) {
        for shard in &self.shards {
            lock(shard).values().flat_map(|subscribers| &subscribers.slots).for_each(|slot| slot.resync());
        }
    }

    /// Whether anybody waits for this account.
    pub(crate) fn wants(&self, account: AccountId) -> bool {
        self.shard(account).contains_key(&account)
    }

    /// The account's hints arrive from now on.
    pub(crate) fn confirm(&self, account: AccountId) {
        if let Some(subscribers) = self.shard(account).get_mut(&account) {
            subscribers.effective = true;
            subscribers.slots.iter().for_each(|slot| slot.confirm());
        }
    }

    /// The link begins its work: every account that somebody waits for has changed.
    pub(crate) fn open(&self) {
        // Opened before the look, so that whoever joins meanwhile is either seen or noted.
        lock(&self.changed).open = true;
        for shard in &self.shards {
            let accounts: Vec<AccountId> = lock(shard).keys().copied().collect();
            lock(&self.changed).accounts.extend(accounts);
        }
        self.change.notify_one();
    }

    /// No hints arrive any more, until the next [`Self::open`].
    pub(crate) fn interrupt(&self) {
        *lock(&self.changed) = Changed::default();
        for shard in &self.shards {
            for subscribers in lock(shard).values_mut() {
                subscribers.effective = false;
                subscribers.slots.iter().for_each(|slot| slot.interrupt());
            }
        }
    }

    /// Waits for accounts to act on; the latest come first, at most `max`. Cancel-safe.
    pub(crate) async fn changes(&self, max: usize) -> Vec<AccountId> {
        loop {
            let changed = self.take_changes(max);
            if !changed.is_empty() {
                return changed;
            }
            self.change.notified().await;
        }
    }

    fn take_changes(&self, max: usize) -> Vec<AccountId> {
        let mut changed = lock(&self.changed);
        let from = changed.accounts.len().saturating_sub(max);
        changed.accounts.split_off(from)
    }

    fn note_change(&self, account: AccountId) {
        let mut changed = lock(&self.changed);
        if changed.open {
            changed.accounts.push(account);
            drop(changed);
            self.change.notify_one();
        }
    }

    fn shard(&self, account: AccountId) -> MutexGuard<'_, HashMap<AccountId, Subscribers>> {
        lock(&self.shards[(account.get() % SHARDS as u64) as usize])
    }
}

/// Nothing here can panic halfway through a change, so a poisoned lock holds whole data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
