//! Heals lost hints: one task asks storage, for all sessions that wait, whether their mailboxes have gone on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mail_rpc::{MailboxClient, pb};
use mail_types::{MailboxId, ModSeq};
use mailbox_hints::Hints;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::limits::{RECHECK_BATCH, RECHECK_EVERY, RECHECK_EVERY_WITHOUT_HINTS};

/// How soon it is noticed that hints have failed.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

/// All that waits in this process.
pub(crate) struct Recheck(Arc<Inner>);

struct Inner {
    mailbox: MailboxClient,
    hints: Hints,
    every: Option<Duration>,
    watches: Mutex<HashMap<u64, Arc<Watched>>>,
    next_id: AtomicU64,
}

struct Watched {
    grant: Bytes,
    /// Whose mailbox; 0: the user's own.
    owner: u64,
    mailbox: MailboxId,
    /// What the client has been told.
    modseq: AtomicU64,
    wake: Notify,
}

/// One session's place; ends with this.
pub(crate) struct Watch {
    recheck: Arc<Inner>,
    id: u64,
    watched: Arc<Watched>,
}

impl Recheck {
    pub(crate) fn new(mailbox: MailboxClient, hints: Hints, every: Option<Duration>) -> Self {
        Self(Arc::new(Inner { mailbox, hints, every, watches: Mutex::default(), next_id: AtomicU64::new(0) }))
    }

    /// From now on a mailbox is looked at, until the watch is dropped. With a grant that must hold as long: a look with an older
    /// one wakes the session, which then looks for itself.
    pub(crate) fn watch(&self, grant: Bytes, (owner, mailbox): (u64, MailboxId), modseq: ModSeq) -> Watch {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let modseq = AtomicU64::new(modseq.get());
        let watched = Arc::new(Watched { grant, owner, mailbox, modseq, wake: Notify::new() });
        self.0.lock().insert(id, Arc::clone(&watched));
        Watch { recheck: Arc::clone(&self.0), id, watched }
    }

    /// Looks again and again; never ends.
    pub(crate) async fn run(&self) {
        loop {
            self.0.wait().await;
            self.0.look().await;
        }
    }
}

impl Watch {
    /// The mailbox has gone on, or it must be looked at by other means. Cancel-safe.
    pub(crate) async fn woken(&self) {
        self.watched.wake.notified().await;
    }

    /// The client has been told of all up to this.
    pub(crate) fn told(&self, modseq: ModSeq) {
        self.watched.modseq.store(modseq.get(), Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.recheck.lock().remove(&self.id);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Watched>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the next look, with a jitter of a quarter, so that the gateways of a cluster do not ask all at once. Hints that fail
    /// meanwhile make it shorter.
    async fn wait(&self) {
        let begun = Instant::now();
        let mut random = [0u8; 1];
        // Without randomness there is just no jitter.
        let _ = getrandom::fill(&mut random);
        loop {
            let pause = self.pause();
            let left = (pause + pause * u32::from(random[0]) / 1024).saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            sleep(left.min(HEALTH_EVERY)).await;
        }
    }

    fn pause(&self) -> Duration {
        self.every.unwrap_or_else(|| match self.hints.healthy() {
            true => RECHECK_EVERY,
            false => RECHECK_EVERY_WITHOUT_HINTS,
        })
    }

    async fn look(&self) {
        let watches: Vec<Arc<Watched>> = self.lock().values().cloned().collect();
        for batch in watches.chunks(RECHECK_BATCH) {
            let asked = batch.iter().map(|watched| pb::check_mod_seqs_request::Watch {
                owner: watched.owner,
                grant: watched.grant.clone(),
                mailbox_id: watched.mailbox.get(),
            });
            let request = pb::CheckModSeqsRequest { watches: asked.collect() };
            match self.mailbox.check_mod_seqs(request).await {
                Ok(reply) => {
                    for (watched, modseq) in batch.iter().zip(reply.highest_modseq) {
                        let told = watched.modseq.load(Ordering::Relaxed);
                        // 0: gone, or the grant has run out. A fingerprint of all mailboxes does not grow, it differs.
                        let is_all = watched.mailbox.get() == 0;
                        if modseq == 0 || modseq > told || is_all && modseq != told {
                            watched.wake.notify_one();
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "Cannot look for news of waiting sessions; trying again");
                    return;
                }
            }
        }
    }
}
