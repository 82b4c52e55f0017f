//! Memory for messages on their way in: a budget of octets that all calls share.
//!
//! What a client sends is paid for as it comes, so that many slow senders cannot fill the memory; who finds no room waits, and
//! with it, by flow control, the client. Nobody waits for ever: a call that has come to a standstill gives way when others
//! wait, and one that waits too long is told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mail_rpc::Refusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

/// Octets of a permit: keeps counts within `u32`.
const UNIT_BYTES: usize = 1024;
/// The share of small messages, that large ones cannot take: a quarter.
const SMALL_SHARE: usize = 4;
/// What a message may hold of the small ones' share. Beyond it is large.
const SMALL_BYTES: usize = 64 << 10;
/// How often a caller that sends nothing is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A caller that sends nothing for so long gives way if others wait.
const STANDSTILL: Duration = Duration::from_secs(5);
/// Longest wait of a large message for room. Who waits holds what came before, so it is short, and longer than [`STANDSTILL`].
const PATIENCE_LARGE: Duration = Duration::from_secs(10);
/// Longest wait of a small one, and for the work on a message to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// The budget.
pub(crate) struct Room {
    small: Pool,
    large: Pool,
    /// Of what is whole and worked on; held only by calls that wait for no client.
    work: Pool,
}

struct Pool {
    units: Arc<Semaphore>,
    total: usize,
    waiting: AtomicUsize,
    patience: Duration,
}

/// What one call holds.
pub(crate) struct Held {
    room: Arc<Room>,
    small: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
    /// Octets that came.
    bytes: usize,
    /// Octets that will come, or 0.
    expected: usize,
}

impl Room {
    /// Of so many octets for what comes in, and as many for what is worked on.
    pub(crate) fn new(bytes: usize) -> Self {
        let small = bytes / SMALL_SHARE;
        Self {
            small: Pool::new(small, PATIENCE),
            large: Pool::new(bytes - small, PATIENCE_LARGE),
            work: Pool::new(bytes, PATIENCE),
        }
    }

    /// A message begins, of so many octets; 0: that is not known.
    pub(crate) fn hold(self: &Arc<Self>, expected: usize) -> Held {
        Held { room: Arc::clone(self), small: None, large: None, bytes: 0, expected }
    }

    /// Memory for the work on a message that is whole: its copy, its chunks, what is derived.
    ///
    /// # Errors
    /// UNAVAILABLE when there is none for long.
    pub(crate) async fn work(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        self.work.take(bytes.saturating_mul(2)).await
    }
}

impl Held {
    /// The next message of the caller's stream. In short supply a caller that stands still is sent away.
    ///
    /// # Errors
    /// Those of the stream; UNAVAILABLE.
    pub(crate) async fn next<T>(&self, steps: &mut Streaming<T>) -> Result<Option<T>, Status> {
        let begun = Instant::now();
        loop {
            match timeout(LOOK_EVERY, steps.message()).await {
                Ok(step) => return step,
                Err(_) if begun.elapsed() >= STANDSTILL && self.is_in_the_way() => return Err(no_room()),
                Err(_) => {}
            }
        }
    }

    /// Takes so many octets more.
    ///
    /// # Errors
    /// UNAVAILABLE when there are none for long.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), Status> {
        self.bytes += bytes;
        // Buffers grow by doubling. So does what is paid for, that many who come little by little do not wait for each other again
        // and again; all at once where it is known.
        if self.bytes <= SMALL_BYTES && self.large.is_none() {
            let wanted = units(self.bytes.next_power_of_two());
            return self.room.small.grow(&mut self.small, wanted).await;
        }
        let wanted = units(match self.expected {
            0 => self.bytes.next_power_of_two(),
            expected => expected.max(self.bytes),
        });
        self.room.large.grow(&mut self.large, wanted).await?;
        self.small = None;
        Ok(())
    }

    /// Octets for which its buffer should have room now.
    pub(crate) fn capacity(&self) -> usize {
        if self.large.is_some() { self.expected } else { 0 }
    }

    fn is_in_the_way(&self) -> bool {
        let stands_in =
            |held: &Option<_>, pool: &Pool| held.is_some() && pool.waiting.load(Ordering::Relaxed) > 0;
        stands_in(&self.small, &self.room.small) || stands_in(&self.large, &self.room.large)
    }
}

impl Pool {
    fn new(bytes: usize, patience: Duration) -> Self {
        let total = units(bytes).max(1);
        Self { units: Arc::new(Semaphore::new(total)), total, waiting: AtomicUsize::new(0), patience }
    }

    /// More than there is counts as all of it: one large message then travels alone.
    async fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, wanted: usize) -> Result<(), Status> {
        let has = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = wanted.min(self.total).saturating_sub(has);
        if missing == 0 {
            return Ok(());
        }
        let more = self.take(missing * UNIT_BYTES).await?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        let count = u32::try_from(units(bytes).min(self.total)).unwrap_or(u32::MAX);
        if let Ok(permit) = Arc::clone(&self.units).try_acquire_many_owned(count) {
            return Ok(permit);
        }
        let _waiter = Waiter::new(&self.waiting);
        let permit = timeout(self.patience, Arc::clone(&self.units).acquire_many_owned(count)).await;
        permit.ok().and_then(Result::ok).ok_or_else(no_room)
    }
}

/// Counted as long as it lives: a call that is dropped waits no more.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES)
}

fn no_room() -> Status {
    Refusal::Unavailable("too many messages at once; try again".into()).into()
}
