//! "Mailbox M of account A has reached mod-sequence N": what wakes a session that waits for news.
//!
//! **Invariant:** a hint carries no data and is published after the commit. It is level-triggered: hints of one mailbox
//! coalesce into the latest, duplicates and late ones are harmless, and a lost one costs delay, never truth.
//!
//! Inside one process hints travel directly. With Redis they also travel to every other process that has a subscriber
//! for the account. While Redis is away nothing here fails or blocks; what could not be published is kept, latest
//! number per mailbox, and whoever may have missed something is told to look at everything ([`Wake::Resync`]).

mod link;
mod outbox;
mod payload;
mod registry;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use mail_types::{AccountId, MailboxId, ModSeq};

use link::Link;
use registry::{Registry, Slot};
pub use trace::{NotATraceParent, TraceParent};

/// Longest wait for Redis to confirm a subscription. Beyond it the subscriber starts without, and is told
/// [`Wake::Resync`] when the confirmation comes.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(500);

/// Something was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// Whose mailbox.
    pub account: AccountId,
    /// Which one; 0 says that the list of mailboxes changed.
    pub mailbox: MailboxId,
    /// The highest mod-sequence that is visible now.
    pub modseq: ModSeq,
    /// The trace of the commit, when there is one; the push continues it.
    pub trace: Option<TraceParent>,
}

/// Why a subscriber was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// This mailbox has reached this mod-sequence.
    Mailbox {
        /// Which one; 0 is the list of mailboxes.
        mailbox: MailboxId,
        /// The latest that was heard of.
        modseq: ModSeq,
        /// The trace of the latest commit that had one.
        trace: Option<TraceParent>,
    },
    /// Hints may have been missed: look at everything.
    Resync,
}

/// Why there are no hints.
#[derive(Debug, thiserror::Error)]
pub enum HintsError {
    /// Not a `redis://`, `rediss://` or `unix://` address.
    #[error("cannot use the Redis address: {0}")]
    BadAddress(#[from] redis::RedisError),
}

/// Publishes and subscribes. Cheap to clone; a process makes one and shares it.
#[derive(Clone)]
pub struct Hints(Arc<Inner>);

struct Inner {
    /// `None`: nobody is ever woken.
    registry: Option<Arc<Registry>>,
    /// The way to other processes.
    link: Option<Link>,
}

impl Hints {
    /// Within this process only.
    pub fn in_process() -> Self {
        Self(Arc::new(Inner { registry: Some(Arc::new(Registry::alone())), link: None }))
    }

    /// Within this process and through Redis 6 or later. Connects, and connects again, in the background: a Redis that
    /// is away delays hints and nothing else. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`HintsError::BadAddress`]; never because Redis is away.
    pub fn redis(url: &str) -> Result<Self, HintsError> {
        let registry = Arc::new(Registry::linked());
        let link = Link::start(url, registry.clone())?;
        Ok(Self(Arc::new(Inner { registry: Some(registry), link: Some(link) })))
    }

    /// No hints at all: subscribers live on their periodic re-check.
    pub fn none() -> Self {
        Self(Arc::new(Inner { registry: None, link: None }))
    }

    /// Tells everybody. Never blocks and never fails. To be called after the commit.
    pub fn publish(&self, hints: impl IntoIterator<Item = Hint>) {
        let Some(registry) = &self.0.registry else { return };
        for hint in hints {
            registry.wake(hint);
            if let Some(link) = &self.0.link {
                link.publish(hint);
            }
        }
    }

    /// Waits until Redis has taken all that was published, at most so long: for a process that ends.
    pub async fn flush(&self, at_most: Duration) {
        if let Some(link) = &self.0.link {
            // What Redis does not take in time is found by the re-check.
            let _ = tokio::time::timeout(at_most, link.flush()).await;
        }
    }

    /// Subscribes to an account's hints until the subscription is dropped. When this returns the subscription is in
    /// effect: every commit that happens from now on wakes it, so read the database *after* this. While Redis is away
    /// this returns soon all the same, and [`Wake::Resync`] follows when Redis is back.
    pub async fn subscribe(&self, account: AccountId) -> Subscription {
        let Some(registry) = &self.0.registry else { return Subscription::deaf() };
        let subscription = Subscription {
            slot: registry.join(account),
            place: Some(Place { registry: registry.clone(), account }),
        };
        if self.0.link.as_ref().is_some_and(Link::is_connected) {
            // Whichever way this ends, `settle` leaves no gap: a later confirmation becomes a Resync.
            let _ = tokio::time::timeout(CONFIRM_TIMEOUT, subscription.slot.effective()).await;
        }
        subscription.slot.settle();
        subscription
    }

    /// Whether hints arrive at once. While not, a subscriber re-checks more often.
    pub fn healthy(&self) -> bool {
        self.0.registry.is_some() && self.0.link.as_ref().is_none_or(Link::is_connected)
    }

    /// Hints that were dropped because too many waited for Redis, since the start of the process.
    pub fn dropped(&self) -> u64 {
        self.0.link.as_ref().map_or(0, Link::dropped)
    }
}

/// What one session hears of one account.
pub struct Subscription {
    slot: Arc<Slot>,
    place: Option<Place>,
}

struct Place {
    registry: Arc<Registry>,
    account: AccountId,
}

impl Subscription {
    /// The next news. Cancel-safe: nothing is lost when this is dropped while waiting.
    pub async fn changed(&mut self) -> Wake {
        self.slot.next().await
    }

    fn deaf() -> Self {
        Self { slot: Arc::new(Slot::default()), place: None }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            place.registry.leave(place.account, &self.slot);
        }
    }
}
