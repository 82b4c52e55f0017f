//! "The sender has seen this reply": tells storage, so that the same octets again count as another mail and not as a retry.
//!
//! Lazily and many at once, since a mail need not wait for it: what is not confirmed when this process dies is at worst taken
//! for a retry when it is one. In the meantime only the very same message has to wait, see [`Confirmer::settle`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mail_rpc::{MailboxClient, Refusal, pb};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a confirmation waits for company.
const BATCH_TIME: Duration = Duration::from_millis(200);
/// Deliveries confirmed at once.
const BATCH_KEYS_MAX: usize = 64;
/// Messages whose confirmation waits. Beyond it they are dropped: storage then forgets their keys by itself.
const QUEUE_MAX: usize = 10_000;
/// Tries while storage is away; confirming twice does no harm.
const ATTEMPTS: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a message waits for its twin to be confirmed. Storage that is slower than this is away.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// The deliveries of one message that were answered with 250.
#[derive(Debug)]
pub(crate) struct Confirmation {
    /// Grant and key.
    pub(crate) deliveries: Vec<(Bytes, Bytes)>,
    /// Of sender and octets.
    pub(crate) digest: u64,
}

/// Takes confirmations; a process has one.
pub(crate) struct Confirmer {
    queue: mpsc::Sender<Confirmation>,
    waiting: Arc<Waiting>,
}

/// Digests of messages not confirmed yet.
#[derive(Default)]
struct Waiting {
    digests: Mutex<HashMap<u64, usize>>,
    hurry: Notify,
    done: Notify,
}

/// The task ends when the confirmer is dropped and everything is told.
pub(crate) fn start(mailbox: MailboxClient) -> (Confirmer, JoinHandle<()>) {
    let (queue, confirmations) = mpsc::channel(QUEUE_MAX);
    let waiting = Arc::new(Waiting::default());
    let task = tokio::spawn(run(mailbox, confirmations, Arc::clone(&waiting)));
    (Confirmer { queue, waiting }, task)
}

impl Confirmer {
    /// Takes it without waiting.
    pub(crate) fn confirm(&self, confirmation: Confirmation) {
        let digest = confirmation.digest;
        self.waiting.add(digest);
        if self.queue.try_send(confirmation).is_err() {
            self.waiting.remove(&[digest]);
            service_runtime::metrics().error("delivery", "confirmations");
        }
    }

    /// Returns when no message of this digest waits for its confirmation, so that one like it is not taken for its retry.
    pub(crate) async fn settle(&self, digest: u64) {
        let settled = async {
            loop {
                let done = self.waiting.done.notified();
                if !self.waiting.has(digest) {
                    return;
                }
                self.waiting.hurry.notify_one();
                done.await;
            }
        };
        let _ = timeout(SETTLE_MAX, settled).await;
    }
}

impl Waiting {
    fn add(&self, digest: u64) {
        *self.digests.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_default() += 1;
    }

    fn has(&self, digest: u64) -> bool {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&digest)
    }

    fn remove(&self, gone: &[u64]) {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in gone {
            if let Some(count) = digests.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    digests.remove(digest);
                }
            }
        }
        drop(digests);
        self.done.notify_waiters();
    }
}

async fn run(mailbox: MailboxClient, mut queue: mpsc::Receiver<Confirmation>, waiting: Arc<Waiting>) {
    while let Some(first) = queue.recv().await {
        let mut digests = vec![first.digest];
        let mut deliveries = first.deliveries;
        let until = Instant::now() + BATCH_TIME;
        while deliveries.len() < BATCH_KEYS_MAX {
            let next = async {
                tokio::select! {
                    biased;
                    next = queue.recv() => next,
                    () = waiting.hurry.notified() => None,
                }
            };
            match timeout_at(until, next).await {
                Ok(Some(next)) => {
                    digests.push(next.digest);
                    deliveries.extend(next.deliveries);
                }
                Ok(None) | Err(_) => break,
            }
        }
        send(&mailbox, deliveries).await;
        waiting.remove(&digests);
    }
}

async fn send(mailbox: &MailboxClient, deliveries: Vec<(Bytes, Bytes)>) {
    let deliveries = deliveries
        .into_iter()
        .map(|(grant, key)| pb::confirm_deliveries_request::Delivery { grant, key })
        .collect();
    let request = pb::ConfirmDeliveriesRequest { deliveries };
    for attempt in 1..=ATTEMPTS {
        match mailbox.confirm_deliveries(request.clone()).await.map_err(Refusal::from) {
            Ok(_) => return,
            Err(Refusal::Unavailable(_)) if attempt < ATTEMPTS => sleep(RETRY_PAUSE).await,
            Err(refusal) => {
                service_runtime::metrics().error("delivery", "confirmations");
                tracing::warn!(error = %refusal, "Cannot confirm deliveries");
                return;
            }
        }
    }
}
