//! Snapshots of mailboxes that are kept ready, so that opening one again reads only what changed since.
//!
//! A cache and nothing else: the mailbox row that was read just now says up to which mod-sequence it has to be brought.

use std::sync::Arc;

use mail_rpc::Entry;
use mail_types::{AccountId, MailboxId, UidSet};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::db::{Since, SyncRows};

/// Mailboxes whose id is remembered by name, so that opening by name can use the snapshot.
const NAMES_MAX: usize = 100_000;
/// Octets of a snapshot's fixed part, for the budget.
const SNAPSHOT_BYTES: u64 = 128;

/// All messages of a mailbox at a mod-sequence.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) modseq: i64,
    pub(crate) entries: Arc<Vec<Entry>>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<(AccountId, MailboxId), Snapshot> for Weight {
    fn weight(&self, _: &(AccountId, MailboxId), snapshot: &Snapshot) -> u64 {
        SNAPSHOT_BYTES + (snapshot.entries.capacity() * size_of::<Entry>()) as u64
    }
}

/// Snapshots within a budget of octets.
pub(crate) struct Snapshots {
    kept: Cache<(AccountId, MailboxId), Snapshot, Weight>,
    names: Cache<(AccountId, String), MailboxId>,
}

impl Snapshots {
    pub(crate) fn new(budget_bytes: u64) -> Self {
        Self { kept: Cache::with_weighter(1000, budget_bytes, Weight), names: Cache::new(NAMES_MAX) }
    }

    /// The moment from which a mailbox of this name could be brought up to date.
    pub(crate) fn since_by_name(&self, account: AccountId, name: &str) -> Option<Since> {
        self.since(account, self.names.get(&(account, name.to_owned()))?)
    }

    /// The moment from which this mailbox could be brought up to date.
    pub(crate) fn since(&self, account: AccountId, mailbox: MailboxId) -> Option<Since> {
        self.kept.get(&(account, mailbox)).map(|kept| Since { mailbox, modseq: kept.modseq })
    }

    /// The whole mailbox, if it is kept as of this moment.
    pub(crate) fn at(&self, account: AccountId, mailbox: MailboxId, modseq: i64) -> Option<Arc<Vec<Entry>>> {
        self.kept.get(&(account, mailbox)).filter(|kept| kept.modseq == modseq).map(|kept| kept.entries)
    }

    /// The whole mailbox from what was read, which is everything or what changed since `since`. `None`: the snapshot has been
    /// dropped or replaced meanwhile, so everything has to be read.
    pub(crate) fn complete(
        &self,
        account: AccountId,
        since: Option<Since>,
        rows: &mut SyncRows,
    ) -> Option<Arc<Vec<Entry>>> {
        let key = (account, rows.state.id);
        let modseq = rows.state.highest_modseq;
        let entries = if rows.full {
            Arc::new(std::mem::take(&mut rows.entries))
        } else {
            let kept = self.kept.get(&key).filter(|kept| Some(kept.modseq) == since.map(|s| s.modseq))?;
            if rows.entries.is_empty() && rows.vanished.is_empty() {
                kept.entries
            } else {
                Arc::new(merge(&kept.entries, &rows.entries, &rows.vanished))
            }
        };
        // A slower reader must not put an older moment over a newer one; it costs only time if it does.
        if self.kept.peek(&key).is_none_or(|kept| kept.modseq <= modseq) {
            self.kept.insert(key, Snapshot { modseq, entries: Arc::clone(&entries) });
        }
        self.names.insert((account, rows.state.name.clone()), rows.state.id);
        Some(entries)
    }

    /// Forgets an account.
    pub(crate) fn forget(&self, account: AccountId) {
        self.kept.retain(|(other, _), _| *other != account);
        self.names.retain(|(other, _), _| *other != account);
    }
}

/// `old` with the changed ones replaced, the new ones added and the vanished ones left out. All ascend by UID.
fn merge(old: &[Entry], changed: &[Entry], vanished: &UidSet) -> Vec<Entry> {
    let mut out = Vec::with_capacity(old.len() + changed.len());
    let mut changed = changed.iter().copied().peekable();
    for entry in old {
        while let Some(new) = changed.next_if(|new| new.uid < entry.uid) {
            out.push(new);
        }
        match changed.next_if(|new| new.uid == entry.uid) {
            Some(new) => out.push(new),
            None if vanished.contains(entry.uid) => {}
            None => out.push(*entry),
        }
    }
    out.extend(changed);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{FlagBits, MessageId, ModSeq, Uid};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn entries(model: &BTreeMap<u32, u64>) -> Vec<Entry> {
        let entry = |(uid, modseq): (&u32, &u64)| Entry {
            uid: Uid::new(*uid).unwrap(),
            flags: FlagBits::NONE,
            modseq: ModSeq::new(*modseq),
            message: MessageId::new(1),
        };
        model.iter().map(entry).collect()
    }

    proptest! {
        #[test]
        fn merging_is_what_the_changes_say(
            old in proptest::collection::btree_map(1u32..50, 1u64..9, 0..40),
            changed in proptest::collection::btree_map(1u32..60, 10u64..19, 0..20),
            gone in proptest::collection::btree_set(1u32..60, 0..20),
        ) {
            let gone: UidSet = gone.iter().filter(|uid| !changed.contains_key(uid)).map(|uid| Uid::new(*uid).unwrap()).collect();
            let mut model = old.clone();
            model.extend(changed.clone());
            model.retain(|uid, _| !gone.contains(Uid::new(*uid).unwrap()));
            prop_assert_eq!(merge(&entries(&old), &entries(&changed), &gone), entries(&model));
        }
    }
}
