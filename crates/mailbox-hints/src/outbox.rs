//! Hints on their way out: the latest of each mailbox, however long Redis is away.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mail_types::{AccountId, MailboxId, ModSeq};
use tokio::sync::Notify;

use crate::registry::lock;
use crate::{Hint, TraceParent};

/// Mailboxes with hints that wait to be published: a few megabytes. Beyond it hints are dropped, and when Redis is back
/// everybody is told to look at everything.
const WAITING_MAX: usize = 65_536;

#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    latest: HashMap<(AccountId, MailboxId), (ModSeq, Option<TraceParent>)>,
    overflowed: bool,
}

/// Hints being published. Dropped before [`Batch::sent`], it goes back to wait.
pub(crate) struct Batch<'a> {
    outbox: &'a Outbox,
    waiting: Waiting,
}

impl Outbox {
    pub(crate) fn add(&self, hint: Hint) {
        self.insert(&mut lock(&self.waiting), hint);
        self.wake.notify_one();
    }

    /// Waits for hints. Cancel-safe.
    pub(crate) async fn next(&self) -> Batch<'_> {
        loop {
            let waiting = std::mem::take(&mut *lock(&self.waiting));
            if waiting.overflowed || !waiting.latest.is_empty() {
                return Batch { outbox: self, waiting };
            }
            self.wake.notified().await;
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn insert(&self, waiting: &mut Waiting, Hint { account, mailbox, modseq, trace }: Hint) {
        let mailbox = (account, mailbox);
        if let Some((latest, newest)) = waiting.latest.get_mut(&mailbox) {
            if modseq >= *latest {
                *newest = trace.or(*newest);
            }
            *latest = modseq.max(*latest);
        } else if waiting.latest.len() < WAITING_MAX {
            waiting.latest.insert(mailbox, (modseq, trace));
        } else {
            waiting.overflowed = true;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Batch<'_> {
    pub(crate) fn hints(&self) -> Vec<Hint> {
        self.waiting.latest.iter().map(hint).collect()
    }

    /// Others were dropped.
    pub(crate) fn overflowed(&self) -> bool {
        self.waiting.overflowed
    }

    /// Redis has them.
    pub(crate) fn sent(mut self) {
        self.waiting = Waiting::default();
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let unsent = std::mem::take(&mut self.waiting);
        let mut waiting = lock(&self.outbox.waiting);
        waiting.overflowed |= unsent.overflowed;
        for unsent in unsent.latest.iter().map(hint) {
            self.outbox.insert(&mut waiting, unsent);
        }
    }
}

type Latest<'a> = (&'a (AccountId, MailboxId), &'a (ModSeq, Option<TraceParent>));

fn hint((&(account, mailbox), &(modseq, trace)): Latest<'_>) -> Hint {
    Hint { account, mailbox, modseq, trace }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(mailbox: u64, modseq: u64) -> Hint {
        Hint {
            account: AccountId::new(1),
            mailbox: MailboxId::new(mailbox),
            modseq: ModSeq::new(modseq),
            trace: None,
        }
    }

    #[tokio::test]
    async fn the_latest_trace_stays() {
        let trace = |n: u8| format!("00-{n:032x}-{n:016x}-01").parse().ok();
        let outbox = Outbox::default();
        outbox.add(Hint { trace: trace(1), ..hint(1, 5) });
        outbox.add(Hint { trace: trace(2), ..hint(1, 7) });
        outbox.add(Hint { trace: trace(3), ..hint(1, 6) });
        outbox.add(hint(1, 8));
        drop(outbox.next().await);
        let batch = outbox.next().await;
        assert_eq!(batch.hints(), [Hint { trace: trace(2), ..hint(1, 8) }]);
    }

    #[tokio::test]
    async fn only_the_latest_waits_and_an_unsent_batch_comes_back() {
        let outbox = Outbox::default();
        outbox.add(hint(1, 5));
        outbox.add(hint(1, 7));
        outbox.add(hint(1, 6));
        let batch = outbox.next().await;
        assert_eq!(batch.hints(), [hint(1, 7)]);
        outbox.add(hint(1, 3));
        drop(batch);
        let batch = outbox.next().await;
        assert_eq!(batch.hints(), [hint(1, 7)]);
        batch.sent();
        assert!(lock(&outbox.waiting).latest.is_empty());
    }

    #[tokio::test]
    async fn beyond_the_limit_everybody_is_told() {
        let outbox = Outbox::default();
        for mailbox in 0..WAITING_MAX as u64 {
            outbox.add(hint(mailbox, 1));
        }
        assert!(!lock(&outbox.waiting).overflowed);
        outbox.add(hint(0, 2));
        assert_eq!(outbox.dropped(), 0);
        outbox.add(hint(WAITING_MAX as u64, 1));
        assert_eq!(outbox.dropped(), 1);
        assert!(outbox.next().await.overflowed());
        assert!(outbox.next().await.overflowed(), "an unsent batch comes back whole");
        outbox.next().await.sent();
        assert!(!lock(&outbox.waiting).overflowed);
    }
}
