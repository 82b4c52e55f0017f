//! Hints on their way out: the latest of each mailbox, however long Redis is away.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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
    /// A batch is on its way.
    sending: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    latest: HashMap<(AccountId, MailboxId), (ModSeq, Option<TraceParent>)>,
    overflowed: bool,
}

/// How often it is looked whether all is gone, by a process that wants to end.
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
            if let Some(batch) = self.take() {
                return batch;
            }
            self.wake.notified().await;
        }
    }

    fn take(&self) -> Option<Batch<'_>> {
        let mut held = lock(&self.waiting);
        if !held.overflowed && held.latest.is_empty() {
            return None;
        }
        // Under the lock, so that nobody finds neither the hints nor the batch.
        self.sending.store(true, Ordering::Relaxed);
        Some(Batch { outbox: self, waiting: std::mem::take(&mut held) })
    }

    /// Waits until nothing waits and nothing is on its way.
    pub(crate) async fn emptied(&self) {
        while !self.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_empty(&self) -> bool {
        let held = lock(&self.waiting);
        held.latest.is_empty() && !held.overflowed && !self.sending.load(Ordering::Relaxed)
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
        self.outbox.sending.store(false, Ordering::Relaxed);
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

    #[tokio::test]
    async fn it_is_empty_when_all_is_sent() {
        let outbox = Outbox::default();
        assert!(outbox.is_empty());
        outbox.add(hint(1, 1));
        assert!(!outbox.is_empty());
        // What is on its way may come back.
        let batch = outbox.next().await;
        assert!(!outbox.is_empty());
        drop(batch);
        assert!(!outbox.is_empty());
        outbox.next().await.sent();
        assert!(outbox.is_empty());
        outbox.emptied().await;
    }
}
